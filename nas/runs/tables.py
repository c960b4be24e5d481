"""The tables of nas in a database, at their present version: transactions that read and write them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import URL, select
from sqlalchemy.orm import Session

from nas.errors import NasError
from nas.runs.database import Database
from nas.runs.models import SCHEMA_VERSION, SchemaRow
from nas.runs.schema import found_version, prepare

_T = TypeVar("_T")


class Tables:
    """The tables in the database `url`; made, or brought up to date, when they are used.

    Raises what `Database` does; every method raises `NasError` where the database cannot be reached, read or written,
    or is of a newer version.
    """

    def __init__(self, url: str | URL) -> None:
        self.database = Database(url)
        self._was_prepared = False

    @property
    def place(self) -> str:
        """The database's file, or its URL without the password."""
        return self.database.place

    @contextlib.contextmanager
    def writing(self, *, create: bool = False) -> Iterator[Session]:
        """A transaction that is alone in writing. `NasError` where the file is gone, unless it is to be made."""
        self._check(create)
        with self.database.transaction(write=True) as session:
            with self._whole():
                prepare(session.connection(), self.place)
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session | None]:
        """A transaction that reads, or None where there are no tables yet."""
        if not self.database.exists():
            yield None
            return
        with self._whole(), self.database.transaction() as session:
            version = found_version(session.connection(), self.place)
            if version in (None, SCHEMA_VERSION):
                yield None if version is None else session
                return
        with self.writing() as session, self._whole():
            yield session

    def write(self, work: Callable[[Session], _T], *, create: bool = False) -> _T:
        """What `work` returns in a transaction that is alone in writing; done again where a server was lost meanwhile
        (`Database.run`)."""

        def prepared(session: Session) -> _T:
            # Looking for tables takes longer than most of what is written; once they were there the version will do.
            if not self._was_prepared or session.scalars(select(SchemaRow.version)).all() != [SCHEMA_VERSION]:
                prepare(session.connection(), self.place)
            return work(session)

        self._check(create)
        found = self.database.run(prepared, write=True)
        self._was_prepared = True
        return found

    def read(self, work: Callable[[Session], _T]) -> _T:
        """What `work` returns in a transaction on tables that are there, done again where a server was lost."""
        with self._whole():
            return self.database.run(work)

    def _check(self, create: bool) -> None:
        if not create and not self.database.exists():
            raise NasError(
                f"{self.place} must hold the run or search that is to be recorded, but is gone; put it back."
            )

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """What a row holds that no version wrote is a `NasError`: the database is damaged."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise NasError(
                f"{self.place} must be a database of nas, but holds what none has ({type(error).__name__}: {error});"
                " restore it, or move it away, and a new one is made."
            ) from error
