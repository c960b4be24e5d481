"""The run database: `nas.db` in the folder `runs/`, one row a run of a command."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.pool import NullPool

from nas import resources
from nas.errors import NasError, unknown_name
from nas.files import is_alive, writing
from nas.runs.models import SCHEMA_VERSION, ArtefactRow, Base, RunRow, SchemaRow
from nas.runs.records import Artefact, RunRecord, Status

DATABASE = "nas.db"
_LOCK_SECONDS = 30.0
_DISTRIBUTIONS = ("nas", "numpy", "scipy", "scikit-learn", "torch", "onnx", "onnxruntime", "optuna", "sqlalchemy")
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")

Clock = Callable[[], datetime]
"""The present time, with its time zone."""


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


class RunStore:
    """The runs in the database of `folder` (by default the workspace's `runs/`), which is made when a run starts.

    Every method raises `NasError` where the database cannot be read or written, or is of a newer schema.
    """

    def __init__(self, folder: Path | None = None, *, clock: Clock = utc_now) -> None:
        self.folder = (folder or resources.runs_folder()).resolve()
        self.path = self.folder / DATABASE
        self._clock = clock

    def start(
        self, kind: str, *, command: str, inputs: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> RunHandle:
        """Record that a run begins; use the handle as a context, which records how it ends.

        `command` is the command line that repeats it, `inputs` names what it read, with digests. That the database
        cannot be written to shows here, before any work is done.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        created = self._clock()
        with self._session(create=True) as session:
            row = RunRow(
                id=_new_id(session, created),
                kind=kind,
                created=created.isoformat(),
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
        return RunHandle(self, run_id, created, self._clock)

    def get(self, run_id: str) -> RunRecord:
        """The run `run_id`, or `InputError` with the nearest ids."""
        if self.path.exists():
            with self._session() as session:
                row = session.get(RunRow, run_id)
                if row is not None:
                    return self._record(row)
        known = (run.id for run in self.records())
        raise unknown_name("run", run_id, known, remedy="`nas runs list` shows all of them.")

    def records(self, *, kind: str | None = None) -> list[RunRecord]:
        """All runs (of a kind), the newest first; none where there is no database yet."""
        if not self.path.exists():
            return []
        query = select(RunRow).options(selectinload(RunRow.artefacts)).order_by(RunRow.created.desc(), RunRow.id.desc())
        with self._session() as session:
            rows = session.scalars(query if kind is None else query.where(RunRow.kind == kind))
            return [self._record(row) for row in rows]

    def update(self, run_id: str, **values: Any) -> None:
        """Change columns of a run."""
        with self._session() as session:
            row = session.get_one(RunRow, run_id)
            for name, value in values.items():
                setattr(row, name, value)

    def add_artefact(self, run_id: str, kind: str, path: Path) -> None:
        """Record a file or folder that the run wrote."""
        full = path.resolve()
        inside = full.relative_to(self.folder) if full.is_relative_to(self.folder) else full
        with self._session() as session:
            session.add(ArtefactRow(run_id=run_id, kind=kind, path=inside.as_posix()))

    @contextlib.contextmanager
    def _session(self, *, create: bool = False) -> Iterator[Session]:
        """One transaction; a fault of the database becomes a `NasError`."""
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        try:
            if create:
                _create_tables(engine)
            with Session(engine) as session, session.begin():
                self._check_schema(session)
                yield session
        except DatabaseError as error:
            raise NasError(_fault(self.path, str(error.orig))) from error
        finally:
            engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_LOCK_SECONDS)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _check_schema(self, session: Session) -> None:
        found = session.scalars(select(SchemaRow.version)).all()
        if list(found) != [SCHEMA_VERSION]:
            raise NasError(
                f"{self.path} must have schema {SCHEMA_VERSION}, but has {', '.join(map(str, found)) or 'none'};"
                " a newer version of nas wrote it: update nas, or choose another workspace."
            )

    def _record(self, row: RunRow) -> RunRecord:
        status = cast(Status, row.status)
        if status == "running" and row.host == platform.node() and not is_alive(row.process):
            status = "interrupted"  # killed, with no chance to say so
        return RunRecord(
            id=row.id,
            kind=row.kind,
            created=datetime.fromisoformat(row.created),
            command=row.command,
            seed=row.seed,
            versions=row.versions,
            inputs=row.inputs,
            status=status,
            seconds=row.seconds,
            error=row.error,
            result=row.result,
            artefacts=tuple(Artefact(kind=a.kind, path=self.folder / a.path) for a in row.artefacts),
        )


class RunHandle:
    """A run under way. Leaving the context records how it ended: done, failed (with the error's text), interrupted.

    `finish` and `add_artefact` raise `NasError` where that cannot be written: a caller catches it to hand out the
    result all the same.
    """

    def __init__(self, store: RunStore, run_id: str, created: datetime, clock: Clock) -> None:
        self.id = run_id
        self._store = store
        self._created = created
        self._clock = clock
        self._ended = False

    @property
    def folder(self) -> Path:
        """The folder for what this run writes, beside the database; not made here."""
        return self._store.folder / self.id

    def add_artefact(self, kind: str, path: Path) -> None:
        """Record a file or folder that the run wrote."""
        self._store.add_artefact(self.id, kind, path)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record the result, a JSON document, and that the run is done."""
        self._end("done", result=dict(result))

    def _end(self, status: Status, **values: Any) -> None:
        seconds = (self._clock() - self._created).total_seconds()
        self._ended = True
        self._store.update(self.id, status=status, seconds=seconds, **values)

    def __enter__(self) -> RunHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if not self._ended:
                self._end("done")
            return
        # What went wrong first is what the user must hear, even if it cannot be recorded.
        with contextlib.suppress(NasError):
            if issubclass(kind, Exception):
                self._end("failed", error=str(error) or kind.__name__)
            else:
                self._end("interrupted")


def is_run_id(text: str) -> bool:
    """Whether `text` looks like the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


def installed_versions() -> dict[str, str]:
    """Versions of Python, the platform, and the distributions that results depend on, as far as they are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _new_id(session: Session, created: datetime) -> str:
    """An id that no run has: the second it began in and four random digits."""
    while True:
        found = f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if session.get(RunRow, found) is None:
            return found


def _create_tables(engine: Engine) -> None:
    """Make the tables where they are absent; another process that does the same waits for this one."""
    with engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        if not engine.dialect.has_table(connection, RunRow.__tablename__):
            Base.metadata.create_all(connection)
            connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))


def _fault(path: Path, reason: str) -> str:
    if "not a database" in reason or "no such table" in reason or "malformed" in reason:
        return f"{path} must be a database of nas, but: {reason}; move it away, and a new one is made."
    if "locked" in reason:
        return f"{path} must be free to write to, but another process holds it for {_LOCK_SECONDS:g} s; try again."
    return (
        f"{path} must be writable and its disk must have room, but: {reason};"
        " free it, or choose another place with --workspace."
    )
