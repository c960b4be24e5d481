from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.graph import Graph
from nas.measure.batches import BATCH, time_graphs
from nas.runners import Timing
from tests.measure.devices import TINY


class _Slowing:
    """A runner that takes one millisecond a network in its first process, two in its second, and so on."""

    suffix = ".onnx"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def environment(self) -> Mapping[str, str]:
        return {}

    def write(self, graph: Graph, path: Path, *, seed: int = 0) -> Path:
        path.write_bytes(b"")
        return path

    def time(self, files: Sequence[Path], *, rounds: int, threads: int = 1) -> list[Timing]:
        assert all(file.is_file() for file in files)
        self.batches.append([file.stem for file in files])
        ms = float(len(self.batches))
        return [Timing(wall_ms=(2.0 * ms,), cpu_ms=(ms, ms)) for _ in files]


def test_batches_are_joined_by_the_network_that_all_of_them_hold() -> None:
    runner, said = _Slowing(), []
    names = [f"n{i}" for i in range(2 * BATCH)]
    found = time_graphs(
        runner, dict.fromkeys(names, TINY.graph()), rounds=1, progress=lambda done, of: said.append((done, of))
    )
    assert [len(batch) for batch in runner.batches] == [BATCH, BATCH, 2]
    assert {batch[0] for batch in runner.batches} == {"n0"}
    assert sorted(found) == sorted((name, 1) for name in names)
    assert all(timing == Timing(wall_ms=(2.0,), cpu_ms=(1.0, 1.0)) for timing in found.values())
    assert said == [(0, 32), (15, 32), (30, 32)]


def test_one_network_is_one_batch() -> None:
    assert list(time_graphs(_Slowing(), {"a": TINY.graph()}, rounds=1, progress=lambda done, of: None)) == [("a", 1)]


def test_a_batch_is_timed_with_every_number_of_threads() -> None:
    runner = _Slowing()
    found = time_graphs(
        runner, dict.fromkeys("ab", TINY.graph()), rounds=1, threads=(1, 2), progress=lambda done, of: None
    )
    assert runner.batches == [["a", "b"], ["a", "b"]]
    assert {key: timing.typical_ms for key, timing in found.items()} == {
        ("a", 1): 1,
        ("b", 1): 1,
        ("a", 2): 2,
        ("b", 2): 2,
    }
