from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.measure.batches import BATCH, time_in_batches
from nas.measure.stopwatch import Network, Stopwatch
from nas.runners.protocol import FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing
from tests.measure.devices import SimulatedRunner, stopwatch


class Slowing(SimulatedRunner):
    """A runner that takes one millisecond a network in its first process, two in its second, and so on; it cannot run
    files called "bad"."""

    def time(self, job: TimingJob) -> TimingSession:
        self.jobs.append(job)
        ms = float(len(self.jobs))
        results = (
            FileFault(path=path, text="a reason") if path.stem == "bad" else Timing(wall_ms=(2 * ms,), cpu_ms=(ms, ms))
            for path in job.files
        )
        return TimingSession(environment={}, results=tuple(results))


@pytest.fixture
def runner() -> Slowing:
    return Slowing()


@pytest.fixture
def watch(runner: Slowing, tmp_path: Path) -> Stopwatch:
    return stopwatch(runner, tmp_path)


def networks(*names: str) -> dict[str, Network]:
    return {name: Path(f"{name}.txt") for name in names}


def ignore(done: int, of: int) -> None:
    """Progress that nobody looks at."""


def test_batches_are_brought_to_the_usual_speed_by_the_network_that_all_of_them_hold(
    runner: Slowing, watch: Stopwatch
) -> None:
    said, names = [], [f"n{i}" for i in range(2 * BATCH)]
    found, faults = time_in_batches(
        watch, networks(*names), rounds=1, threads=(1,), progress=lambda done, of: said.append((done, of))
    )
    batches = [[path.stem for path in job.files] for job in runner.jobs]
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 2]
    assert {batch[0] for batch in batches} == {"n0"}
    assert sorted(found) == sorted((name, 1) for name in names) and faults == {}
    # The reference took 1, 2 and 3 ms: the machine's usual speed is that of the second batch.
    assert all(timing.cpu_ms == pytest.approx((2.0, 2.0)) for timing in found.values())
    assert all(timing.wall_ms == pytest.approx((4.0,)) for timing in found.values())
    assert said == [(0, 32), (15, 32), (30, 32)]


def test_one_network_is_one_batch(watch: Stopwatch) -> None:
    found, _ = time_in_batches(watch, networks("a"), rounds=1, threads=(1,), progress=ignore)
    assert list(found) == [("a", 1)]


def test_a_batch_is_timed_with_every_number_of_threads(runner: Slowing, watch: Stopwatch) -> None:
    found, _ = time_in_batches(watch, networks("a", "b"), rounds=3, threads=(1, 2), progress=ignore)
    assert [(job.threads, job.rounds, len(job.files)) for job in runner.jobs] == [(1, 3, 2), (2, 3, 2)]
    assert {key: timing.typical_ms for key, timing in found.items()} == {
        ("a", 1): 1.0, ("b", 1): 1.0, ("a", 2): 2.0, ("b", 2): 2.0,
    }  # fmt: skip


def test_what_cannot_be_timed_is_told_and_costs_no_other_its_timing(watch: Stopwatch) -> None:
    found, faults = time_in_batches(watch, networks("a", "bad", "c"), rounds=1, threads=(1, 2), progress=ignore)
    assert {name for name, _ in found} == {"a", "c"} and faults["bad"].text == "a reason"
    with pytest.raises(InputError, match="a reason"):
        time_in_batches(watch, networks("bad", "c"), rounds=1, threads=(1,), progress=ignore)
