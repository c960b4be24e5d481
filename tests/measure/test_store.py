from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError, NasError
from nas.graph import OperatorTable
from nas.graph.operators import NUMERIC_COLUMNS
from nas.latency.device import UNTOLD
from nas.measure.store import (
    REFERENCE,
    VERIFIED,
    NewTiming,
    StoredSegment,
    TimingStore,
    rows_of,
    stored_environment,
)
from nas.runners.timing import Summary, Timing
from nas.space import known_network
from tests.latency.examples import KINDS, pointwise, row, table

HERE: Mapping[str, str] = {
    "chip": "c", "runtime": "r 1", "system": "s", "cores": "2", "threads": "1", "precision": "float32",
    "compute_unit": "CPU",
}  # fmt: skip
RUNS = Timing(wall_ms=(1.75, 2.25, 0.1 + 0.2), cpu_ms=(1.5, 2.0, 1.0))
BATCH = 4
"""Timings of each batch that the tests store."""


def segment(number: int) -> StoredSegment:
    """A segment that has no equal among other numbers."""
    return StoredSegment(key=f"segment {number}", rows=(pointwise(8, number + 1, 4), row("act:relu")))


def timing(digest: str, *, role: str = "space", segments: tuple[int, ...] = (0, 1)) -> NewTiming:
    return NewTiming(
        name=f"network {digest}",
        digest=digest,
        role=role,
        segments=[segment(i) for i in segments],
        timing=RUNS,
    )


def batch(number: int) -> list[NewTiming]:
    """Networks and segments that no other number has, and the reference."""
    own = [timing(f"{number}-{i}", segments=(0, BATCH * number + i)) for i in range(1, BATCH)]
    return [timing("reference", role=REFERENCE), *own]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lut" / "device.db"


@pytest.fixture
def store(path: Path) -> Iterator[TimingStore]:
    with TimingStore(path, HERE) as opened:
        yield opened


def test_what_was_stored_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with TimingStore(path, HERE) as store:
        assert (store.timings(), store.digests(), store.seconds()) == ([], set(), 0.0)
        store.add_batch(batch(1), seconds=2.5)
        store.add_batch([timing("a", role="known"), timing("reference", role=REFERENCE)], seconds=1.0)
    with TimingStore(path, HERE) as store:
        found = store.timings()
        assert store.digests() == {"1-1", "1-2", "1-3", "a"}
        assert store.seconds() == 3.5
    assert [t.digest for t in found] == ["reference", "1-1", "1-2", "1-3", "a", "reference"]
    assert len({t.batch for t in found[:4]}) == 1 == len({t.batch for t in found[4:]})
    assert found[0].batch != found[4].batch
    one = found[2]
    assert (one.name, one.role, one.timing) == ("network 1-2", "space", RUNS)  # each run, to its last digit
    assert one.latency_ms == 1.5  # three quarters of three runs are all three, by the thread's clock
    assert one.segments == (segment(0), segment(BATCH + 2))


def test_the_operators_of_a_segment_come_back_as_they_were(store: TimingStore) -> None:
    network = known_network("mobilenetv3-small-1.0")
    new = timing("real")
    store.add_batch(
        [NewTiming(**{name: getattr(new, name) for name in new.__slots__} | {"segments": network.segments()})],
        seconds=1,
    )
    (found,) = store.timings()
    assert [s.key for s in found.segments] == [s.key for s in network.segments()]
    for before, after in zip(network.segments(), found.segments, strict=True):
        assert after.operators.kind.tolist() == before.operators.kind.tolist()
        for name in NUMERIC_COLUMNS:
            assert np.array_equal(getattr(after.operators, name), getattr(before.operators, name))


def test_rows_of_a_table_make_the_table_again() -> None:
    operators = table(*(row(kind) for kind in KINDS), pointwise(3, 5, 7))
    again = OperatorTable.from_rows(rows_of(operators))
    assert again.kind.tolist() == operators.kind.tolist()
    assert all(np.array_equal(getattr(again, name), getattr(operators, name)) for name in NUMERIC_COLUMNS)


def test_a_batch_that_fails_on_its_way_leaves_nothing(store: TimingStore) -> None:
    store.add_batch(batch(1), seconds=1.0)

    def broken() -> Iterator[NewTiming]:
        yield from batch(2)
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        store.add_batch(broken(), seconds=1.0)
    assert len(store.timings()) == BATCH and store.seconds() == 1.0
    store.add_batch(batch(2), seconds=1.0)
    assert len(store.timings()) == 2 * BATCH


