"""The run store in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from nas.errors import NasError
from nas.runs import RunStore
from nas.testing.runs import RunStoreConformance
from tests.runs.postgresql import server

_NUMBERS = count(1)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture
def storage(postgresql: str) -> str:
    """An empty database."""
    name = f"runs{next(_NUMBERS)}"
    engine = create_engine(postgresql.format("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return postgresql.format(name)


class TestPostgreSQL(RunStoreConformance):
    @pytest.fixture
    def storage(self, storage: str) -> str:
        return storage


def test_a_user_who_may_not_make_tables_is_told(storage: str, tmp_path: Path) -> None:
    engine = create_engine(storage, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN"))
    url = make_url(storage).set(username="reader").render_as_string()
    store = RunStore(tmp_path, url=url)
    assert store.records() == []
    with pytest.raises(NasError, match="let its user make tables and write, but: permission denied for schema public"):
        store.start("search", command="c")


def test_a_database_that_does_not_exist_is_named(postgresql: str, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r'nas@/absent must be reachable.*database "absent" does not exist'):
        RunStore(tmp_path, url=postgresql.format("absent")).records()
