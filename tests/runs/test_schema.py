"""Databases of older versions, one of each kept in `tests/data`."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.runs import RunStore
from nas.runs.models import SCHEMA_VERSION, Base
from nas.testing.runs import eight_at_once, on_connecting
from nas.trials.studies import study_trials

OLD_DATABASES = {
    int(path.stem.rpartition("-")[2]): path
    for path in sorted((Path(__file__).resolve().parent.parent / "data").glob("runs-schema-*.db"))
}


def columns(path: Path) -> dict[str, set[str]]:
    connection = sqlite3.connect(path)
    found = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in Base.metadata.tables
    }
    connection.close()
    return found


def test_there_is_a_database_of_every_schema() -> None:
    assert list(OLD_DATABASES) == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("version", OLD_DATABASES)
def test_a_database_of_every_schema_still_opens(version: int, tmp_path: Path) -> None:
    shutil.copy(OLD_DATABASES[version], tmp_path / "nas.db")
    store = RunStore(tmp_path)
    (found,) = store.records()
    assert (found.kind, found.status, found.seed) == ("search", "done", 3)
    assert [(a.kind, a.path) for a in found.artefacts] == [("zoo", tmp_path / "zoo" / "net-untrained")]
    assert store.get(found.id).result == {"best": {"name": "net"}}
    with store.start("search", command="c") as run:
        run.finish({})
    assert len(store.records()) == 2
    fresh = RunStore(tmp_path / "fresh")
    fresh.start("search", command="c")
    assert columns(tmp_path / "nas.db") == columns(Path(fresh.place))


def test_trials_of_schema_3_are_read(tmp_path: Path) -> None:
    shutil.copy(OLD_DATABASES[3], tmp_path / "nas.db")
    first, second = study_trials(RunStore(tmp_path).tables, "score-0123456789ab")
    assert (first.codes, first.state, first.accuracy, first.seconds) == ((1, 2), "done", 0.75, 12.5)
    assert (second.codes, second.state, second.reason) == ((0, 2), "failed", "ValueError: no data")


def test_a_run_of_schema_1_that_never_ended_is_interrupted(tmp_path: Path) -> None:
    shutil.copy(OLD_DATABASES[1], tmp_path / "nas.db")
    connection = sqlite3.connect(tmp_path / "nas.db")
    with connection:
        connection.execute("UPDATE runs SET status = 'running'")
    connection.close()
    assert [run.status for run in RunStore(tmp_path).records()] == ["interrupted"]


def test_eight_processes_bring_one_database_up_to_date(tmp_path: Path) -> None:
    shutil.copy(OLD_DATABASES[1], tmp_path / "nas.db")
    eight_at_once(tmp_path, None)
    assert len(RunStore(tmp_path).records()) == 9


def test_an_old_database_that_may_only_be_read_is_refused_whole(tmp_path: Path) -> None:
    shutil.copy(OLD_DATABASES[1], tmp_path / "nas.db")
    with on_connecting("PRAGMA query_only = ON"), pytest.raises(NasError, match=r"nas.db must be writable"):
        RunStore(tmp_path).records()
    assert (tmp_path / "nas.db").read_bytes() == OLD_DATABASES[1].read_bytes()
