from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.latency import Estimate, device_home
from nas.measure.build import reference_item
from nas.measure.check import MOST_PROCESSES, ROUNDS, Checked, check, equal_macs_spearman, time_repeatedly
from nas.measure.plan import network_item
from nas.measure.stopwatch import Stopwatch
from nas.measure.store import REFERENCE
from nas.runners.protocol import FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing
from nas.runtimes import ONNX_RUNTIME, OWN
from tests.measure.devices import TINY, SimulatedRunner, simulate_clock_and_files


class Scripted(SimulatedRunner):
    """A machine whose processes are as slow as `slow` says, by turns; `ms` is what each file takes on it when it is not
    slow, by the file's name (the reference is written here, so its name is another), and `bad` a process in which the
    file "b" cannot be run."""

    def __init__(self, slow: tuple[float, ...], ms: Mapping[str, float], *, bad: int | None = None) -> None:
        super().__init__()
        self.slow, self.ms, self.bad = slow, ms, bad

    def time(self, job: TimingJob) -> TimingSession:
        turn = len(self.jobs)
        self.jobs.append(job)
        factor = self.slow[turn % len(self.slow)]
        results = [
            FileFault(path=path, text=f"{path} must be a network, but is none; leave it out.")
            if path.stem == "b" and self.bad is not None and turn >= self.bad
            else Timing(wall_ms=(factor * self.ms.get(path.stem, 2.0),) * job.rounds)
            for path in job.files
        ]
        return TimingSession(environment={}, results=tuple(results))


def watch(runner: SimulatedRunner, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Stopwatch:
    simulate_clock_and_files(monkeypatch, runner)
    return Stopwatch(device_home("local"), runner, scratch=folder / "files")


FILES = [Path("a.txt"), Path("b.txt"), Path("c.txt")]
MS = {"a": 1.0, "b": 3.0, "c": 5.0}


def test_processes_are_brought_to_the_usual_speed_until_the_mean_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner = Scripted((1.25, 0.8, 1.0), MS)
    found = time_repeatedly(watch(runner, monkeypatch, tmp_path), FILES, usual=2.0)
    assert len(runner.jobs) == 3  # the fewest of which an error is known; here they agree
    assert all(job.rounds == ROUNDS and len(job.files) == 5 for job in runner.jobs)
    assert found.timed == (0, 1, 2) and found.faults == {}
    assert found.reference_ms == pytest.approx([2.5, 1.6, 2.0])
    assert found.clock_ms == pytest.approx(np.outer([1.25, 0.8, 1.0], [1.0, 3.0, 5.0]))
    assert found.corrected_ms == pytest.approx(np.array([[1.0, 3.0, 5.0]] * 3))
    assert found.mean_ms == pytest.approx([1.0, 3.0, 5.0])


def test_processes_that_disagree_are_followed_by_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = Scripted((1.25, 0.8), MS)
    found = time_repeatedly(watch(runner, monkeypatch, tmp_path), FILES, usual=None)
    assert len(found.processes) == len(runner.jobs) == MOST_PROCESSES
    assert found.corrected_ms == pytest.approx(found.clock_ms)  # no speed was asked for
    assert found.mean_ms == pytest.approx([1.0, 3.0, 5.0])  # the geometric mean of 1.25 and 0.8 is 1


def test_a_network_that_fails_costs_no_other_its_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = Scripted((1.0,), MS, bad=1)
    found = time_repeatedly(watch(runner, monkeypatch, tmp_path), FILES, usual=2.0)
    assert list(found.faults) == [1] and found.timed == (0, 2)
    assert found.mean_ms == pytest.approx([1.0, 5.0]) and found.clock_ms.shape == (3, 2)
    assert [len(job.files) for job in runner.jobs] == [5, 5, 4]
    alone = time_repeatedly(watch(Scripted((1.0,), MS, bad=0), monkeypatch, tmp_path), FILES[1:2], usual=2.0)
    assert alone.timed == () and list(alone.faults) == [0] and len(alone.processes) == 1


def test_a_check_gives_what_came_of_each_and_what_a_store_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    items = [network_item(network, "check", OWN) for network in (TINY, TINY.at_resolution(32))]
    predicted = [Estimate(mean_ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, source="measured") for ms in (2.1, 9.0)]
    found, batches = check(watch(Scripted((1.5, 1.0, 1.0), {}), monkeypatch, tmp_path), items, predicted, usual=2.0)
    first, second = found
    assert isinstance(first, Checked) and isinstance(second, Checked)
    assert (first.measured_ms, first.clock_ms) == pytest.approx((2.0, 2.0))
    assert first.reference_ms == pytest.approx((3.0 + 2.0 + 2.0) / 3.0)
    assert first.error == pytest.approx(0.05) and first.inside and not second.inside
    assert [[timing.role for timing in batch] for batch in batches] == [[REFERENCE, "check", "check", REFERENCE]] * 3
    reference = reference_item(ONNX_RUNTIME)  # that of the device
    assert all(batch[i].segments == reference.segments for batch in batches for i in (0, -1))
    assert [batch[1].timing.typical_ms for batch in batches] == pytest.approx([3.0, 2.0, 2.0])


def test_a_machine_that_does_not_run_the_reference_checks_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Refusing(SimulatedRunner):
        def time(self, job: TimingJob) -> TimingSession:
            return TimingSession(environment={}, results=tuple(FileFault(path=p, text="none") for p in job.files))

    with pytest.raises(InputError, match="none"):
        time_repeatedly(watch(Refusing(), monkeypatch, tmp_path), FILES, usual=2.0)


def test_bands_of_equal_multiply_adds_are_ranked_by_themselves() -> None:
    macs = np.array([100.0, 101, 102, 103, 104, 1000, 1001, 1002, 1003, 1004, 5000])
    measured = np.array([1.0, 2, 3, 4, 5, 50, 40, 30, 20, 10, 99])
    predicted = np.array([1.0, 2, 3, 4, 5, 51, 41, 31, 21, 11, 7])
    found = equal_macs_spearman(macs, predicted, measured)
    # Two bands of five; the last network is alone. By MACs one band is in order and one the other way round.
    assert found == {"bands": 2, "networks": 10, "predicted": pytest.approx(1.0), "macs": pytest.approx(0.0)}
    alone = equal_macs_spearman(macs[:3], predicted[:3], measured[:3])
    assert (alone["bands"], alone["predicted"], alone["macs"]) == (0, None, None)


def test_networks_of_the_same_multiply_adds_have_no_rank_by_these() -> None:
    measured = np.array([1.0, 2, 3, 4, 5])
    found = equal_macs_spearman(np.array([100.0] * 5), measured, measured)
    assert found == {"bands": 1, "networks": 5, "predicted": pytest.approx(1.0), "macs": None}
