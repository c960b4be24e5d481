"""The database that runs are kept in, by its SQLAlchemy URL: a SQLite file, or PostgreSQL for several machines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from nas.errors import InputError, NasError
from nas.files import writing
from nas.installed import extra_remedy

LOCK_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
"""How long a server that was there before is waited for: one that starts anew is back by then."""

_T = TypeVar("_T")
_CONNECT_SECONDS = 10
_AGAIN_SECONDS = 0.25
_EXAMPLES = "sqlite:///runs.db or postgresql+psycopg://user@host/database"
# Any number that other programs in the same database do not use for a lock of theirs.
_LOCK_NUMBER = 0x6E61732E72756E73
_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"}
"""What makes a transaction wait for every other one that writes, by the kind of database."""


class Database:
    """What `url` names. `place` names it in messages, without its password; `path` is the file of SQLite.

    A connection is made for each transaction and closed after it: a search of hours holds none, so a server may be
    started anew meanwhile, and a process that forks shares none with its children. Raises `InputError` for a URL that
    is none, names another kind of database, or needs a driver that is not installed.
    """

    def __init__(self, url: str | URL) -> None:
        parsed = _parsed(url)
        self.path: Path | None = None
        if parsed.get_backend_name() == "sqlite":
            self.path = _file(parsed)
            parsed = parsed.set(database=str(self.path))
        self.place = str(self.path or parsed.set(query={}).render_as_string(hide_password=True))
        self._engine = _engine(parsed)
        self._was_there = False

    def exists(self) -> bool:
        """Whether there may be something to read: a server is asked only when it is used."""
        return self.path is None or self.path.exists()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Session]:
        """One transaction: whole or nothing; with `write`, after all others that write.

        Raises `NasError` where the database cannot be reached, read or written to. A server that was reached before and
        cannot be now is waited for, `PATIENCE_SECONDS` long.
        """
        if write and self.path is not None:
            with writing(self.path.parent):
                self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with Session(self._engine) as session, session.begin():
                self._connect(session)
                if write:
                    session.connection().exec_driver_sql(_ALONE[self._engine.dialect.name])
                yield session
        except DBAPIError as error:
            raise NasError(self._fault(str(error.orig))) from error
        self._was_there = True

    def run(self, work: Callable[[Session], _T], *, write: bool = False) -> _T:
        """What `work` returns in a transaction of its own (see `transaction`).

        Where a server is lost meanwhile `work` is done again from its beginning, until `PATIENCE_SECONDS` have passed.
        Whether a commit that was under way is there nobody can tell, so `work` must be such that doing it twice is
        doing it once.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self.transaction(write=write) as session:
                    return work(session)
            except NasError as error:
                if not self._is_loss(error.__cause__) or time.monotonic() > until:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _connect(self, session: Session) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                session.connection()
                return
            except DBAPIError as error:
                if not self._is_loss(error) or time.monotonic() > until:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _is_loss(self, error: BaseException | None) -> bool:
        """Whether an error says that the server is away, not that it refused a statement."""
        if self.path is not None or not self._was_there or not isinstance(error, DBAPIError):
            return False
        # 57P01 to 57P03: stopped by hand, after a crash, not yet ready (PostgreSQL's appendix A). No code at all: the
        # connection broke, or was never made.
        code = getattr(error.orig, "sqlstate", None)
        return code in ("57P01", "57P02", "57P03") or (code is None and type(error).__name__ == "OperationalError")

    def _fault(self, reason: str) -> str:
        if self.path is None:
            return (
                f"{self.place} must be reachable, and let its user make tables and write, but: {reason.strip()};"
                " mend that, or choose another database with --storage."
            )
        if re.search(r"not a database|no such (table|column)|malformed", reason):
            return f"{self.place} must be a database of nas, but: {reason}; move it away, and a new one is made."
        if "locked" in reason:
            return f"{self.place} must be free, but another process holds it for {LOCK_SECONDS:g} s; try again."
        elsewhere = "choose another place with --workspace or --storage"
        if "full" in reason:
            return f"{self.place}: its disk must have room, but: {reason}; free some, or {elsewhere}."
        return f"{self.place} must be writable, but: {reason}; let this user write there, or {elsewhere}."


def _parsed(url: str | URL) -> URL:
    try:
        found = make_url(url)
    except (ArgumentError, ValueError) as error:
        # What cannot be parsed may hold a password all the same.
        came = re.sub(r":[^:@/]*@", ":***@", str(url))
        raise InputError(f"a storage must be a SQLAlchemy URL such as {_EXAMPLES}, but got {came!r}.") from error
    if found.get_backend_name() not in _ALONE:
        raise InputError(f"a storage must be SQLite or PostgreSQL, such as {_EXAMPLES}, but got {found.drivername}://.")
    return found


def _file(url: URL) -> Path:
    name = url.database or ":memory:"
    if name.startswith((":memory:", "file:")):
        raise InputError(
            f"a storage of SQLite must name a file, as sqlite:///runs.db does, but got {name};"
            " what is kept in memory is lost when the command ends."
        )
    return Path(name).resolve()


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        options["timeout"] = LOCK_SECONDS
    elif url.get_driver_name().startswith("psycopg") and "connect_timeout" not in url.query:
        options["connect_timeout"] = _CONNECT_SECONDS
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=options)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        driver = url.get_driver_name()
        remedy = extra_remedy("postgresql") if driver == "psycopg" else f"write {_EXAMPLES}"
        raise InputError(
            f"a storage of {url.get_backend_name()} needs its driver {driver}, which is not installed; {remedy}."
        ) from error
    if engine.dialect.is_async:
        raise InputError(
            f"a storage needs a driver that is not asynchronous, but got {url.drivername}; write {_EXAMPLES}."
        )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _with_foreign_keys)
    return engine


def _with_foreign_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
