"""What every way of timing networks must do: inherit `RunnerConformance` and give it one fixture, `runner`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.graph import Graph
from nas.graph.builder import Builder
from nas.nets.untrained import write_untrained
from nas.runners.protocol import RUNS_A_VISIT, FileFault, Runner, TimingJob
from nas.runners.timing import Timing


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

    def write(self, graph: Graph, path: Path) -> Path:
        """Write `graph` in the form that the runner reads."""
        return write_untrained(graph, path)

    def file(self, runner: Runner, folder: Path, name: str = "m", width: int = 8) -> Path:
        """A small network for `runner`."""
        return self.write(small_network(width), folder / f"{name}{runner.suffix}")

    def job(self, runner: Runner, *files: Path, rounds: int = 1) -> TimingJob:
        """A job that `runner` can do."""
        able = runner.abilities
        return TimingJob(
            files=files, rounds=rounds, precision=able.precisions[0], compute_unit=able.compute_units[0]
        )  # fmt: skip

    def test_it_says_where_it_runs(self, runner: Runner) -> None:
        found = runner.environment()
        assert {"chip", "runtime", "system", "cores"} <= found.keys()
        assert all(isinstance(text, str) and text for text in found.values())
        assert int(found["cores"]) >= 1
        assert found == runner.environment()

    def test_it_tells_what_loading_and_the_first_run_took(self, runner: Runner, tmp_path: Path) -> None:
        (timing,) = runner.time(self.job(runner, self.file(runner, tmp_path))).timings()
        assert timing.load_ms is not None and timing.load_ms > 0.0
        assert timing.first_ms is not None and timing.first_ms > 0.0

    def test_files_are_timed_in_their_order(self, runner: Runner, tmp_path: Path) -> None:
        widths = {"a": 256, "b": 8, "c": 256}
        files = [self.file(runner, tmp_path, name, width) for name, width in widths.items()]
        with runner:
            session = runner.time(self.job(runner, *files, rounds=5))
        timings = session.timings()
        assert session.faults == ()
        assert [len(timing.wall_ms) for timing in timings] == [5 * RUNS_A_VISIT] * 3
        assert all(ms > 0.0 for timing in timings for ms in timing.wall_ms)
        large, small, again = (timing.typical_ms for timing in timings)
        assert small < large and small < again

    def test_a_session_says_where_it_was(self, runner: Runner, tmp_path: Path) -> None:
        session = runner.time(self.job(runner, self.file(runner, tmp_path)))
        assert {key: session.environment[key] for key in ("chip", "runtime")} == {
            key: runner.environment()[key] for key in ("chip", "runtime")
        }

    def test_no_files_are_no_results(self, runner: Runner) -> None:
        assert runner.time(self.job(runner)).results == ()

    def test_one_thread_has_a_clock_of_its_own_or_none_and_others_have_none(
        self, runner: Runner, tmp_path: Path
    ) -> None:
        job = self.job(runner, self.file(runner, tmp_path), rounds=2)
        (one,) = runner.time(job).timings()
        assert len(one.cpu_ms) in (0, len(one.wall_ms))
        for threads in (2, 0):  # 0: as many as the runtime likes
            (several,) = runner.time(replace(job, threads=threads)).timings()
            assert several.cpu_ms == () and len(several.wall_ms) == 2 * RUNS_A_VISIT

    def test_a_file_that_is_cut_off_has_a_fault_and_the_others_have_their_timings(
        self, runner: Runner, tmp_path: Path
    ) -> None:
        good, other = self.file(runner, tmp_path, "good"), self.file(runner, tmp_path, "other")
        bad = tmp_path / f"bad{runner.suffix}"
        bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
        session = runner.time(self.job(runner, good, bad, other, rounds=3))
        first, fault, last = session.results
        assert isinstance(first, Timing) and isinstance(last, Timing) and isinstance(fault, FileFault)
        assert len(first.wall_ms) == len(last.wall_ms) == 3 * RUNS_A_VISIT
        assert session.faults == (fault,) and fault.path == bad
        assert str(bad) in fault.text and "must be a whole network" in fault.text and "\n" not in fault.text
        with pytest.raises(InputError, match="bad.* must be a whole network"):
            session.timings()

    def test_an_absent_file_has_a_fault_that_names_it(self, runner: Runner, tmp_path: Path) -> None:
        absent = tmp_path / f"absent{runner.suffix}"
        session = runner.time(self.job(runner, absent, self.file(runner, tmp_path)))
        assert [type(result) for result in session.results] == [FileFault, Timing]
        assert str(absent) in session.faults[0].text

    def test_what_it_cannot_do_it_refuses_by_name(self, runner: Runner, tmp_path: Path) -> None:
        job, able = self.job(runner, self.file(runner, tmp_path)), runner.abilities
        with pytest.raises(InputError, match=rf"precision must be .*{able.precisions[0]}.* but got 'int3'"):
            runner.time(replace(job, precision="int3"))
        with pytest.raises(InputError, match=rf"compute_unit must be .*{able.compute_units[0]}.* but got 'abacus'"):
            runner.time(replace(job, compute_unit="abacus"))
        with pytest.raises(InputError, match=f"threads must be at most {able.max_threads}"):
            runner.time(replace(job, threads=able.max_threads + 1))

    def test_it_can_be_entered_again_after_it_was_left(self, runner: Runner, tmp_path: Path) -> None:
        job = self.job(runner, self.file(runner, tmp_path))
        for _ in range(2):
            with runner as entered:
                assert entered is runner
                assert len(entered.time(job).timings()) == 1
