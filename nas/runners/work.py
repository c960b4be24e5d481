"""A job as workers do it: what one is asked, and what comes of what it says; the same here and on other machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.runners.engines import Engine
from nas.runners.protocol import RUNS_A_VISIT, FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing

_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?|/onnxruntime_src/\S+ .*?\) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A worker's process that has ended: its exit status, and all that it said."""

    returncode: int
    stdout: str
    stderr: str


Work = Callable[[Mapping[str, Any], Sequence[Path]], Finished]
"""Runs one worker, in a fresh process, on a request (without "files") and these files."""


def do_job(job: TimingJob, engine: Engine, environment: Mapping[str, str], work: Work) -> TimingSession:
    """The session of `job` under the runtime `engine`, by as few processes as will do.

    Where a process dies of one file, that file has a fault, and the others are timed in another process. Raises
    `InputError` for what the engine cannot do, `NasError` where a process dies of no file in particular.
    """
    engine.abilities.require(
        threads=job.threads, precision=job.precision, compute_unit=job.compute_unit, where=environment["runtime"]
    )
    results: dict[int, Timing | FileFault] = {
        i: FileFault(path=path, text=f"a network to time must be a file, but {path} is none; export it first.")
        for i, path in enumerate(job.files)
        if not path.exists()
    }
    waiting = [i for i in range(len(job.files)) if i not in results]
    request = {
        "engine": engine.name,
        "rounds": job.rounds,
        "runs_a_visit": RUNS_A_VISIT,
        "warm_up": job.warm_up,
        "settle_ms": job.settle_ms,
        "threads": job.threads,
        "compute_unit": job.compute_unit,
        "input_shapes": {name: list(shape) for name, shape in job.input_shapes.items()},
    }
    while waiting:
        files = [job.files[i] for i in waiting]
        found = _said(work(request, files), files, engine)
        if isinstance(found, _Death):
            results[waiting.pop(found.loading)] = FileFault(path=files[found.loading], text=found.text)
            continue
        for i, path, one in zip(waiting, files, found, strict=True):
            results[i] = _result(one, path, environment["runtime"])
        break
    return TimingSession(environment=environment, results=tuple(results[i] for i in range(len(job.files))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Death:
    """A process that died while it loaded or warmed up the file at the position `loading`."""

    loading: int
    text: str


def _said(done: Finished, files: Sequence[Path], engine: Engine) -> list[dict[str, Any]] | _Death:
    """What the worker says of each of `files`, or of which of them its process died."""
    said = [json.loads(line) for line in done.stdout.split("\n")[:-1]]  # what follows the last end of a line is cut
    if not done.returncode:
        results: list[dict[str, Any]] = said[-1]["results"]
        return results
    loading = said[-1]["loading"] if said else None
    blamed = files if loading is None else [files[loading]]
    last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    text = (
        f"{engine.title} must run {', '.join(path.name for path in blamed)} to the end, but its process ended"
        f" with {done.returncode}: {last[0]}; give it more memory, or leave the network out."
    )
    if loading is None:
        raise NasError(text)
    return _Death(loading=loading, text=text)


def _result(found: Mapping[str, Any], path: Path, runtime: str) -> Timing | FileFault:
    """What the worker says of one file."""
    if "error" not in found:
        return Timing(
            wall_ms=tuple(found["wall_ms"]),
            cpu_ms=tuple(found["cpu_ms"]),
            load_ms=found["load_ms"],
            first_ms=found["first_ms"],
        )
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