def test_no_network_is_stored_twice_but_the_reference(store: TimingStore) -> None:
    store.add_batch(batch(1), seconds=1.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.add_batch([timing("new"), timing("1-2")], seconds=1.0)
    assert store.digests() == {"1-1", "1-2", "1-3"} and store.seconds() == 1.0
    store.add_batch([timing("reference", role=REFERENCE)], seconds=1.0)
    assert [t.role for t in store.timings()].count(REFERENCE) == 2


WRITER = """
import sys
from pathlib import Path
from nas.measure.store import TimingStore
from tests.measure.test_store import HERE, batch
with TimingStore(Path(sys.argv[1]), HERE) as store:
    first = len(store.timings())
    for number in range(first, first + 100_000):
        store.add_batch(batch(number), seconds=1.0)
        print(number, flush=True)
"""


def test_a_kill_loses_no_batch_and_leaves_no_part_of_one(path: Path) -> None:
    stored = 0
    for acknowledged in (1, 7, 40):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(acknowledged):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            said = acknowledged + len(writer.stdout.read().splitlines())
        with TimingStore(path, HERE) as store:
            found, seconds = store.timings(), store.seconds()
        assert len(found) == BATCH * seconds
        # The last batch may have been stored, and not yet told of.
        assert stored + said <= seconds <= stored + said + 1
        stored = int(seconds)
    assert len({t.digest for t in found}) == (BATCH - 1) * stored + 1


def test_a_second_writer_is_refused_and_disturbs_nothing(path: Path, store: TimingStore) -> None:
    store.add_batch(batch(1), seconds=1.0)
    with pytest.raises(NasError, match=r"device\.db is in use by another build"), TimingStore(path, HERE):
        pass
    store.add_batch(batch(2), seconds=1.0)
    assert len(store.timings()) == 2 * BATCH


@pytest.mark.parametrize("name", ["chip", "runtime", "threads", "precision", "compute_unit"])
def test_timings_taken_elsewhere_or_otherwise_do_not_mix(name: str, path: Path) -> None:
    with TimingStore(path, HERE):
        pass
    with pytest.raises(InputError, match=rf"timings of {name} '{HERE[name]}', but this is 'other'.*--restart"):
        TimingStore(path, {**HERE, name: "other"})
    with TimingStore(path, {**HERE, "system": "renewed", "cores": "4"}):
        pass


def test_a_full_disk_is_told_and_what_was_stored_is_kept(path: Path) -> None:
    with TimingStore(path, HERE) as store:
        store.add_batch(batch(1), seconds=1.0)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        many = [timing(f"x{i}", segments=tuple(range(100 + 40 * i, 140 + 40 * i))) for i in range(20)]
        with pytest.raises(NasError, match=r"a disk with room, but: database or disk is full; free some; what"):
            store.add_batch(many, seconds=1.0)
        assert len(store.timings()) == BATCH
    with TimingStore(path, HERE) as store:
        assert store.digests() == {"1-1", "1-2", "1-3"}
        store.add_batch(many, seconds=1.0)


def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "lut").write_text("not a folder")
    with pytest.raises(NasError, match=r"device\.db must be writable"):
        TimingStore(tmp_path / "lut" / "device.db", HERE)
    (tmp_path / "there.db").mkdir()
    with pytest.raises(NasError, match=r"there\.db must be a writable file"):
        TimingStore(tmp_path / "there.db", HERE)


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("segment,mean_ms\n" * 200)
    with pytest.raises(NasError, match=r"device\.db must be a whole file of timings, .* not a database"):
        TimingStore(path, HERE)
    assert path.read_text().startswith("segment,mean_ms")


