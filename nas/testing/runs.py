"""What a run store must do in every kind of database: inherit `RunStoreConformance`, give it one fixture, `storage`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from nas.errors import InputError, NasError
from nas.runs import RunStore, installed_versions
from nas.runs.models import SCHEMA_VERSION

START = datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC)

_AT_ONCE = """
import multiprocessing, pathlib, sys
from nas.runs import RunStore

folder, url = pathlib.Path(sys.argv[1]), sys.argv[2] or None
fork = multiprocessing.get_context("fork")
together = fork.Barrier(8)

def work(number):
    together.wait()
    with RunStore(folder, url=url).start("search", command=str(number)) as run:
        run.add_artefact("zoo", folder / str(number))
        run.finish({"number": number})

processes = [fork.Process(target=work, args=(number,)) for number in range(8)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit([process.exitcode for process in processes] != [0] * 8)
"""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds)


@contextmanager
def on_connecting(statement: str) -> Iterator[None]:
    """Inside the block every new connection of SQLAlchemy begins with `statement`."""

    def run(connection: Any, _: object) -> None:
        connection.execute(statement)

    event.listen(Engine, "connect", run)
    try:
        yield
    finally:
        event.remove(Engine, "connect", run)


def eight_at_once(folder: Path, storage: str | None) -> None:
    """Eight processes record a run each, beginning at the same moment; all of them must live."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _AT_ONCE, str(folder), storage or ""],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class RunStoreConformance:
    """The tests. `storage` must name a database without tables, or be None for the file of a workspace."""

    @pytest.fixture
    @abstractmethod
    def storage(self, tmp_path: Path) -> str | None:
        """The URL to test."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock of `store`."""
        return Clock()

    @pytest.fixture
    def store(self, storage: str | None, tmp_path: Path, clock: Clock) -> RunStore:
        """The store to test, at the end of a clock that stands still."""
        return RunStore(tmp_path / "runs", url=storage, clock=clock)

    def test_a_finished_run_is_kept_with_all_that_repeats_it(
        self, store: RunStore, storage: str | None, clock: Clock
    ) -> None:
        inputs = {"space": {"name": "mobile", "digest": "ab12"}}
        result = {"best": {"name": "net", "params": 5, "note": "≤ 1 ms"}, "front": []}
        with store.start("search", command="nas search --seed 3", inputs=inputs, seed=3) as run:
            clock.advance(12.5)
            run.add_artefact("zoo", store.folder / "zoo" / "net")
            run.add_artefact("plot", Path("/elsewhere/plot.png"))
            run.finish(result)
        found = RunStore(store.folder, url=storage).get(run.id)
        assert found.id.startswith("20261123-101502-") and len(found.id) == 20
        assert (found.kind, found.command, found.seed, found.status) == ("search", "nas search --seed 3", 3, "done")
        assert (found.created, found.seconds, found.error) == (START, 12.5, None)
        assert (found.inputs, found.versions, found.result) == (inputs, installed_versions(), result)
        assert [(a.kind, a.path) for a in found.artefacts] == [
            ("zoo", store.folder / "zoo" / "net"), ("plot", Path("/elsewhere/plot.png"))
        ]  # fmt: skip
        assert run.folder == store.folder / run.id
        document = found.as_json()
        assert document["run"] == run.id and document["created"] == "2026-11-23T10:15:02+00:00"

    def test_a_failure_is_recorded_with_its_text_and_goes_on(self, store: RunStore, clock: Clock) -> None:
        run = store.start("search", command="c")
        clock.advance(1)
        with pytest.raises(NasError, match="no network meets"), run:
            raise NasError("no network meets the target")
        found = store.get(run.id)
        assert (found.status, found.error) == ("failed", "no network meets the target")
        assert (found.seconds, found.result) == (1, None)

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_is_recorded_as_one(self, store: RunStore, interruption: type[BaseException]) -> None:
        with pytest.raises(interruption), store.start("search", command="c") as run:
            raise interruption
        assert store.get(run.id).status == "interrupted"

    def test_a_run_without_a_result_is_done_when_it_ends(self, store: RunStore) -> None:
        with store.start("train", command="c") as run:
            assert store.get(run.id).status == "running"
        assert (store.get(run.id).status, store.get(run.id).result) == ("done", None)

    def test_a_run_ends_once(self, store: RunStore) -> None:
        with store.start("search", command="c") as run:
            run.finish({"best": 1})
        endings: list[Callable[[], object]] = [
            lambda: store.finish(run.id, {}),
            lambda: store.fail(run.id, "text"),
            lambda: store.interrupt(run.id),
            lambda: store.beat(run.id),
        ]
        for end in endings:
            with pytest.raises(NasError, match=rf"run {run.id} must be running, but is done already"):
                end()
        assert (store.get(run.id).status, store.get(run.id).result) == ("done", {"best": 1})

    def test_what_is_made_of_a_result_is_added_after_the_end(self, store: RunStore) -> None:
        with store.start("search", command="c") as run:
            run.finish({})
        store.add_artefact(run.id, "zoo", store.folder / "zoo" / "later")
        (artefact,) = store.get(run.id).artefacts
        assert artefact.path == store.folder / "zoo" / "later"

    def test_a_run_that_is_gone_is_named(self, store: RunStore) -> None:
        store.start("search", command="c")
        uses: list[Callable[[], object]] = [
            lambda: store.finish("x"),
            lambda: store.add_artefact("x", "zoo", store.folder),
        ]
        for use in uses:
            with pytest.raises(NasError, match="run x must be in its database"):
                use()

    def test_a_silent_run_counts_as_interrupted_until_it_is_heard_of(self, store: RunStore, clock: Clock) -> None:
        run = store.start("search", command="c")
        clock.advance(90)
        assert store.get(run.id).status == "running"
        clock.advance(1)
        assert store.get(run.id).status == "interrupted"
        assert [found.status for found in store.records()] == ["interrupted"]
        signs: list[Callable[[], object]] = [
            lambda: store.beat(run.id),
            lambda: run.add_artefact("zoo", store.folder / "net"),
        ]
        for sign in signs:
            sign()
            clock.advance(90)
            assert store.get(run.id).status == "running"
            clock.advance(1)
            assert store.get(run.id).status == "interrupted"
        run.finish({"late": True})
        assert (store.get(run.id).status, store.get(run.id).seconds) == ("done", 3 * 91)

    def test_a_run_under_way_is_heard_of_by_itself(self, storage: str | None, tmp_path: Path, clock: Clock) -> None:
        store = RunStore(tmp_path / "runs", url=storage, clock=clock, beat_seconds=0.01)
        with store.start("search", command="c") as run:
            clock.advance(1000)
            patience = time.monotonic() + 30
            while store.get(run.id).status != "running" and time.monotonic() < patience:
                time.sleep(0.01)
            assert store.get(run.id).status == "running"
        assert not [thread for thread in threading.enumerate() if run.id in thread.name]

    def test_listing_has_the_newest_first(self, store: RunStore, clock: Clock) -> None:
        assert store.records() == []
        assert not store.folder.exists()  # looking makes nothing
        ids = []
        for kind in ("search", "lut", "search"):
            with store.start(kind, command="c") as run:
                ids.append(run.id)
            clock.advance(1)
        assert [r.id for r in store.records()] == ids[::-1]
        assert [r.id for r in store.records(kind="search")] == [ids[2], ids[0]]

    def test_listing_reads_no_result(self, store: RunStore) -> None:
        with store.start("search", command="c") as run:
            run.add_artefact("zoo", store.folder / "net")
            run.finish({"best": 1})
        statements: list[str] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            statements.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            (listed,) = store.records()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert any("runs.command" in statement for statement in statements)
        assert not any("result" in statement for statement in statements)
        assert {**listed.as_json(), "result": {"best": 1}} == store.get(run.id).as_json()

    def test_runs_of_the_same_second_have_different_ids(self, store: RunStore) -> None:
        assert len({store.start("search", command="c").id for _ in range(5)}) == 5

    def test_an_unknown_run_is_answered_with_near_ids(self, store: RunStore) -> None:
        with pytest.raises(InputError, match=r"run must be a known name.*known: none.*nas runs list"):
            store.get("20261123-101502-0000")
        run = store.start("search", command="c")
        with pytest.raises(InputError, match=run.id):
            store.get(run.id[:-1])

    def test_eight_processes_open_a_fresh_database_at_once(
        self, store: RunStore, storage: str | None, tmp_path: Path
    ) -> None:
        eight_at_once(store.folder, storage)
        found = RunStore(store.folder, url=storage).records()
        assert sorted(run.command for run in found) == [str(number) for number in range(8)]
        assert {run.status for run in found} == {"done"}
        assert all(len(run.artefacts) == 1 for run in found)

    def test_tables_of_a_newer_version_are_refused_and_kept(self, store: RunStore, storage: str | None) -> None:
        with store.start("search", command="c") as run:
            pass
        self.execute(store, storage, "UPDATE schema_version SET version = 99")
        for use in (store.records, lambda: store.get(run.id), lambda: store.start("search", command="c")):
            with pytest.raises(NasError, match=r"made by a newer version of nas: .* schema 99, .*upgrade nas"):
                use()
        self.execute(store, storage, f"UPDATE schema_version SET version = {SCHEMA_VERSION}")
        assert [found.id for found in store.records()] == [run.id]

    def test_tables_of_another_program_are_refused_and_kept(self, store: RunStore, storage: str | None) -> None:
        store.folder.mkdir()
        self.execute(store, storage, "CREATE TABLE runs (run_uuid VARCHAR)")
        for use in (store.records, lambda: store.start("search", command="c")):
            with pytest.raises(NasError, match="must be a database of nas, or hold no tables called runs"):
                use()
        self.execute(store, storage, "SELECT run_uuid FROM runs")

    @staticmethod
    def execute(store: RunStore, storage: str | None, statement: str) -> None:
        """Run a statement in the database, beside the store."""
        engine = create_engine(storage or f"sqlite:///{store.place}", poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(statement))
