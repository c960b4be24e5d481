"""Runners for this machine: ONNX Runtime, and LiteRT's interpreter (an extra), each in a fresh process."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.errors import InputError, NasError
from nas.installed import extra_remedy
from nas.runners.protocol import RUNS_A_VISIT, Abilities, FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPU_INFO = Path("/proc/cpuinfo")
_WORKER = Path(__file__).resolve().with_name("worker.py")
"""The worker by its own place, with a path that the current folder is not on (-P): nothing lying there is imported."""
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
    abilities: Abilities


_CPU = Abilities(precisions=("float32",), compute_units=("CPU",))
ONNX_RUNTIME = Engine(
    name="onnxruntime", title="ONNX Runtime", package="onnxruntime", suffix=".onnx", extra=None, abilities=_CPU
)
LITERT = Engine(
    name="litert", title="LiteRT", package="ai-edge-litert", suffix=".tflite", extra="litert", abilities=_CPU
)


class LocalRunner:
    """Times networks on this machine (see `nas.runners.protocol.Runner`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held between jobs."""

    @property
    def suffix(self) -> str:
        """ ".onnx" or ".tflite"."""
        return self.engine.suffix

    @property
    def abilities(self) -> Abilities:
        """float32 on the CPU."""
        return self.engine.abilities

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

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job in one fresh process (see `nas.runners.protocol.Runner.time`).

        Where the process dies of one file, that file has a fault, and the others are timed in another process.
        """
        environment = self.environment()
        self.abilities.require(
            threads=job.threads, precision=job.precision, compute_unit=job.compute_unit, where=environment["runtime"]
        )
        results: dict[int, Timing | FileFault] = {
            i: FileFault(path=path, text=f"a network to time must be a file, but {path} is none; export it first.")
            for i, path in enumerate(job.files)
            if not path.is_file()
        }
        waiting = [i for i in range(len(job.files)) if i not in results]
        while waiting:
            files = [job.files[i] for i in waiting]
            found = self._run(job, files)
            if isinstance(found, _Death):
                results[waiting.pop(found.loading)] = FileFault(path=files[found.loading], text=found.text)
                continue
            for i, path, one in zip(waiting, files, found, strict=True):
                results[i] = _result(one, path, environment["runtime"])
            break
        return TimingSession(
            environment=environment, results=tuple(results[i] for i in range(len(job.files)))
        )  # fmt: skip

    def _run(self, job: TimingJob, files: Sequence[Path]) -> list[dict[str, Any]] | _Death:
        """What the worker says of each of `files`, or of which of them its process died.

        Raises `NasError` where it died of none in particular.
        """
        request = {
            "engine": self.engine.name,
            "files": [str(path.resolve()) for path in files],
            "rounds": job.rounds,
            "runs_a_visit": RUNS_A_VISIT,
            "warm_up": job.warm_up,
            "threads": job.threads,
            "input_shapes": {name: list(shape) for name, shape in job.input_shapes.items()},
        }
        done = subprocess.run(
            [sys.executable, "-P", str(_WORKER)], input=json.dumps(request), env=_environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        said = [json.loads(line) for line in done.stdout.split("\n")[:-1]]  # what follows the last end of a line is cut
        if not done.returncode:
            results: list[dict[str, Any]] = said[-1]["results"]
            return results
        loading = said[-1]["loading"] if said else None
        blamed = files if loading is None else [files[loading]]
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        text = (
            f"{self.engine.title} must run {', '.join(path.name for path in blamed)} to the end, but its process ended"
            f" with {done.returncode}: {last[0]}; give it more memory, or leave the network out."
        )
        if loading is None:
            raise NasError(text)
        return _Death(loading=loading, text=text)

    def _version(self) -> str:
        try:
            return version(self.engine.package)
        except PackageNotFoundError as error:
            raise InputError(
                f"{self.engine.title} must be installed to be measured, but {self.engine.package} is not;"
                f" {extra_remedy(self.engine.extra or self.engine.name)}."
            ) from error


def _environment() -> dict[str, str]:
    """This process's environment, its PYTHONPATH without what means the current folder."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in path if os.path.isabs(place))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Death:
    """A process that died while it loaded or warmed up the file at the position `loading`."""

    loading: int
    text: str


def _result(found: Mapping[str, Any], path: Path, runtime: str) -> Timing | FileFault:
    """What the worker says of one file."""
    if "error" not in found:
        return Timing(wall_ms=tuple(found["wall_ms"]), cpu_ms=tuple(found["cpu_ms"]))
    return FileFault(
        path=path,
        text=(
            f"{path} must be a whole network of fixed sizes and known operators for {runtime}, but:"
            f" {_reason(str(found['error']))}; export it again for that."
        ),
    )


def _reason(error: str) -> str:
    """A runtime's complaint on one line, without what only its own developers read."""
    return _NOISE.sub("", " ".join(error.split()))[:300].rstrip(". ")


def _cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chip() -> str:
    """The processor's name as the system has it."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
