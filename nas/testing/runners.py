"""What every way of timing networks must do: inherit `RunnerConformance` and give it one fixture, `runner`."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.graph import Graph
from nas.graph.builder import Builder
from nas.runners.runner import RUNS_A_VISIT, Runner


def small_network(width: int) -> Graph:
    """A stem and a classifier; the work grows with `width`."""
    b = Builder((3, 32, 32))
    b.layer = 1
    x = b.conv(b.input, width, 3, 2, act="relu")
    b.layer += 1
    b.linear(b.global_pool(x, flatten=True), 10)
    return b.build()


class RunnerConformance:
    """The tests. `runner` must be able to run networks of convolutions here and now."""

    @pytest.fixture
    @abstractmethod
    def runner(self) -> Runner:
        """The runner to test."""

    def test_it_says_where_it_runs(self, runner: Runner) -> None:
        found = runner.environment()
        assert {"chip", "runtime", "system", "cores"} <= found.keys()
        assert all(isinstance(text, str) and text for text in found.values())
        assert found == runner.environment()

    def test_files_are_timed_in_their_order(self, runner: Runner, tmp_path: Path) -> None:
        files = [
            runner.write(small_network(width), tmp_path / f"{width}{runner.suffix}") for width in (256, 8, 256)
        ]  # fmt: skip
        timings = runner.time(files, rounds=5)
        assert [len(timing.wall_ms) for timing in timings] == [5 * RUNS_A_VISIT] * 3
        assert all(ms > 0.0 for timing in timings for ms in timing.wall_ms)
        large, small, again = (timing.typical_ms for timing in timings)
        assert small < large and small < again

    def test_one_thread_has_a_clock_of_its_own_or_none_and_two_have_none(self, runner: Runner, tmp_path: Path) -> None:
        files = [runner.write(small_network(8), tmp_path / f"m{runner.suffix}")]
        (one,) = runner.time(files, rounds=2)
        assert len(one.cpu_ms) in (0, len(one.wall_ms))
        (two,) = runner.time(files, rounds=2, threads=2)
        assert two.cpu_ms == () and len(two.wall_ms) == 2 * RUNS_A_VISIT

    def test_the_same_seed_gives_the_same_file(self, runner: Runner, tmp_path: Path) -> None:
        files = [
            runner.write(small_network(8), tmp_path / f"{name}{runner.suffix}", seed=seed)
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        ]
        first, second, other = (path.read_bytes() for path in files)
        assert first == second != other

    def test_a_file_that_is_cut_off_is_named_among_others(self, runner: Runner, tmp_path: Path) -> None:
        good = runner.write(small_network(8), tmp_path / f"good{runner.suffix}")
        bad = tmp_path / f"bad{runner.suffix}"
        bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
        with pytest.raises(InputError, match="bad.* must be a whole network") as caught:
            runner.time([good, bad], rounds=1)
        assert "\n" not in str(caught.value)

    def test_an_absent_file_is_named(self, runner: Runner, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="absent"):
            runner.time([tmp_path / f"absent{runner.suffix}"], rounds=1)

    @pytest.mark.parametrize(("rounds", "threads"), [(0, 1), (1, 0), (-1, 1)])
    def test_fewer_than_one_round_or_thread_is_refused(
        self, runner: Runner, rounds: int, threads: int, tmp_path: Path
    ) -> None:
        file = runner.write(small_network(8), tmp_path / f"m{runner.suffix}")
        with pytest.raises(InputError, match="at least 1"):
            runner.time([file], rounds=rounds, threads=threads)
