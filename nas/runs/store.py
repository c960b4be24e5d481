"""The record of runs: one row a run of a command, in `nas.db` of the folder `runs/` or where a URL says."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, select
from sqlalchemy.orm import Session, defer, selectinload

from nas import resources
from nas.errors import NasError, unknown_name
from nas.runs.handle import BEAT_SECONDS, RunHandle
from nas.runs.models import ArtefactRow, RunRow
from nas.runs.records import Artefact, RunRecord, RunSummary, Status
from nas.runs.tables import Tables

DATABASE = "nas.db"
GRACE_SECONDS = 90.0
"""A run whose last sign of life is older counts as interrupted: several may be late, or clocks differ by a minute."""

_DISTRIBUTIONS = ("nas", "numpy", "scipy", "scikit-learn", "torch", "onnx", "onnxruntime", "optuna", "sqlalchemy")
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")

Clock = Callable[[], datetime]
"""The present time, with its time zone."""


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


class RunStore:
    """The runs in the database `url` (of SQLAlchemy's form), by default the file `nas.db` in `folder`.

    `folder` is by default the workspace's `runs/`; the database and its tables are made when the first run starts. Any
    number of processes may use one database. Tables of an older version of nas are brought up to date when they are
    used.

    Raises `InputError` for a URL that cannot be used; every method raises `NasError` where the database cannot be
    reached, read or written, or is of a newer version.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        url: str | None = None,
        clock: Clock = utc_now,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self.folder = (folder or resources.runs_folder()).resolve()
        self.beat_seconds = beat_seconds
        self._tables = Tables(database_url(self.folder) if url is None else url)
        self._clock = clock

    @property
    def tables(self) -> Tables:
        """The tables that the runs are kept in, beside others."""
        return self._tables

    @property
    def place(self) -> str:
        """The database's file, or its URL without the password."""
        return self._tables.place

    def start(
        self, kind: str, *, command: str, inputs: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> RunHandle:
        """Record that a run begins; use the handle as a context, which shows that it lives and records how it ends.

        `command` is the command line that repeats it, `inputs` names what it read, with digests. That the database
        cannot be written to shows here, before any work is done.
        """
        now = self._now()
        with self._tables.writing(create=True) as session:
            row = RunRow(
                id=_new_id(session, now),
                kind=kind,
                created=now.isoformat(),
                heartbeat=now.isoformat(),
                command=command,
                seed=seed,
                versions=installed_versions(),
                inputs=dict(inputs or {}),
                status="running",
                host=platform.node(),
                process=os.getpid(),
            )
            session.add(row)
            run_id = row.id
        return RunHandle(self, run_id)

    def beat(self, run_id: str) -> None:
        """Record that the run lives. `NasError` where it is not running, as for `finish`, `fail` and `interrupt`."""
        with self._tables.writing() as session:
            _running(session, run_id).heartbeat = self._now().isoformat()

    def add_artefact(self, run_id: str, kind: str, path: Path) -> None:
        """Record a file or folder that the run wrote, or that was made of its result after it ended."""
        full = path.resolve()
        base = self._base()
        kept = full.relative_to(base) if base is not None and full.is_relative_to(base) else full
        with self._tables.writing() as session:
            row = _row(session, run_id)
            if row.status == "running":
                row.heartbeat = self._now().isoformat()
            session.add(ArtefactRow(run_id=run_id, kind=kind, path=kept.as_posix()))

    def finish(self, run_id: str, result: Mapping[str, Any] | None = None) -> None:
        """The run is done; `result` is the JSON document that it answered with."""
        self._end(run_id, "done", result=result)

    def fail(self, run_id: str, error: str) -> None:
        """The run failed; `error` says why."""
        self._end(run_id, "failed", error=error)

    def interrupt(self, run_id: str) -> None:
        """The run was stopped from outside."""
        self._end(run_id, "interrupted")

    def get(self, run_id: str) -> RunRecord:
        """The run `run_id` with its result, or `InputError` with the nearest ids."""
        known: list[str] = []
        with self._tables.reading() as session:
            if session is not None:
                row = session.get(RunRow, run_id)
                if row is not None:
                    return RunRecord(**self._facts(row), result=row.result)
                known = [str(one) for one in session.scalars(select(RunRow.id))]
        raise unknown_name("run", run_id, known, remedy="`nas runs list` shows all of them.")

    def records(self, *, kind: str | None = None) -> list[RunSummary]:
        """All runs (of a kind), the newest first, whose results are not read; none where there is no database yet."""
        query = (
            select(RunRow)
            .options(selectinload(RunRow.artefacts), defer(RunRow.result))
            .order_by(RunRow.created.desc(), RunRow.id.desc())
        )
        with self._tables.reading() as session:
            if session is None:
                return []
            rows = session.scalars(query if kind is None else query.where(RunRow.kind == kind))
            return [RunSummary(**self._facts(row)) for row in rows]

    def _end(
        self, run_id: str, status: Status, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        now = self._now()
        with self._tables.writing() as session:
            row = _running(session, run_id)
            row.status = status
            row.seconds = (now - datetime.fromisoformat(row.created)).total_seconds()
            row.heartbeat = now.isoformat()
            row.error = error
            row.result = None if result is None else dict(result)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _base(self) -> Path | None:
        """What paths of artefacts are relative to, so that a workspace may be moved; nothing beside a server."""
        path = self._tables.database.path
        return None if path is None else path.parent

    def _facts(self, row: RunRow) -> dict[str, Any]:
        """What a record says of a run, but for its result."""
        if not all(isinstance(text, str) for text in (row.id, row.kind, row.command, row.status, row.host)):
            raise TypeError("a text of a run is none")  # SQLite keeps whatever it is given
        status = cast(Status, row.status)
        silence = self._now() - datetime.fromisoformat(row.heartbeat)
        if status == "running" and silence.total_seconds() > GRACE_SECONDS:
            status = "interrupted"  # killed, with no chance to say so
        base = self._base()
        return {
            "id": row.id,
            "kind": row.kind,
            "created": datetime.fromisoformat(row.created),
            "host": row.host,
            "command": row.command,
            "seed": row.seed,
            "versions": row.versions,
            "inputs": row.inputs,
            "status": status,
            "seconds": row.seconds,
            "error": row.error,
            "artefacts": tuple(
                Artefact(kind=a.kind, path=Path(a.path) if base is None else base / a.path) for a in row.artefacts
            ),
        }


def database_url(folder: Path | None = None) -> URL:
    """The URL of the database in `folder`, by default the workspace's `runs/`."""
    return URL.create("sqlite", database=str((folder or resources.runs_folder()).resolve() / DATABASE))


def is_run_id(text: str) -> bool:
    """Whether `text` looks like the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


def resume_words(run: str, storage: str | None) -> list[str]:
    """The options by which a command goes on with a run that is recorded in `storage`."""
    if storage is None or storage == os.environ.get("NAS_STORAGE"):
        return ["--resume", run]
    return ["--resume", run, "--storage", storage]


def installed_versions() -> dict[str, str]:
    """Versions of Python, the platform, and the distributions that results depend on, as far as they are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _row(session: Session, run_id: str) -> RunRow:
    row = session.get(RunRow, run_id, options=[defer(RunRow.result)])
    if row is None:
        raise NasError(f"run {run_id} must be in its database to be recorded, but is gone; run its command again.")
    return row


def _running(session: Session, run_id: str) -> RunRow:
    row = _row(session, run_id)
    if row.status != "running":
        raise NasError(f"run {run_id} must be running, but is {row.status} already; start another run.")
    return row


def _new_id(session: Session, created: datetime) -> str:
    """An id that no run has: the second it began in and four random digits."""
    while True:
        found = f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if session.get(RunRow, found) is None:
            return found
