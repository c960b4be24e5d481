from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from nas.errors import InputError, NasError
from nas.graph import Graph
from nas.installed import extra_remedy
from nas.nets.untrained import write_untrained
from nas.runners import agent, worker
from nas.runners.engines import LITERT, ONNX_RUNTIME, Engine
from nas.runners.local import LocalRunner
from nas.runners.protocol import FileFault, Runner, TimingJob
from nas.runners.timing import Timing
from nas.testing.runners import RunnerConformance, small_network
from tests.extras import needs
from tests.measure.devices import SimulatedRunner, tiny_onnx


class TestOnnxRuntime(RunnerConformance):
    @pytest.fixture
    def runner(self) -> Runner:
        return LocalRunner(ONNX_RUNTIME)


class TestLiteRt(RunnerConformance):
    @pytest.fixture
    def runner(self) -> Runner:
        needs("ai_edge_litert")
        return LocalRunner(LITERT)


class TestSimulated(RunnerConformance):
    """The runner that other tests use is one like any other."""

    @pytest.fixture
    def runner(self) -> Runner:
        return SimulatedRunner()

    def write(self, graph: Graph, path: Path) -> Path:
        return SimulatedRunner().write(graph, path)


def test_the_runtime_is_named_with_its_version() -> None:
    assert LocalRunner(ONNX_RUNTIME).environment()["runtime"] == f"ONNX Runtime {onnxruntime.__version__}"


def test_without_the_runtime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(agent, "version", absent)
    runner = LocalRunner(LITERT)
    with pytest.raises(InputError, match=r"ai-edge-litert is not; " + re.escape(extra_remedy("litert"))):
        runner.environment()
    with pytest.raises(InputError, match="must be installed"):
        runner.time(TimingJob(files=(), rounds=1))


class Dying:
    """In the place of a process: it dies of the file called `killer` as it loads it, or in the rounds where that is
    None, and answers where that file is not among those asked for."""

    def __init__(self, killer: str | None) -> None:
        self.killer, self.asked = killer, list[list[str]]()

    def __call__(self, command: Sequence[str], *, input: str, **options: object) -> subprocess.CompletedProcess[str]:
        names = [Path(path).name for path in json.loads(input)["files"]]
        self.asked.append(names)
        lines: list[dict[str, Any]] = [{"loading": position} for position in range(len(names))]
        if self.killer in names:
            lines = lines[: names.index(self.killer) + 1]
        elif self.killer is None:
            lines.append({"loading": None})
        else:
            result = {"wall_ms": [1.0], "cpu_ms": [], "load_ms": 2.0, "first_ms": 3.0}
            lines += [{"loading": None}, {"results": [result] * len(names)}]
        dies = "results" not in lines[-1]
        out = "".join(f"{json.dumps(line)}\n" for line in lines) + '{"resu' * dies
        return subprocess.CompletedProcess(command, -9 * dies, stdout=out, stderr="loading\nout of memory\n")


def test_a_file_that_the_process_dies_of_has_a_fault_and_the_others_are_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = Dying("b.onnx")
    monkeypatch.setattr(subprocess, "run", process)
    files = tuple(tiny_onnx(tmp_path / f"{name}.onnx") for name in "abc")
    session = LocalRunner(ONNX_RUNTIME).time(TimingJob(files=files, rounds=1))
    assert process.asked == [["a.onnx", "b.onnx", "c.onnx"], ["a.onnx", "c.onnx"]]
    timing = Timing(wall_ms=(1.0,))
    text = (
        "ONNX Runtime must run b.onnx to the end, but its process ended with -9: out of memory; give it more memory,"
        " or leave the network out."
    )
    assert session.results == (timing, FileFault(path=files[1], text=text), timing)


def test_a_process_that_dies_in_the_rounds_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "run", Dying(None))
    files = tuple(tiny_onnx(tmp_path / f"{name}.onnx") for name in "ab")
    with pytest.raises(NasError, match=r"run a\.onnx, b\.onnx to the end, but .* ended with -9: out of memory"):
        LocalRunner(ONNX_RUNTIME).time(TimingJob(files=files, rounds=1))


def test_a_process_that_says_nothing_at_all_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent = subprocess.CompletedProcess([], 1, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: silent)
    with pytest.raises(NasError, match="ended with 1: it said nothing"):
        LocalRunner(ONNX_RUNTIME).time(TimingJob(files=(tiny_onnx(tmp_path / "a.onnx"),), rounds=1))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
@pytest.mark.parametrize("engine", [ONNX_RUNTIME, LITERT], ids=lambda engine: engine.name)
def test_a_runtime_is_given_its_threads(engine: Engine, tmp_path: Path) -> None:
    """The thread that asks works too, so n threads are n - 1 new ones."""
    needs(engine.packages[0].replace("-", "_"))
    path = write_untrained(small_network(8), tmp_path / f"m{engine.suffix}")
    found = {}
    for threads in (1, 3):
        before = len(os.listdir("/proc/self/task"))
        run = worker._ENGINES[engine.name](str(path), threads, "CPU", {}, np.random.default_rng(0))
        run()
        found[threads] = len(os.listdir("/proc/self/task")) - before
        del run
    assert found == {1: 0, 3: 2}
