"""What a strategy is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.strategies.goal import Goal
from nas.strategies.problem import Codes, Problem, checked_codes
from nas.strategies.reward import Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One point that a search found; `codes` are canonical, `reward` is that of the score, the other fields are those
    of `Evaluation`."""

    codes: tuple[int, ...]
    bounded_ms: float
    accuracy: float
    score: float
    reward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search is: `evaluated` of about `limit` points, and the best answer so far, None while there is none:
    its score, and its mean accuracy."""

    evaluated: int
    limit: int
    best_score: float | None
    best_accuracy: float | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchTask:
    """What a strategy is asked: the best points by `goal`, a target of `target_ms` milliseconds and a `reward`.

    `rng` is the only source of chance. `initial`, shape (n, genes), are points to begin
    with. Points of `exclude`, shape (n, genes), are not proposed: whatever a strategy returns, they are not in it.
    `InputError` for a target that is not positive and finite.
    """

    target_ms: float
    rng: np.random.Generator
    reward: Reward = field(default_factory=Reward)
    initial: Codes | None = None
    exclude: Codes | None = None
    progress: OnProgress = lambda progress: None

    def __post_init__(self) -> None:
        _ = self.goal  # refuses a target that is none

    @property
    def goal(self) -> Goal:
        """Which points are answers, and which of them is best."""
        return Goal(target_ms=self.target_ms, reward=self.reward)

    def initial_codes(self, cardinalities: NDArray[np.int64]) -> Codes:
        """`initial`, perhaps none; `InputError` where they are no codes of genes with so many choices."""
        return checked_codes(self.initial, cardinalities, what="initial")

    def excluded_codes(self, problem: Problem, cardinalities: NDArray[np.int64]) -> Codes:
        """The canonical codes of `exclude`, perhaps none; `InputError` as for `initial_codes`."""
        return problem.canonical(checked_codes(self.exclude, cardinalities, what="excluded"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found, without the points that the task excluded.

    `best` is the answer (`Goal.feasible`) with the best `Goal.value`, or None where no such point was found; `fastest`
    is the point with the lowest latency of those that exceed other limits least, None only where every point is
    excluded. `top` are the best answers, best first; `apart` good ones, best first, of which any two differ in many
    genes. `starts` are good points for NetAdapt that are slower than `aim_ms`, to which it shrinks: the target with the
    hard reward, the latency of the best answer with one that pays for latency. `front` is the Pareto front of latency
    and score over everything seen that keeps the other limits, by latency. `evaluated` counts distinct points; `exact`
    says whether they were all there are.
    """

    target_ms: float
    aim_ms: float
    best: Candidate | None
    fastest: Candidate | None
    top: tuple[Candidate, ...]
    apart: tuple[Candidate, ...]
    starts: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    evaluated: int
    exact: bool

    def spread(self, count: int) -> list[Candidate]:
        """Up to `count` good answers far from one another, the best one first.

        Those of `apart`; where these are not enough, of `top` those that differ in most genes from all chosen before.
        """
        chosen = list(self.apart[:count])
        rest = [candidate for candidate in self.top if candidate not in chosen]
        while rest and len(chosen) < count:
            farthest = max(rest, key=lambda one: min((_distance(one, other) for other in chosen), default=0))
            chosen.append(farthest)
            rest.remove(farthest)
        return chosen


def _distance(a: Candidate, b: Candidate) -> int:
    """In how many genes two points differ."""
    return sum(x != y for x, y in zip(a.codes, b.codes, strict=True))


class Strategy(Protocol):
    """A way to search."""

    def search(self, problem: Problem, task: SearchTask) -> SearchResult:
        """The best points of `problem` for `task`.

        The same problem, task and state of its `rng` give the same result. Raises `InputError` for codes in the task
        that are none of the problem, and for evaluations that are not finite.
        """
        ...
