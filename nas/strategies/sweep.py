"""The front over all latencies of a space: not only what is near one target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.strategies.evolution import Evolution
from nas.strategies.local_search import climb
from nas.strategies.points import Points
from nas.strategies.problem import Codes, Problem, checked_cardinalities, checked_evaluation
from nas.strategies.task import SearchResult, SearchTask
from nas.strategies.variation import random_codes

_SAMPLE = 2048
_CLIMB = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """An evolution whose niches are spread evenly, by the logarithm, from the fastest to the slowest point.

    `levels` latencies share about `evaluations` evaluations, so that the front of the result spans the space; for the
    best at one latency ask `Evolution`.
    """

    evaluations: int = 150_000
    levels: int = 12

    def search(self, problem: Problem, task: SearchTask) -> SearchResult:
        """The points found; the target of `task` changes nothing."""
        low, high = latency_range(problem, task.rng)
        middle = float(np.sqrt(low * high))
        caps = tuple((np.geomspace(low, high, self.levels) / middle).tolist())
        evolution = Evolution(
            evaluations=self.evaluations, offspring=4096, rounds=1, climbers=1, pairs=500, population=256, caps=caps
        )
        return evolution.search(problem, replace(task, target_ms=middle))


def latency_range(problem: Problem, rng: np.random.Generator) -> tuple[float, float]:
    """The lowest and the highest bounded latency (milliseconds) that climbing from random points finds."""
    cardinalities = checked_cardinalities(problem)

    def evaluate(codes: Codes) -> Points:
        canonical = problem.canonical(codes)
        return Points.of(canonical, checked_evaluation(problem, canonical))

    points = evaluate(random_codes(cardinalities, _SAMPLE, rng))

    def extreme(fitness: Callable[[Points], NDArray[np.float64]]) -> float:
        found = climb(points, fitness, evaluate, cardinalities, rng, width=1, num_pairs=1, limit=_CLIMB)
        return float(found.bounded_ms[0])

    return extreme(lambda found: -found.bounded_ms), extreme(lambda found: found.bounded_ms)
