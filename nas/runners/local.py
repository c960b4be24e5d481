"""Runners for this machine: each job in a fresh process of the runtime alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.errors import InputError
from nas.installed import extra_remedy
from nas.runners.agent import describe
from nas.runners.engines import Engine
from nas.runners.protocol import Abilities, TimingJob, TimingSession
from nas.runners.work import Finished, do_job

WORKER = Path(__file__).resolve().with_name("worker.py")
"""The worker by its own place, with a path that the current folder is not on (-P): nothing lying there is imported."""


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
        """ ".onnx", ".tflite" or ".mlpackage"."""
        return self.engine.suffix

    @property
    def abilities(self) -> Abilities:
        """float32 on the CPU; Core ML: float16 on any unit."""
        return self.engine.abilities

    def environment(self) -> Mapping[str, str]:
        """Chip, runtime, system, cores and governor of this machine."""
        engine = self.engine
        if engine.name == "coreml" and sys.platform != "darwin":
            raise InputError(
                "Core ML must be timed on a Mac, but this machine is none; `reach: ssh` in device.yaml gets to one."
            )
        try:
            return describe(engine.packages, engine.title)
        except PackageNotFoundError as error:
            raise InputError(
                f"{engine.title} must be installed to be measured, but {engine.packages[0]} is not;"
                f" {extra_remedy(engine.extra or engine.name)}."
            ) from error

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job in one fresh process (see `nas.runners.protocol.Runner.time`).

        Where the process dies of one file, that file has a fault, and the others are timed in another process.
        """
        return do_job(job, self.engine, self.environment(), _work)


def _work(request: Mapping[str, Any], files: Sequence[Path]) -> Finished:
    asked = {**request, "files": [str(path.resolve()) for path in files]}
    done = subprocess.run(
        [sys.executable, "-P", str(WORKER)], input=json.dumps(asked), env=_environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def _environment() -> dict[str, str]:
    """This process's environment, its PYTHONPATH without what means the current folder."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in path if os.path.isabs(place))}
