"""The tables of the run database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 2
"""Raised with every change of the tables, with a step in `nas.runs.schema`; a database of each version is kept in
`tests/data` and must still open."""


class Base(DeclarativeBase):
    """Base of the tables; a mapping is kept as JSON."""

    type_annotation_map = {dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012


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
