from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.errors import ConversionError, InputError, NasError, UnreachableError
from nas.latency import DeviceHome, device_home
from nas.measure.stopwatch import Stopwatch, open_stopwatch
from nas.runners.find import find_runner
from nas.runners.protocol import FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing
from tests.extras import needs
from tests.measure.devices import TINY, SimulatedRunner, simulate_clock_and_files, stopwatch, tiny_onnx


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> SimulatedRunner:
    found = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, found)
    return found


def local(**changes: Any) -> DeviceHome:
    """The shipped device `local`, its `device.yaml` changed."""
    home = device_home("local")
    return replace(home, device=replace(home.device, **changes))


def test_networks_are_timed_as_the_device_says(runner: SimulatedRunner, tmp_path: Path) -> None:
    home = local(threads=4, precision="float16", compute_unit="GPU")
    with stopwatch(runner, tmp_path / "files", home=home) as watch:
        assert runner.entered == 1
        watch.time([TINY.graph], rounds=3)
        watch.time([TINY.graph], rounds=3, threads=2)
    assert runner.entered == 0
    assert [(job.threads, job.precision, job.compute_unit, job.rounds) for job in runner.jobs] == [
        (4, "float16", "GPU", 3), (2, "float16", "GPU", 3),
    ]  # fmt: skip
    assert watch.environment() == {
        **runner.environment(), "threads": "4", "precision": "float16", "compute_unit": "GPU",
    }  # fmt: skip


def test_files_are_timed_as_they_are_and_graphs_are_written(runner: SimulatedRunner, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("7.0 ms")
    session = stopwatch(runner, tmp_path / "files").time([TINY.graph, own], rounds=1)
    assert session.results[1] == Timing(wall_ms=(7.0,))
    assert (runner.files_written, runner.jobs[0].files[1]) == (1, own)
    assert own.exists() and not (tmp_path / "files").exists()


class Unwritable(SimulatedRunner):
    """A form that lacks something of the second network that it is given."""

    def write(self, graph: Any, path: Path, *, seed: int = 0) -> Path:
        if self.files_written == 1:
            self.files_written += 1
            raise InputError("every operator must have a form, but one has none; leave it out.")
        return super().write(graph, path, seed=seed)


def test_a_network_that_cannot_be_written_has_a_fault_in_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner = Unwritable()
    simulate_clock_and_files(monkeypatch, runner)
    session = stopwatch(runner, tmp_path / "files").time([TINY.graph] * 3, rounds=1)
    assert [type(result) for result in session.results] == [Timing, FileFault, Timing]
    assert "one has none" in session.faults[0].text


def test_the_reference_is_timed_before_and_where_asked_behind(runner: SimulatedRunner, tmp_path: Path) -> None:
    files = []
    for ms in (2.0, 3.0):
        files.append(tmp_path / f"{ms}.txt")
        files[-1].write_text(f"{ms} ms")
    watch = stopwatch(runner, tmp_path / "files")
    before = watch.beside(files[0], files[1:], rounds=1)
    around = watch.beside(files[0], files[1:], rounds=1, behind=True)
    assert [len(job.files) for job in runner.jobs] == [2, 3]
    assert (before.reference_ms, around.reference_ms) == (2.0, 2.0)
    assert (len(before.reference), len(around.reference)) == (1, 2)
    assert before.results == around.results == (Timing(wall_ms=(3.0,)),)


def test_the_reference_time_is_the_mean_of_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Warming(SimulatedRunner):
        """Each file takes a millisecond longer than the one before it."""

        def time(self, job: TimingJob) -> TimingSession:
            results = (Timing(wall_ms=(float(i),)) for i in range(1, len(job.files) + 1))
            return TimingSession(environment={}, results=tuple(results))

    found = stopwatch(Warming(), tmp_path).beside(Path("r"), [Path("a"), Path("b")], rounds=1, behind=True)
    assert found.reference_ms == (1.0 + 4.0) / 2.0
    assert found.results == (Timing(wall_ms=(2.0,)), Timing(wall_ms=(3.0,)))


def test_a_device_that_is_away_is_waited_for_as_long_as_patience_lasts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1.0 ms")
    runner = SimulatedRunner(away=(0, 1))
    simulate_clock_and_files(monkeypatch, runner)
    watch = Stopwatch(device_home("local"), runner, patience_s=(10.0, 100.0, 1000.0))
    watch.environment()
    watch.time([file], rounds=1)
    assert 110.0 < runner.now < 120.0
    impatient = SimulatedRunner(away=(0,))
    with pytest.raises(UnreachableError):
        Stopwatch(device_home("local"), impatient, patience_s=()).time([file], rounds=1)


def test_a_device_that_was_never_there_is_not_waited_for(runner: SimulatedRunner, tmp_path: Path) -> None:
    runner.away = frozenset({0})
    with pytest.raises(UnreachableError):
        stopwatch(runner, tmp_path / "files").time([TINY.graph], rounds=1)
    assert runner.now < 5.0 and runner.processes == 1


def test_files_are_removed_whatever_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken(SimulatedRunner):
        def time(self, job: TimingJob) -> TimingSession:
            assert all(path.is_file() for path in job.files)
            raise NasError("the device is gone.")

    runner = Broken()
    simulate_clock_and_files(monkeypatch, runner)
    with pytest.raises(NasError, match="gone"):
        stopwatch(runner, tmp_path / "files").time([TINY.graph] * 3, rounds=2)
    assert runner.files_written == 3 and not (tmp_path / "files").exists()


@pytest.mark.parametrize("name", ["local", "local-litert"])
def test_real_networks_are_timed_with_the_threads_of_the_device(name: str, tmp_path: Path) -> None:
    if name == "local-litert":
        needs("ai_edge_litert")
    home = device_home(name)
    clocks: Mapping[int, int] = {1: 3, 2: 0}  # two threads have no clock of their own
    for threads, expected in clocks.items():
        timed = replace(home, device=replace(home.device, threads=threads))
        with Stopwatch(timed, find_runner(timed), scratch=tmp_path / "files") as watch:
            (found,) = watch.time([TINY.graph], rounds=3).timings()
        assert (len(found.wall_ms), len(found.cpu_ms)) == (3, expected)


def test_a_bad_file_among_real_ones_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no network")
    home = device_home("local")
    with Stopwatch(home, find_runner(home)) as watch:
        session = watch.time([tiny_onnx(tmp_path / "a.onnx"), bad, TINY.graph], rounds=2)
    assert [type(result) for result in session.results] == [Timing, FileFault, Timing]


def test_a_device_that_says_what_nothing_here_does_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"device\.yaml: precision must be .* but got 'int8'"):
        open_stopwatch(local(precision="int8"))


def test_a_network_that_a_converter_refuses_has_a_fault_in_its_place(
    runner: SimulatedRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(graph: Any, path: Path, *, seed: int = 0) -> Path:
        raise ConversionError("coremltools must convert the network, but does not; leave it out.")

    monkeypatch.setattr("nas.nets.untrained.write_untrained", refuse)
    own = tmp_path / "own.txt"
    own.write_text("7.0 ms")
    session = stopwatch(runner, tmp_path / "files").time([TINY.graph, own], rounds=1)
    assert [type(result) for result in session.results] == [FileFault, Timing]