def test_a_file_that_is_cut_off_is_refused(path: Path) -> None:
    with TimingStore(path, HERE) as store:
        for number in range(1, 30):
            store.add_batch(batch(number), seconds=1.0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    def read() -> None:
        with TimingStore(path, HERE) as store:
            store.timings()

    with pytest.raises(NasError, match=r"device\.db must be"):
        read()


def test_a_file_of_another_schema_is_refused(path: Path) -> None:
    with TimingStore(path, HERE):
        pass
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
    with pytest.raises(InputError, match="schema must be 5, but got '2'; start anew with --restart"):
        TimingStore(path, HERE)
    with connection:
        connection.execute("UPDATE meta SET value = '6' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(InputError, match="schema must be 5, but got '6'; a later version of the program wrote it"):
        TimingStore(path, HERE)
    with TimingStore(path, HERE, restart=True) as store:
        assert store.timings() == []


FORMER = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE segment (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, operators TEXT NOT NULL);
CREATE TABLE batch (id INTEGER PRIMARY KEY, began TEXT NOT NULL, seconds REAL NOT NULL);
CREATE TABLE timing (
    id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batch (id), name TEXT NOT NULL, digest TEXT NOT NULL,
    role TEXT NOT NULL, segments TEXT NOT NULL, latency_ms REAL NOT NULL, spread REAL NOT NULL, runs INTEGER NOT NULL,
    UNIQUE (batch, digest)
);
CREATE UNIQUE INDEX once ON timing (digest) WHERE role != 'reference';
INSERT INTO meta VALUES ('schema', '4'), ('environment', '{"chip": "c", "runtime": "r 1", "system": "s"}');
INSERT INTO segment VALUES (7, 'a', '[]'), (9, 'b', '[]');
INSERT INTO batch VALUES (1, '2026-01-01', 2.5), (2, '2026-01-02', 1.5), (3, '2026-01-03', 0.0);
INSERT INTO timing VALUES
    (1, 1, 'reference', 'r', 'reference', '[7]', 1.25, 0.5, 12), (2, 1, 'n', 'n', 'known', '[7, 9]', 0.1, 0.25, 12),
    (3, 2, 'reference', 'r', 'reference', '[7]', 1.5, 0.5, 12), (4, 3, 'v', 'v', 'verified', '[9]', 2.0, 0.0, 3);
"""
"""A file as it was when a timing had its typical time alone: two batches, and a network that was verified."""


def former(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(FORMER)
    connection.close()


def test_a_file_of_schema_4_opens_with_summaries_and_goes_on(path: Path) -> None:
    former(path)
    for _ in range(2):  # the second time it is one of today's
        with TimingStore(path, HERE) as store:
            found = store.timings()
            assert (store.digests(), store.seconds()) == ({"n", "v"}, 4.0)
        assert [(t.batch, t.digest, t.role) for t in found] == [
            (1, "r", REFERENCE), (1, "n", "known"), (2, "r", REFERENCE), (3, "v", VERIFIED),
        ]  # fmt: skip
        assert found[1].timing == Summary(typical_ms=0.1, spread=0.25, count=12)
        assert [t.latency_ms for t in found] == [1.25, 0.1, 1.5, 2.0]
        assert [segment.key for segment in found[1].segments] == ["a", "b"]
    with TimingStore(path, HERE) as store:
        store.add_batch(batch(1), seconds=1.0)
        assert store.timings()[-1].timing == RUNS
        with pytest.raises(sqlite3.IntegrityError):
            store.add_batch([timing("n")], seconds=1.0)


@pytest.mark.parametrize("runtime", ["LiteRT 2", "ONNX Runtime 1"])
def test_in_a_file_of_schema_4_only_onnx_runtime_has_its_copies(path: Path, runtime: str) -> None:
    former(path)
    conv, copy = ["pw", 1, 1, 1, 8, 8, 4, 4, 9.0, 1.0, 1.0, 1.0], ["reorder", 1, 1, 1, 8, 8, 4, 4, 0.0, 1.0, 1.0, 0.0]
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM segment")
        connection.executemany(
            "INSERT INTO segment VALUES (?, ?, ?)",
            [
                (5, "a ~ reorders 8x4x4", json.dumps([copy, conv, copy])),
                (7, "a", json.dumps([conv, copy])),
                (9, "b", json.dumps([conv])),
            ],
        )
        connection.execute("UPDATE timing SET segments = '[5, 9, 7, 5]' WHERE id = 2")
        connection.execute(
            "UPDATE meta SET value = ? WHERE name = 'environment'", (json.dumps({**HERE, "runtime": runtime}),)
        )
    connection.close()
    with TimingStore(path, {**HERE, "runtime": runtime}) as store:
        found = store.timings()
    a = ("a", ["pw"]) if runtime == "LiteRT 2" else ("a", ["pw", "reorder"])
    in_context = a if runtime == "LiteRT 2" else ("a ~ reorders 8x4x4", ["reorder", "pw", "reorder"])
    segments = [[(s.key, [row[0] for row in s.rows]) for s in timing.segments] for timing in found]
    assert segments == [[a], [in_context, ("b", ["pw"]), a, in_context], [a], [("b", ["pw"])]]


def test_a_file_of_schema_4_was_timed_in_one_thread_whatever_its_device_says(path: Path) -> None:
    former(path)
    with pytest.raises(InputError, match="timings of threads '1', but this is '4'.*--restart"):
        TimingStore(path, {**HERE, "threads": "4"})


def test_a_summary_is_stored_where_no_runs_are_known(store: TimingStore) -> None:
    summary = Summary(typical_ms=1.0 / 3.0, spread=0.5, count=50)
    store.add_batch([replace(timing("a"), timing=summary)], seconds=1.0)
    (found,) = store.timings()
    assert (found.timing, found.latency_ms) == (summary, 1.0 / 3.0)


def test_what_is_verified_is_timed_in_several_processes_between_two_of_the_reference(store: TimingStore) -> None:
    process = [timing("reference", role=REFERENCE), timing("v", role=VERIFIED), timing("reference", role=REFERENCE)]
    for _ in range(3):
        store.add_batch(process, seconds=0.0)
    assert [t.role for t in store.timings()].count(VERIFIED) == 3
    with pytest.raises(sqlite3.IntegrityError):
        store.add_batch([timing("w", role=VERIFIED)] * 2, seconds=0.0)


def test_a_batch_takes_the_place_of_one_that_is_called_the_same(path: Path) -> None:
    with TimingStore(path, HERE) as store:
        store.add_batch([timing("a"), timing("b")], seconds=2.0, called="mine")
        store.add_batch(batch(1), seconds=1.0)
        store.add_batch([timing("b"), timing("c")], seconds=4.0, called="mine")
        store.add_batch([timing("d")], seconds=1.0, called="yours")
    with TimingStore(path, HERE) as store:
        found: dict[int, list[str]] = {}
        for stored in store.timings():
            found.setdefault(stored.batch, []).append(stored.digest)
        mine, yours = store.batch_called("mine"), store.batch_called("yours")
        assert mine is not None and yours is not None and len(found) == 3
        assert (found[mine], found[yours]) == (["b", "c"], ["d"])
        assert store.batch_called("nobody's") is None
        assert store.seconds() == 6.0


def test_a_batch_that_fails_leaves_the_one_whose_place_it_would_take(store: TimingStore) -> None:
    store.add_batch([timing("a")], seconds=1.0, called="mine")
    store.add_batch([timing("b")], seconds=1.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.add_batch([timing("c"), timing("b")], seconds=1.0, called="mine")
    assert [stored.digest for stored in store.timings()] == ["a", "b"]
    assert store.batch_called("mine") == store.timings()[0].batch


def test_what_the_device_was_like_is_kept_with_its_batch(store: TimingStore) -> None:
    store.add_batch(batch(0), seconds=1.0, state=HERE)
    store.add_batch(batch(1), seconds=1.0, state={**HERE, "battery": "87 %"})
    assert store.states() == {2: {"battery": "87 %"}}


def test_a_file_tells_what_its_timings_are_of(path: Path) -> None:
    former(path)
    assert stored_environment(path) == {
        "chip": "c", "runtime": "r 1", "system": "s", "threads": "1", "precision": "float32", "compute_unit": "CPU",
    }  # fmt: skip
    other = path.with_name("other.db")
    with TimingStore(other, HERE):
        pass
    assert stored_environment(other) == HERE
    assert stored_environment(path.with_name("absent.db")) == {}


def test_timings_that_were_taken_before_the_chip_was_told_are_of_that_which_is(path: Path) -> None:
    with TimingStore(path, {**HERE, "chip": f"{UNTOLD} it is measured"}) as store:
        store.add_batch([timing("a")], seconds=1.0)
    with TimingStore(path, HERE) as store:
        assert len(store.timings()) == 1
    with pytest.raises(InputError, match=f"timings of chip '{HERE['chip']}', but this is 'other'"):
        TimingStore(path, {**HERE, "chip": "other"})
