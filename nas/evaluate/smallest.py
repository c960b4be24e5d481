"""The smallest value that a space has of one figure: what to tell where a target or a limit cannot be met."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.problem import SpaceProblem
from nas.strategies import Evaluation, Evolution, Exhaustive, SearchTask, Strategy
from nas.strategies.problem import Codes

Values = Callable[[Codes], NDArray[np.float64]]
"""A figure of each of n codes, shape (n,)."""

_ENUMERABLE = 100_000
_EVALUATIONS = 60_000
_OUT_OF_REACH = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Smallest:
    """A point with the smallest `value` of a figure; `exact` says whether all points were looked at."""

    codes: tuple[int, ...]
    value: float
    exact: bool


def smallest(problem: SpaceProblem, values: Values, *, seed: int) -> Smallest:
    """The point of a space with the smallest of positive `values`, found or proved, whatever else it exceeds."""
    size = math.prod(problem.cardinalities.tolist())
    exact = size <= _ENUMERABLE
    strategy: Strategy = Exhaustive() if exact else Evolution(evaluations=_EVALUATIONS, rounds=2, offspring=2048)
    # No value is as small as this target, so the strategy goes down as far as it can.
    task = SearchTask(target_ms=_OUT_OF_REACH, rng=np.random.default_rng(seed))
    found = strategy.search(_Alone(problem, values), task).fastest
    assert found is not None  # no point was excluded
    return Smallest(codes=found.codes, value=found.bounded_ms, exact=exact)


class _Alone:
    """A space of which one figure counts and nothing else."""

    def __init__(self, problem: SpaceProblem, values: Values) -> None:
        self._problem, self._values = problem, values

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        return self._problem.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        return self._problem.canonical(codes)

    def evaluate(self, codes: Codes) -> Evaluation:
        values = self._values(codes)
        uncovered = self._problem.column("uncovered", codes)
        none = np.zeros(len(codes))
        return Evaluation(bounded_ms=values, excess=uncovered, accuracy=none, score=-values)
