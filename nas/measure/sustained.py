"""A network run for minutes on end: how it starts, and how its time changes as the device warms.

It runs in batches of some seconds, each in a process of its own, one right after the other: so it goes by every way to
a device, and what was timed before a batch fails, or somebody interrupts, is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.graph.rows import Shape
from nas.measure.stopwatch import Stopwatch
from nas.runners.timing import Timing

SHORTEST_S = 10.0
"""The shortest time that says anything."""
_BATCH_SHARE, _BATCH_S = 1 / 40, (2.0, 15.0)
"""How long a batch is: a share of all, within these."""
_FIRST_ROUNDS, _MOST_ROUNDS = 3, 100_000
INTERRUPTED = "it was interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A batch: when its middle was (seconds from the beginning), its runs, and what the device was like (nothing where
    it does not tell)."""

    at_s: float
    runs_ms: tuple[float, ...]
    state: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The record; times in ms."""
        p50, p90 = np.quantile(self.runs_ms, [0.5, 0.9])
        return {
            "at_s": self.at_s,
            "runs": len(self.runs_ms),
            "p50_ms": float(p50),
            "p90_ms": float(p90),
            "state": dict(self.state),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What was timed in `seconds`: what loading and the first run took in the first process, in ms (None where nobody
    told), the batches, and why they `ended` before their time (empty: they did not)."""

    environment: Mapping[str, str]
    seconds: float
    load_ms: float | None
    first_ms: float | None
    points: tuple[Point, ...]
    ended: str = ""

    @property
    def change(self) -> float | None:
        """The median time of the last fifth of the batches over that of the first fifth, less 1; None for fewer than
        five."""
        fifth = len(self.points) // 5
        if not fifth:
            return None
        first, last = (
            float(np.median(np.concatenate([point.runs_ms for point in part])))
            for part in (self.points[:fifth], self.points[-fifth:])
        )
        return last / first - 1.0

    def as_json(self) -> dict[str, Any]:
        """The record; times in ms."""
        runs = np.concatenate([point.runs_ms for point in self.points])
        p50, p90 = np.quantile(runs, [0.5, 0.9])
        return {
            "environment": dict(self.environment),
            "seconds": self.seconds,
            "ended": self.ended,
            "load_ms": self.load_ms,
            "first_ms": self.first_ms,
            "runs": len(runs),
            "p50_ms": float(p50),
            "p90_ms": float(p90),
            "change": self.change,
            "curve": [point.as_json() for point in self.points],
        }


def run_on(
    watch: Stopwatch,
    network: Path,
    duration_s: float,
    *,
    threads: int,
    input_shapes: Mapping[str, Shape] | None = None,
    progress: Callable[[float, Timing | None], None] = lambda seconds, last: None,
    clock: Callable[[], float] = time.monotonic,
) -> Course:
    """Run the network in a file for `duration_s`, as long as the device is there and nobody interrupts.

    Wall times count, as whoever waits for a result has them; what a device is given to cool before it begins does not.
    Raises `InputError` where it cannot be run, and what `Stopwatch.time` raises where that ends the first batch;
    `KeyboardInterrupt` passes in the first batch.
    """
    base = watch.environment()
    least, most = _BATCH_S
    batch_s = min(max(_BATCH_SHARE * duration_s, least), most)
    points: list[Point] = []
    taken: list[tuple[int, float]] = []
    start: Timing | None = None
    rounds, ended, began, now = _FIRST_ROUNDS, "", clock(), 0.0
    while now < duration_s:
        progress(now, start)
        try:
            session = watch.time(
                [network], rounds=rounds, threads=threads, input_shapes=input_shapes, cool=not points
            )  # fmt: skip
            (timing,) = session.timings()
        except KeyboardInterrupt:
            if not points:
                raise
            ended = INTERRUPTED
            break
        except NasError as error:
            if not points:
                raise
            ended = str(error)
            break
        began += session.cooled_s
        then, now = now, clock() - began
        start = start or timing
        state = {name: value for name, value in session.environment.items() if name not in base}
        points.append(Point(at_s=(then + now) / 2.0, runs_ms=timing.wall_ms, state=state))
        taken.append((rounds, now - then))
        wanted_s = max(min(batch_s, duration_s - now), 0.0)
        rounds = min(max(int(wanted_s / _a_round_s(taken, timing)), 1), 10 * rounds, _MOST_ROUNDS)
    assert start is not None
    return Course(
        environment=base,
        seconds=now,
        load_ms=start.load_ms,
        first_ms=start.first_ms,
        points=tuple(points),
        ended=ended,
    )


def _a_round_s(taken: Sequence[tuple[int, float]], last: Timing) -> float:
    """What a round takes, without what a process takes around its rounds: by how much longer than the first the last
    batch took, given (rounds, seconds) of each, and no less than its two runs."""
    (first, first_s), (rounds, seconds) = taken[0], taken[-1]
    runs_s = 2.0 * float(np.mean(last.wall_ms)) / 1e3
    return max(runs_s, (seconds - first_s) / (rounds - first) if rounds > first else 0.0)
