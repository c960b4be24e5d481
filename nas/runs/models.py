"""The tables of the run database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 3
"""Raised with every change of the tables, with a step in `nas.runs.schema`; a database of each version is kept in
`tests/data` and must still open."""


class Base(DeclarativeBase):
    """Base of the tables; mappings and lists are kept as JSON."""

    type_annotation_map = {dict[str, Any]: JSON(none_as_null=True), list[Any]: JSON(none_as_null=True)}  # noqa: RUF012


class SchemaRow(Base):
    """The version of the tables; one row."""

    __tablename__ = "schema_version"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class RunRow(Base):
    """One run of a command; `created` and `heartbeat` are ISO 8601 in UTC.

    `host` and `process` say who ran it, for people; that it is alive is told by `heartbeat` alone.
    """

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    created: Mapped[str]
    heartbeat: Mapped[str]
    command: Mapped[str]
    seed: Mapped[int | None]
    versions: Mapped[dict[str, Any]]
    inputs: Mapped[dict[str, Any]]
    status: Mapped[str]
    host: Mapped[str]
    process: Mapped[int]
    seconds: Mapped[float | None]
    error: Mapped[str | None]
    result: Mapped[dict[str, Any] | None]
    artefacts: Mapped[list[ArtefactRow]] = relationship(order_by="ArtefactRow.id", cascade="all, delete-orphan")


class ArtefactRow(Base):
    """A file or folder that a run wrote; `path` is absolute, or relative to the folder of a SQLite file it lies in."""

    __tablename__ = "artefacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    kind: Mapped[str]
    path: Mapped[str]


class EvaluationRow(Base):
    """One evaluation that cost: the columns up to `seed` say of what, and there is one row for each of these.

    `digest` is a point's identity, `evaluator` the data or the function that judged it, `epochs` the rung (0 without
    any), `seed` which of several evaluations of one point. `subject` is the architecture as YAML, or the point's genes.
    `holder` works on it until `leased_until` (seconds since 1970), and renews that. `attempts` counts how often it was
    begun; `latency_ms` is that of the device which it was first asked for.
    """

    __tablename__ = "evaluations"

    digest: Mapped[str] = mapped_column(primary_key=True)
    evaluator: Mapped[str] = mapped_column(primary_key=True)
    recipe: Mapped[str] = mapped_column(primary_key=True)
    epochs: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seed: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    holder: Mapped[str | None]
    leased_until: Mapped[float | None]
    curve: Mapped[list[Any]]
    accuracy: Mapped[float | None]
    latency_ms: Mapped[float | None]
    seconds: Mapped[float | None]
    worker: Mapped[str]
    error: Mapped[str | None]
    checkpoint: Mapped[str | None]
    finished: Mapped[str | None]


class StudyRow(Base):
    """A search whose accuracies cost; `question` is what it was asked, so that it goes on with nothing else."""

    __tablename__ = "searches"

    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[str]
    question: Mapped[dict[str, Any]]


class TrialRow(Base):
    """One trial of a search, as `nas.trials.records.Trial`; `ask` names the ask that it came of, `reused` says that
    another search had paid for it."""

    __tablename__ = "search_trials"

    search: Mapped[str] = mapped_column(ForeignKey("searches.name", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ask: Mapped[str]
    codes: Mapped[list[Any]]
    digest: Mapped[str]
    repeat: Mapped[int]
    why: Mapped[str]
    state: Mapped[str]
    curve: Mapped[list[Any]]
    latency_ms: Mapped[float]
    seconds: Mapped[float]
    worker: Mapped[str]
    reason: Mapped[str | None]
    reused: Mapped[bool]
