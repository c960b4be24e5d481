from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from nas.errors import InputError, NasError
from nas.installed import extra_remedy
from nas.runs import RunStore
from tests.extras import needs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must be a SQLAlchemy URL such as sqlite:///runs.db or postgresql"),
        ("runs.db", "must be a SQLAlchemy URL .*, but got 'runs.db'"),
        (
            "postgresql://user:secret@host:port/db",
            r"must be a SQLAlchemy URL .*, but got 'postgresql://user:\*\*\*@host",
        ),
        ("sqlite://", "must name a file, as sqlite:///runs.db does, but got :memory:"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "must name a file"),
        ("mysql+pymysql://user:secret@host/db", "must be SQLite or PostgreSQL, .*, but got mysql.pymysql://"),
        ("postgres://user:secret@host/db", "must be SQLite or PostgreSQL, such as .*postgresql.psycopg"),
        ("postgresql+nothing://user:secret@host/db", "needs its driver nothing, which is not installed"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        RunStore(url=url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        InputError, match=r"driver psycopg, which is not installed; " + re.escape(extra_remedy("postgresql"))
    ):
        RunStore(url="postgresql+psycopg://user@host/db")


def test_a_driver_that_is_asynchronous_is_refused() -> None:
    needs("psycopg")
    with pytest.raises(InputError, match="not asynchronous, but got postgresql.psycopg_async"):
        RunStore(url="postgresql+psycopg_async://user@host/db")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    needs("psycopg")
    store = RunStore(url="postgresql+psycopg://user:secret@127.0.0.1:1/db?sslpassword=hidden")
    for use in (store.records, lambda: store.start("search", command="c")):
        with pytest.raises(
            NasError, match=r"postgresql\+psycopg://user:\*\*\*@127.0.0.1:1/db must be reachable"
        ) as caught:
            use()
        assert caught.value.exit_code == 1
        assert "secret" not in str(caught.value) and "hidden" not in str(caught.value)


def test_a_relative_file_stays_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = RunStore(url="sqlite:///mine.db")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    store.start("search", command="c")
    assert (tmp_path / "mine.db").is_file() and store.place == str(tmp_path / "mine.db")


def test_the_folder_of_a_file_is_made_when_a_run_starts(tmp_path: Path) -> None:
    store = RunStore(url=f"sqlite:///{tmp_path}/some/where/mine.db")
    assert store.records() == [] and not list(tmp_path.iterdir())
    store.start("search", command="c")
    assert (tmp_path / "some" / "where" / "mine.db").is_file()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 30, b"\x00" * 5000])
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nas.db").write_bytes(content)
    store = RunStore(tmp_path)
    for use in (store.records, lambda: store.start("search", command="c")):
        with pytest.raises(NasError, match=r"nas.db must be a database of nas"):
            use()
    assert (tmp_path / "nas.db").read_bytes() == content


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NasError, match=rf"{tmp_path} must be writable, but: unable to open database file"):
        RunStore(url=f"sqlite:///{tmp_path}").start("search", command="c")
