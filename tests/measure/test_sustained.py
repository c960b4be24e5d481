from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.latency import device_home
from nas.measure.stopwatch import Stopwatch
from nas.measure.sustained import INTERRUPTED, Course, Point, run_on
from nas.runners.protocol import TimingJob, TimingSession
from nas.runners.timing import Timing
from tests.measure.devices import SimulatedRunner


class Warming(SimulatedRunner):
    """A device on which a run takes 10 ms, and 0.1 ms more for each second since the beginning; a process takes half a
    second. What `faults` has for the number of a process is raised."""

    suffix = ".txt"

    def __init__(self, faults: Mapping[int, BaseException] | None = None) -> None:
        super().__init__()
        self.faults = dict(faults or {})

    def time(self, job: TimingJob) -> TimingSession:
        if len(self.jobs) in self.faults:
            raise self.faults[len(self.jobs)]
        self.jobs.append(job)
        took = 10.0 + 0.1 * self.now
        timing = Timing(wall_ms=(took,) * job.rounds, load_ms=30.0 + len(self.jobs), first_ms=20.0)
        state = {**self.environment(), "battery": f"{30 + self.now // 60:.0f} °C"}
        self.now += 0.5 + 2 * job.rounds * took / 1e3
        return TimingSession(environment=state, results=(timing,))


def course(runner: Warming, folder: Path, seconds: float = 100.0) -> Course:
    network = folder / "a.txt"
    network.write_text("10.0 ms", encoding="utf-8")
    watch = Stopwatch(device_home("local"), runner, patience_s=())
    return run_on(watch, network, seconds, threads=1, clock=runner.monotonic)


def test_a_network_runs_for_as_long_as_asked_in_batches_without_cooling_between(tmp_path: Path) -> None:
    runner = Warming()
    found = course(runner, tmp_path)
    assert found.ended == "" and 100.0 <= found.seconds < 102.0
    assert [job.cool for job in runner.jobs] == [True] + [False] * (len(runner.jobs) - 1)
    # A fortieth of all is 2.5 s a batch, and half a second around it; the first is a look of three rounds, the next has
    # at most ten times as many.
    assert 32 <= len(found.points) <= 40
    lasted = np.array([2 * sum(point.runs_ms) / 1e3 for point in found.points[3:-2]])
    assert lasted == pytest.approx(2.5, rel=0.15)
    at = [point.at_s for point in found.points]
    assert at == sorted(at) and 0.0 < at[0] < 1.0 and 95.0 < at[-1] < 101.0
    assert found.load_ms == 31.0 and found.first_ms == 20.0
    assert found.points[0].state == {"battery": "30 °C"} and found.points[-1].state == {"battery": "31 °C"}


def test_the_curve_tells_how_the_device_warms(tmp_path: Path) -> None:
    """A fifth of 100 s is 20 s: around 10 s a run takes 11 ms, around 90 s 19 ms."""
    found = course(Warming(), tmp_path)
    assert found.change == pytest.approx(19.0 / 11.0 - 1.0, abs=0.04)
    record = found.as_json()
    assert record["curve"][0]["p50_ms"] == pytest.approx(10.0)
    assert record["p50_ms"] == pytest.approx(np.median([run for point in found.points for run in point.runs_ms]))
    assert record["p50_ms"] < record["p90_ms"] < record["curve"][-1]["p50_ms"] + 0.5


@pytest.mark.parametrize(
    ("fault", "said"), [(KeyboardInterrupt(), INTERRUPTED), (NasError("it is gone"), "it is gone")]
)
def test_what_was_timed_until_it_ended_is_there(tmp_path: Path, fault: BaseException, said: str) -> None:
    found = course(Warming({7: fault}), tmp_path)
    assert found.ended == said and len(found.points) == 7 and found.seconds < 20.0
    with pytest.raises(type(fault)):
        course(Warming({0: fault}), tmp_path)


def test_a_few_batches_tell_no_change() -> None:
    point = Point(at_s=1.0, runs_ms=(1.0, 2.0), state={})
    found = Course(environment={}, seconds=8.0, load_ms=None, first_ms=None, points=(point,) * 4)
    assert found.change is None and found.as_json()["curve"][0]["p90_ms"] == pytest.approx(1.9)


class Hot(Warming):
    """A device that has to cool for so many seconds before it begins where that is asked for."""

    def time(self, job: TimingJob) -> TimingSession:
        cooled_s = 600.0 if job.cool else 0.0
        self.now += cooled_s
        return replace(super().time(job), cooled_s=cooled_s)


def test_a_device_that_cools_first_runs_as_long_as_one_that_is_cool(tmp_path: Path) -> None:
    found = course(Hot(), tmp_path, seconds=60.0)
    assert 60.0 <= found.seconds < 64.0 and len(found.points) > 10
    assert found.points[0].at_s < 1.0
