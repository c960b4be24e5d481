"""Devices and networks that take next to no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from nas.graph import Graph
from nas.latency.device import device_folder
from nas.runners.runner import RUNS_A_VISIT, Timing
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
    text = (device_folder(like) / "device.yaml").read_text("utf-8")
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
    process a second. The processes in `disturbed`, counted from 0, find every second run twice as long."""

    suffix = ".txt"

    def __init__(self, *, noise: float = 0.01, disturbed: Sequence[int] = (), chip: str = "numbers") -> None:
        self.now, self.processes, self.files_written = 0.0, 0, 0
        self.noise, self.disturbed, self.chip = noise, frozenset(disturbed), chip
        self._rng = np.random.default_rng(0)

    def monotonic(self) -> float:
        """The clock, under the name that it has in the module `time`."""
        return self.now

    def environment(self) -> Mapping[str, str]:
        """That of no machine."""
        return {"chip": self.chip, "runtime": "Numbers 1", "system": "none", "cores": "1"}

    def write(self, graph: Graph, path: Path, *, seed: int = 0) -> Path:
        """Write down what the network takes."""
        self.files_written += 1
        self.now += 0.25
        path.write_text(repr(float(true_ms([graph.segments])[0])), encoding="utf-8")
        return path

    def time(self, files: Sequence[Path], *, rounds: int, threads: int = 1) -> list[Timing]:
        """Read what the networks take, and let so much time pass."""
        found = []
        for path in files:
            runs = np.full(rounds * RUNS_A_VISIT, float(path.read_text("utf-8")))
            runs *= 1.0 + self.noise * self._rng.random(len(runs))
            if self.processes in self.disturbed:
                runs[1::2] *= 2.0
            self.now += 1.5 * float(runs.sum()) / 1e3
            found.append(Timing(wall_ms=tuple(runs.tolist())))
        self.now += 1.0
        self.processes += 1
        return found
