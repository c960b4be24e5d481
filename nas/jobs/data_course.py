"""How far networks are trained in a search on a user's images, and how much of that a budget of time allows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nas.errors import InputError
from nas.jobs.data_finals import FINALISTS
from nas.trials.records import Trial

SEEDS = 3
"""So many trainings each of the two networks that are compared has."""

_SHARES = (12, 3)
"""A rung is the full training's epochs divided by so many: of 24, rungs of 2 and 8."""

_FOR_FINALS, _FOR_KNOWN = 0.6, 0.4
"""At most this share of a budget is kept for the finalists; of the rest the known networks have this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Full trainings have `epochs`, networks that are compared `seeds` of these, and each part up to `finalists`.

    Each rung is a complete schedule, begun anew. That costs a third more than going on would, where every network
    reached the end, and a few per cent in a halving where most do not. A short schedule that has ended ranks networks
    far better than a long one that is read early (Spearman 0.74 against 0.26 with the long run's end, ten networks);
    and a training that depends on nothing but its own number of epochs serves every later search.
    """

    epochs: int
    seeds: int = SEEDS
    finalists: int = FINALISTS

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.seeds < 1:
            raise InputError(f"epochs and seeds must be at least 1, but got {self.epochs} and {self.seeds}.")

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs of each rung, ascending."""
        return tuple(sorted({math.ceil(self.epochs / share) for share in _SHARES}))

    @property
    def full_trainings(self) -> int:
        """How many trainings of all epochs there are, with a known part and a searched one."""
        return 2 * (self.finalists + self.seeds - 1)

    def in_a_row(self, workers: int) -> int:
        """How many full trainings one of `workers` does, one after another: the finalists, then further seeds."""
        return math.ceil(2 * self.finalists / workers) + math.ceil(2 * (self.seeds - 1) / workers)

    def within(self, seconds: float, epoch_s: float, workers: int = 1) -> tuple[Course, str | None]:
        """What of the course `seconds` of the clock allow to `workers`, where an epoch takes `epoch_s`, and what was
        left out: seeds first, then second finalists, then epochs."""
        course, most = self, max(1.0, seconds / max(epoch_s, 1e-9))
        while course.in_a_row(workers) * course.epochs > most and course.seeds > 1:
            course = replace(course, seeds=course.seeds - 1)
        if course.in_a_row(workers) * course.epochs > most:
            course = replace(course, finalists=1)
        if course.in_a_row(workers) * course.epochs > most:
            course = replace(course, epochs=max(1, int(most) // course.in_a_row(workers)))
        if course == self:
            return self, None
        said = f"{course.epochs} epochs, {course.seeds} seeds and {course.finalists} finalists of each part"
        return course, f"The budget allowed full trainings of {said}; without it these are {self._words()}."

    def _words(self) -> str:
        return f"{self.epochs}, {self.seeds} and {self.finalists}"


def epoch_seconds(trials: Sequence[Trial]) -> float | None:
    """The mean seconds of an epoch of all trials; None before the first has ended."""
    ended = [trial for trial in trials if trial.curve and trial.seconds > 0]
    epochs = sum(epochs for trial in ended for epochs, _ in trial.curve)
    return sum(trial.seconds for trial in ended) / epochs if epochs else None


class Budget:
    """Seconds of the wall clock that a search may take, earlier starts included (`spent_before`); None: any.

    `workers` is how many trainings are done at once, as the executor says it; an epoch of a full training takes `full`
    times as long as one in a rung.
    """

    def __init__(
        self, seconds: float | None, *, workers: int = 1, full: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds, self.workers = seconds, workers
        self._full, self._clock, self._began, self.spent_before = full, clock, clock(), 0.0

    @property
    def left(self) -> float:
        """The seconds that are left; infinite without a budget."""
        if self.seconds is None:
            return math.inf
        return self.seconds - self.spent_before - (self._clock() - self._began)

    def begin(self, trials: Sequence[Trial]) -> None:
        """Count what an earlier start has spent on `trials`: the time in which any was trained."""
        self.spent_before, until = 0.0, -math.inf
        for begun, ended in sorted((rung.ended - rung.seconds, rung.ended) for trial in trials for rung in trial.own):
            self.spent_before += max(0.0, ended - max(begun, until))
            until = max(until, ended)

    def is_up(self, course: Course, trials: Sequence[Trial], *, known: bool) -> bool:
        """Whether nothing more is begun, so that the finalists can be trained: in the part of `known` networks, or in
        the searched one."""
        if self.seconds is None:
            return False
        epoch_s = self._full_epoch_s(trials)
        finals = math.inf if epoch_s is None else course.in_a_row(self.workers) * course.epochs * epoch_s
        kept = min(finals, _FOR_FINALS * self.seconds)
        later = kept + (1 - _FOR_KNOWN) * (self.seconds - kept) if known else kept
        return self.left <= later

    def course(self, course: Course, trials: Sequence[Trial]) -> tuple[Course, str | None]:
        """What of `course` is still paid for."""
        epoch_s = self._full_epoch_s(trials)
        if self.seconds is None or epoch_s is None:
            return course, None
        return course.within(max(0.0, self.left), epoch_s, self.workers)

    def _full_epoch_s(self, trials: Sequence[Trial]) -> float | None:
        epoch_s = epoch_seconds(trials)
        return None if epoch_s is None else self._full * epoch_s
