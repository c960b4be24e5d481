"""Runners for this machine: ONNX Runtime, and LiteRT's interpreter (an extra), each in a fresh process."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import InputError, NasError
from nas.graph import Graph
from nas.graph.ops import Activation
from nas.nets.onnx_writer import export_onnx
from nas.runners.runner import RUNS_A_VISIT, Timing

if TYPE_CHECKING:
    from nas.nets.module import GraphModule

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPU_INFO = Path("/proc/cpuinfo")
_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?|/onnxruntime_src/\S+ .*?\) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A runtime of this machine: `name` for the worker, `title` as device files have it, the `package` that holds it
    and the extra that installs it (None: always there)."""

    name: str
    title: str
    package: str
    suffix: str
    extra: str | None
    write: Callable[[Graph, Path, int], Path]


def _write_onnx(graph: Graph, path: Path, seed: int) -> Path:
    return export_onnx(_module(graph, seed), path)


def _write_litert(graph: Graph, path: Path, seed: int) -> Path:
    from nas.nets.litert_writer import write_litert

    return write_litert(_module(graph, seed), path)


def _module(graph: Graph, seed: int) -> GraphModule:
    """`graph` with random weights; with PReLU, also with statistics in its norms.

    ONNX Runtime's PReLU branches by the sign of each element, and takes many times as long where signs are mixed, as in
    a trained network, as where a channel has one sign throughout, as without statistics.
    """
    from nas.nets.module import build_graph, set_statistics

    module = build_graph(graph, seed=seed)
    if any(isinstance(node.op, Activation) and node.op.function == "prelu" for node in graph.nodes):
        set_statistics(module, graph.input_shape, seed=seed)
    return module


ONNX_RUNTIME = Engine(
    name="onnxruntime", title="ONNX Runtime", package="onnxruntime", suffix=".onnx", extra=None, write=_write_onnx
)
LITERT = Engine(
    name="litert", title="LiteRT", package="ai-edge-litert", suffix=".tflite", extra="litert", write=_write_litert
)


class LocalRunner:
    """Times networks on this machine (see `nas.runners.runner.Runner`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def suffix(self) -> str:
        """ ".onnx" or ".tflite"."""
        return self.engine.suffix

    def environment(self) -> Mapping[str, str]:
        """Chip, runtime, system, cores and governor of this machine."""
        found = {
            "chip": _chip(),
            "runtime": f"{self.engine.title} {self._version()}",
            "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
            "cores": str(_cores()),
        }
        if _GOVERNOR.is_file():
            found["governor"] = _GOVERNOR.read_text("utf-8").strip()
        return found

    def write(self, graph: Graph, path: Path, *, seed: int = 0) -> Path:
        """Write `graph` with weights drawn from `seed`."""
        self._version()
        with _one_thread():
            return self.engine.write(graph, path, seed)

    def time(self, files: Sequence[Path], *, rounds: int, threads: int = 1) -> list[Timing]:
        """Time `files` in one fresh process (see `nas.runners.runner.Runner.time`)."""
        self._version()
        if rounds < 1 or threads < 1:
            raise InputError(f"rounds and threads must be at least 1, but got rounds={rounds}, threads={threads}.")
        for path in files:
            if not path.is_file():
                raise InputError(f"a network to time must be a file, but {path} is none.")
        request = {
            "engine": self.engine.name,
            "files": [str(path.resolve()) for path in files],
            "rounds": rounds,
            "runs_a_visit": RUNS_A_VISIT,
            "threads": threads,
        }
        command = [sys.executable, "-m", "nas.runners.worker"]
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            names = ", ".join(path.name for path in files)
            raise NasError(
                f"{self.engine.title} must run {names} to the end, but its process ended with {done.returncode}:"
                f" {last[0]}; give it more memory, or leave the network out."
            )
        found = json.loads(done.stdout)
        if "error" in found:
            raise InputError(
                f"{files[found['file']]} must be a whole network of fixed sizes and known operators for"
                f" {self.environment()['runtime']}, but: {_reason(str(found['error']))}; export it again for that."
            )
        return [Timing(wall_ms=tuple(t["wall_ms"]), cpu_ms=tuple(t["cpu_ms"])) for t in found["timings"]]

    def _version(self) -> str:
        try:
            return version(self.engine.package)
        except PackageNotFoundError as error:
            raise InputError(
                f"{self.engine.title} must be installed to be measured, but {self.engine.package} is not;"
                f" pip install 'nas[{self.engine.extra}]'."
            ) from error


def _reason(error: str) -> str:
    """A runtime's complaint on one line, without what only its own developers read."""
    return _NOISE.sub("", " ".join(error.split()))[:300].rstrip(". ")


def _cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block: on a busy machine small work takes longer on several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _chip() -> str:
    """The processor's name as the system has it."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
