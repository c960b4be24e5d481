"""Devices and networks that take next to no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nas.errors import UnreachableError
from nas.graph import Graph
from nas.latency import device_home
from nas.latency.home import DeviceHome
from nas.measure.stopwatch import Stopwatch
from nas.runners.protocol import RUNS_A_VISIT, Abilities, FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing
from nas.space import parse_architecture
from tests.latency.timed.networks import true_ms
from tests.onnx.onnx_files import node, save

TINY = parse_architecture(
    {
        "schema": 1,
        "name": "tiny",
        "resolution": 16,
        "num_classes": 4,
        "layers": [{"block": "conv", "out": 4, "stride": 2}, {"block": "head"}],
    },
    "tiny",
)


def tiny_file(folder: Path) -> Path:
    """`TINY` as an architecture file."""
    path = folder / "tiny.yaml"
    path.write_text(TINY.to_yaml(), encoding="utf-8")
    return path


def tiny_onnx(path: Path, kind: str = "Relu", batch: int | str = 1, domain: str = "") -> Path:
    """A network of one operator, in a form that every runtime of these days reads."""
    weights = {"w": np.ones((1, 3, 16, 16))}
    save(path, [node("Mul", ["x", "w"], "m"), node(kind, ["m"], "y", domain=domain)], (batch, 3, 16, 16), weights)
    model = onnx.load(str(path))
    model.ir_version = 8
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(model, str(path))
    return path


def add_device(workspace: Path, name: str, *, like: str = "local", **changes: str) -> Path:
    """A device of the workspace: the shipped `like` under another name, lines of its file changed."""
    text = device_home(like).file.read_text("utf-8")
    for key, value in {"name": name, **changes}.items():
        text = "".join(
            f"{key}: {value}\n" if line.startswith(f"{key}:") else line for line in text.splitlines(keepends=True)
        )
    place = workspace / "latency_tables" / name / "device.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")
    return place


class SimulatedRunner:
    """A device in numbers alone, with its own clock (`now`, in seconds, also as `monotonic`): a network takes what
    `tests.latency.timed` says it costs, each run up to a hundredth more; writing it takes a quarter of a second, and a
    process a second.

    The processes in `disturbed`, counted from 0, find every second run twice as long; those in `away` find no device.
    Networks that would take exactly `unable_ms` cannot be run. `jobs` are all that it was given.
    """

    suffix = ".txt"
    abilities = Abilities(precisions=("float32", "float16"), compute_units=("CPU", "GPU"), max_threads=8)

    def __init__(
        self,
        *,
        noise: float = 0.01,
        disturbed: Sequence[int] = (),
        away: Sequence[int] = (),
        unable_ms: Sequence[float] = (),
        chip: str = "numbers",
    ) -> None:
        self.now, self.processes, self.files_written = 0.0, 0, 0
        self.noise, self.disturbed, self.away, self.chip = noise, frozenset(disturbed), frozenset(away), chip
        self.unable_ms = frozenset(unable_ms)
        self.jobs: list[TimingJob] = []
        self.entered = 0
        self._rng = np.random.default_rng(0)

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered -= 1

    def monotonic(self) -> float:
        """The clock, under the name that it has in the module `time`."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def environment(self) -> Mapping[str, str]:
        """That of no machine."""
        return {"chip": self.chip, "runtime": "Numbers 1", "system": "none", "cores": "1"}

    def write(self, graph: Graph, path: Path, *, seed: int = 0) -> Path:
        """Write down what the network takes."""
        self.files_written += 1
        self.now += 0.25
        path.write_text(f"{float(true_ms([graph.segments])[0])!r} ms", encoding="utf-8")
        return path

    def time(self, job: TimingJob) -> TimingSession:
        """Read what the networks take, and let so much time pass."""
        self.abilities.require(
            threads=job.threads, precision=job.precision, compute_unit=job.compute_unit, where="numbers"
        )  # fmt: skip
        self.processes += 1
        if self.processes - 1 in self.away:
            raise UnreachableError("numbers must be there, but are away; bring them.")
        self.jobs.append(job)
        self.now += 1.0
        results = tuple(self._result(path, job.rounds) for path in job.files)
        return TimingSession(environment=self.environment(), results=results)

    def _result(self, path: Path, rounds: int) -> Timing | FileFault:
        text = path.read_text("utf-8") if path.is_file() else ""
        if not text.endswith(" ms") or float(text.removesuffix(" ms")) in self.unable_ms:
            return FileFault(path=path, text=f"{path} must be a whole network for numbers, but is none; leave it out.")
        runs = np.full(rounds * RUNS_A_VISIT, float(text.removesuffix(" ms")))
        runs *= 1.0 + self.noise * self._rng.random(len(runs))
        if self.processes - 1 in self.disturbed:
            runs[1::2] *= 2.0
        self.now += 1.5 * float(runs.sum()) / 1e3
        return Timing(wall_ms=tuple(runs.tolist()), load_ms=1.0, first_ms=float(runs[0]))


def simulate_clock_and_files(patch: pytest.MonkeyPatch, runner: SimulatedRunner) -> None:
    """From now on stopwatches go by the clock of `runner`, and files are written as it reads them."""
    patch.setattr("nas.measure.stopwatch.time", runner)
    patch.setattr("nas.nets.untrained.write_untrained", runner.write)


def stopwatch(runner: SimulatedRunner, folder: Path, *, home: DeviceHome | None = None) -> Stopwatch:
    """A stopwatch of `runner` that writes to `folder`, for `local` where no other home is given."""
    return Stopwatch(home or device_home("local"), runner, scratch=folder)
