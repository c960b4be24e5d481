from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.runs import RunStore, installed_versions
from nas.runs.store import utc_now
from nas.testing.runs import RunStoreConformance, on_connecting


class TestTheFileOfAWorkspace(RunStoreConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> str | None:
        return None


class TestAFileByItsUrl(RunStoreConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/my trials.db"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_versions_are_those_of_what_computes() -> None:
    assert {"python", "platform", "numpy", "torch", "onnxruntime"} <= set(installed_versions())


def test_a_run_that_was_killed_is_interrupted(store: RunStore) -> None:
    code = (
        "import os, sys, pathlib; from nas.runs import RunStore\n"
        "with RunStore(pathlib.Path(sys.argv[1]), beat_seconds=0.01).start('search', command='c') as run:\n"
        "    print(run.id, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    run_id = done.stdout.strip()
    assert store.get(run_id).status == "running"
    later = RunStore(store.folder, clock=lambda: utc_now() + timedelta(seconds=90))
    assert later.get(run_id).status == "interrupted"


def test_a_workspace_may_be_moved(store: RunStore, tmp_path: Path) -> None:
    with store.start("search", command="c") as run:
        run.add_artefact("zoo", store.folder / "zoo" / "net")
    store.folder.rename(tmp_path / "elsewhere")
    (artefact,) = RunStore(tmp_path / "elsewhere").get(run.id).artefacts
    assert artefact.path == tmp_path / "elsewhere" / "zoo" / "net"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NasError, match=r"file/runs must be writable") as caught:
        RunStore(tmp_path / "file" / "runs").start("search", command="c")
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)


def test_a_file_that_may_only_be_read_is_read_and_named(store: RunStore) -> None:
    with store.start("search", command="c") as run:
        run.finish({})
    with on_connecting("PRAGMA query_only = ON"):  # the error that SQLite gives for a file without the permission
        assert [found.id for found in store.records()] == [run.id]
        with pytest.raises(NasError, match=r"nas.db must be writable.*readonly database; let this user.*--storage"):
            store.start("search", command="c")


def test_a_disk_that_fills_up_costs_the_record_and_not_the_result(store: RunStore) -> None:
    """A database that may not grow stands for a full disk: SQLite reports both as the same error."""
    with (
        store.start("search", command="c") as run,
        on_connecting("PRAGMA max_page_count = 1"),
        pytest.raises(NasError, match=r"its disk must have room, but: database or disk is full"),
    ):
        run.finish({"front": ["x" * 1000] * 2000})
    assert store.get(run.id).status == "running"


def test_a_beat_that_fails_costs_the_run_nothing(store: RunStore, tmp_path: Path) -> None:
    beating = RunStore(store.folder, beat_seconds=0.001)
    database, aside = store.folder / "nas.db", tmp_path / "aside.db"
    with beating.start("search", command="c") as run:
        database.rename(aside)
        with pytest.raises(NasError, match=r"nas.db must hold the run .*, but is gone"):
            beating.beat(run.id)
        assert not database.exists()
        aside.rename(database)
        run.finish({"best": 1})
    assert store.get(run.id).result == {"best": 1}
