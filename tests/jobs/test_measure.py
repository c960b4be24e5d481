from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.jobs import measure as job
from nas.jobs.measure import measure
from nas.latency import device_home
from nas.progress import Step
from nas.runners.protocol import TimingJob, TimingSession
from nas.runners.timing import Timing
from tests.extras import needs
from tests.measure.devices import TINY, SimulatedRunner, add_device, tiny_file, tiny_onnx


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with `mine`, a device like `local` without a latency model."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    add_device(tmp_path, "mine")
    return tmp_path


def test_an_architecture_is_written_and_timed_with_every_number_of_threads(here: Path) -> None:
    said: list[Step] = []
    found = measure(device_home("mine"), str(tiny_file(here)), threads=(2, 1, 2), rounds=3, progress=said.append)
    assert list(found.timings) == [2, 1]
    assert [len(timing.wall_ms) for timing in found.timings.values()] == [3, 3]
    assert [len(timing.cpu_ms) for timing in found.timings.values()] == [0, 3]
    assert {"chip", "runtime", "system", "cores"} <= found.environment.keys()
    assert found.predicted is None
    assert [(step.done, step.of, step.note) for step in said] == [(0, 2, "2 threads"), (1, 2, "1 thread")]


def test_a_file_is_timed_as_it_is_with_the_devices_threads(here: Path) -> None:
    found = measure(device_home("mine"), str(tiny_onnx(here / "m.onnx")), rounds=1)
    (row,) = found.as_json()["timings"]
    assert row["threads"] == 1
    assert 0 < row["min_ms"] <= row["median_ms"] <= row["p90_ms"]
    assert row["latency"]["source"] == "measured"
    assert row["latency"]["mean_ms"] == row["cpu_min_ms"]


def test_a_device_of_two_threads_is_timed_with_two(here: Path) -> None:
    add_device(here, "two", threads="2")
    found = measure(device_home("two"), str(tiny_file(here)), rounds=2)
    (threads, timing), *none = found.timings.items()
    assert (threads, len(timing.wall_ms), timing.cpu_ms, none) == (2, 2, (), [])


def test_a_device_whose_runtime_decides_is_left_to_it(here: Path) -> None:
    add_device(here, "any", threads="0")
    said: list[Step] = []
    found = measure(device_home("any"), str(tiny_file(here)), rounds=2, progress=said.append)
    assert list(found.timings) == [0] and found.timings[0].cpu_ms == ()
    assert said[0].note == "the runtime's own threads"


def test_what_the_devices_model_predicts_stands_beside(here: Path) -> None:
    shutil.copy(device_home("pixel3-cpu").folder / "coefficients.json", here / "latency_tables" / "mine")
    found = measure(device_home("mine"), str(tiny_file(here)), rounds=1)
    assert found.predicted is not None
    assert found.predicted.low_ms < found.predicted.mean_ms < found.predicted.high_ms


def test_a_network_that_the_model_cannot_predict_is_timed_with_a_warning(here: Path) -> None:
    header = (device_home("pixel3-cpu").folder / "table.csv").read_text("utf-8").splitlines()[0]
    row = "conv1x1s1 8x8x8>8x8x8,1.0,0.9,1.1,10,measured,2026-01-01"
    (here / "latency_tables" / "mine" / "table.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    found = measure(device_home("mine"), str(tiny_file(here)), rounds=1)
    assert found.predicted is None
    assert any("row for every segment" in text for text in found.warnings)


class _Noisy(SimulatedRunner):
    """A runner of a machine with one core, on which every other run takes twice as long."""

    suffix = ".onnx"

    def time(self, job: TimingJob) -> TimingSession:
        results = tuple(Timing(wall_ms=(1.0, 2.0) * job.rounds) for _ in job.files)
        return TimingSession(environment=self.environment(), results=results)


def test_runs_that_stray_and_threads_without_cores_are_warned_of(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "find_runner", lambda home: _Noisy())
    warnings = measure(device_home("mine"), str(tiny_onnx(here / "m.onnx")), threads=(1, 2), rounds=2).warnings
    assert len(warnings) == 3
    assert "2 threads share 1 cores" in warnings[0]
    assert "with 1 thread the median run takes 50 % longer" in warnings[1]


def test_a_file_of_two_gigabytes_is_refused_unread(here: Path) -> None:
    path = here / "big.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match=r"big\.onnx must be smaller than 2 GB"):
        measure(device_home("mine"), str(path))


def test_litert_times_its_own_files_and_names_those_that_it_cannot_read(here: Path) -> None:
    needs("ai_edge_litert")
    from nas.nets.litert_writer import write_litert
    from nas.nets.module import build

    add_device(here, "lite", like="local-litert")
    assert measure(device_home("lite"), str(tiny_file(here)), rounds=1).timings[1].typical_ms > 0
    path = write_litert(build(TINY, seed=0), here / "tiny.tflite")
    assert measure(device_home("lite"), str(path), rounds=1).timings[1].typical_ms > 0
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"tiny\.tflite must be a whole network .* for LiteRT"):
        measure(device_home("lite"), str(path), rounds=1)
