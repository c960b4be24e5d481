"""The runner for an iPhone or iPad that is connected to this Mac: coremltools' own benchmarking on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.errors import InputError, NasError, UnreachableError
from nas.installed import extra_remedy
from nas.latency.device import Device
from nas.latency.way import Ios
from nas.runners.engines import CORE_ML
from nas.runners.protocol import TimingJob, TimingSession
from nas.runners.work import Finished, do_job

WORKER = Path(__file__).resolve().with_name("apple_worker.py")
_PLATFORM = "darwin"
_CALLS_S = 0.1
"""About what the calls of a visit take on the cable. A guess."""


class AppleRunner:
    """Times networks on a connected device (see `nas.runners.protocol.Runner`). Each run is a call over the cable, so
    the device rests between runs.

    Written after coremltools 9.0's interface; not tried on a device.
    """

    suffix = CORE_ML.suffix
    abilities = replace(CORE_ML.abilities, beside_a_round_s=_CALLS_S)

    def __init__(self, device: Device) -> None:
        assert isinstance(device.way, Ios)
        self.device, self.way = device, device.way

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held between jobs."""

    def environment(self) -> Mapping[str, str]:
        """Chip (as its file says: coremltools does not tell it), runtime by the system's version, system, and 1 for the
        cores, which nothing tells.

        Raises `InputError` anywhere but on a Mac with coremltools, and where its file does not say the chip yet;
        `UnreachableError` where no device is connected.
        """
        self.device.require_chip()
        if sys.platform != _PLATFORM:
            raise InputError(
                "a connected iPhone or iPad must be timed from a Mac with Xcode, but this machine is none; with"
                " `reach: bundle` somebody who has one times networks for you."
            )
        if find_spec("coremltools") is None:
            raise InputError(f"coremltools must be installed to time a connected device; {extra_remedy('coreml')}.")
        (said,) = self._said({"ask": "describe"})
        found = said["device"]
        return {
            "chip": self.device.chip,
            "runtime": f"{CORE_ML.title}, {found['system']}",
            "system": f"{found['type']}, {found['system']}",
            "cores": "1",
        }

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job in one process here, which has the packages run there (see `nas.runners.protocol.Runner.time`)."""

        def work(request: Mapping[str, Any], files: Sequence[Path]) -> Finished:
            asked = {**request, "ask": "time", "files": [str(path.resolve()) for path in files]}
            return self._work(asked)

        return do_job(job, CORE_ML, self.environment(), work)

    def _said(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._work(request).stdout.splitlines()]

    def _work(self, request: Mapping[str, Any]) -> Finished:
        """A worker that has ended. Raises `UnreachableError` for what it refuses."""
        way = self.way
        asked = {**request, "udid": way.udid, "team": way.team, "profile": way.profile, "bundle_id": way.bundle_id}
        done = subprocess.run(
            [sys.executable, "-P", str(WORKER)], input=json.dumps(asked), capture_output=True, text=True, check=False
        )
        lines = done.stdout.splitlines()
        refused = json.loads(lines[-1]).get("refused") if lines and not done.returncode else None
        if refused:
            raise UnreachableError(str(refused))
        if request["ask"] == "describe" and done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise NasError(f"coremltools must tell which devices are connected, but ended with: {last}")
        return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
