"""Databases of tests that do not wait for the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """SQLite waits for the disk with every commit, which takes most of the time of a search that costs nothing; what a
    power failure would lose is not tested here."""

    def run(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", run)
    yield
    event.remove(Engine, "connect", run)
