"""What was timed: a network's runs one by one, or what was said of them; and the one figure that is made of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_FASTEST = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The timed runs of one network, in milliseconds, in their order; a run is one image.

    Where a device tells no runs, the mean of a few stands for one (`nas.runners.adb`).

    `cpu_ms` is the clock of the thread that ran it, empty where several threads did or the device has no such clock.
    `load_ms` is what the runtime took to load it in a fresh process, `first_ms` its first run there, by the wall clock;
    None where nobody told. They are no part of what a timing is, and are kept in no file of timings.
    """

    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...] = ()
    load_ms: float | None = field(default=None, compare=False)
    first_ms: float | None = field(default=None, compare=False)

    @property
    def typical_ms(self) -> float:
        """The mean of the fastest three quarters of the runs, by the thread's clock where there is one.

        The slowest were interrupted; the very least depends on luck where other tenants of the machine come and go.
        """
        return typical(self.runs)

    @property
    def runs(self) -> tuple[float, ...]:
        """The runs by the thread's clock where there is one, in their order, but for those that it lost.

        It leaves out what a hypervisor took from the processor; what it learns of late it leaves out of a later run,
        which then takes next to no time: none, or under half of what a quarter of the runs stay below.
        """
        runs = self.cpu_ms or self.wall_ms
        least = sorted(runs)[len(runs) // 4] / 2.0
        return tuple(ms for ms in runs if ms > 0.0 and ms >= least)

    @property
    def spread(self) -> float:
        """How far the runs stray upwards: their median over the least, less 1."""
        runs = self.runs
        return float(np.median(runs)) / min(runs) - 1.0

    def scaled(self, factor: float) -> Timing:
        """The same runs on a device that takes `factor` times as long."""
        return Timing(
            wall_ms=tuple(factor * ms for ms in self.wall_ms), cpu_ms=tuple(factor * ms for ms in self.cpu_ms)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A timing of which no runs are known: what was said of `count` runs stands for what would be made of them."""

    typical_ms: float
    spread: float
    count: int


def typical(runs: Sequence[float]) -> float:
    """The mean of the fastest three quarters of `runs`."""
    return float(np.sort(np.asarray(runs))[: math.ceil(_FASTEST * len(runs))].mean())


def run_statistics(timing: Timing) -> dict[str, float]:
    """The classic table of a phone benchmark, over wall times: mean, standard deviation, median, p90, minimum in ms."""
    wall = np.array(timing.wall_ms)
    found = {
        "mean_ms": float(wall.mean()),
        "sd_ms": float(wall.std(ddof=1)) if len(wall) > 1 else 0.0,
        "median_ms": float(np.median(wall)),
        "p90_ms": float(np.quantile(wall, 0.9)),
        "min_ms": float(wall.min()),
    }
    if timing.cpu_ms:
        found["cpu_min_ms"] = min(timing.cpu_ms)
    return found
