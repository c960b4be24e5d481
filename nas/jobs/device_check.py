"""A device looked at: whether it is there, what runs on it, how fast it is, and how far that is from its table."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.errors import InputError, NasError
from nas.latency import DeviceHome, LatencyModel, load_latency
from nas.latency.level import at_level
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.measure.level import STEADY, Now, keep_level, look_now, usual_times
from nas.measure.stopwatch import Stopwatch
from nas.measure.store import MUST_AGREE, TimingStore, stored_environment
from nas.progress import OnProgress, counted, silent
from nas.runners.find import find_runner


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck:
    """What a look found; `warnings` say what a table's times and those of today do not have in common."""

    device: str
    reach: str
    environment: Mapping[str, str]
    now: Now
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The document of `nas device check --json`; times in ms."""
        return {
            "device": self.device,
            "reach": self.reach,
            "environment": dict(self.environment),
            **self.now.as_json(),
            "warnings": list(self.warnings),
        }


def check_device(home: DeviceHome, *, progress: OnProgress = silent) -> DeviceCheck:
    """Get to the device, ask what it is, and time the reference network there, a few others beside it where a table
    says what they took. How fast it was is kept beside a table that was built here (`levels.csv`).

    Raises `InputError` for a device that is not timed from here, `UnreachableError` where it is not there.
    """
    model = load_latency(home) if has_table(home) else None
    with Stopwatch(home, find_runner(home), patience_s=()) as watch:
        environment = watch.environment()
        now = look_now(
            watch, model, _usual_times(home, environment), progress=counted("timing the reference", progress)
        )
    others = _other_conditions(home, environment)
    if model is not None and not others:
        keep_level(home, model, now.level, stray=now.stray)
    return DeviceCheck(
        device=home.name,
        reach=home.device.reach,
        environment=environment,
        now=now,
        warnings=(*others, *_unsteady(now)),
    )


def model_now(home: DeviceHome, *, progress: OnProgress = silent) -> tuple[LatencyModel, Now]:
    """The latency model of a device at the speed that it most likely has now (`Now.likely`), and what says so. Its
    intervals hold what that may be wrong by and what processes are apart, in the place of what days are.

    Raises as `check_device` does, and `InputError` where the table has nothing to compare the speed with.
    """
    model = load_latency(home)
    with Stopwatch(home, find_runner(home), patience_s=()) as watch:
        environment = watch.environment()
        before = _usual_times(home, environment)
        now = look_now(watch, model, before, progress=counted("looking at the device", progress))
    if now.level is None:
        raise InputError(
            f"--now needs a table that knows one of the networks that are timed for it, but that of {home.name} has"
            f" rows for none; build one (`nas lut build --device {home.name}`), or leave --now out."
        )
    if not _other_conditions(home, environment):
        keep_level(home, model, now.level, stray=now.stray)
    level, deviation = now.likely
    return at_level(model, level, float(np.hypot(deviation, now.usual.process))), now


def has_table(home: DeviceHome) -> bool:
    """Whether anything says what networks take on the device."""
    return any((home.folder / name).exists() for name in (TABLE_FILE, COEFFICIENTS_FILE))


def _usual_times(home: DeviceHome, environment: Mapping[str, str]) -> dict[str, float]:
    """What networks took for the table; nothing where no timings of such an environment can be read."""
    if not home.timings.exists():
        return {}
    with suppress(NasError), TimingStore(home.timings, environment) as store:
        return usual_times(store.timings())
    return {}


def _other_conditions(home: DeviceHome, environment: Mapping[str, str]) -> list[str]:
    """What is another now than when the device's timings were taken."""
    if not home.timings.exists():
        return []
    before = stored_environment(home.timings)
    return [
        f"the timings of {home.name} are of {name} {before.get(name)!r}, but now it is {environment.get(name)!r}: the"
        " table is of another device than this one; `nas lut build --restart` takes new ones."
        for name in MUST_AGREE
        if before and before.get(name) != environment.get(name)
    ]


def _unsteady(now: Now) -> list[str]:
    if now.stray <= STEADY:
        return []
    return [
        (
            f"the reference's times stray by {100 * now.stray:.0f} % between processes: something else keeps the device"
            " busy, or its clock changes; close other programs, let it cool, and look again."
        )
    ]
