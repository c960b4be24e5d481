"""The fastest network of a space on a further device: what to tell where its target cannot be met."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.problem import SpaceProblem
from nas.strategies import Candidate, Evaluation, Evolution, Exhaustive, SearchTask, Strategy
from nas.strategies.problem import Codes

_ENUMERABLE = 100_000
_OUT_OF_REACH_MS = 1e-9


def fastest_on(problem: SpaceProblem, position: int, *, seed: int) -> Candidate:
    """The fastest point that was found for the further device at `position`, whatever else it exceeds.

    Its `bounded_ms` are those of that device. Spaces of up to a hundred thousand codes are enumerated.
    """
    small = math.prod(problem.cardinalities.tolist()) <= _ENUMERABLE
    strategy: Strategy = Exhaustive() if small else Evolution(evaluations=60_000, offspring=2048, rounds=2)
    # Nothing is as fast as this target, so the strategy goes down as far as it can.
    task = SearchTask(target_ms=_OUT_OF_REACH_MS, rng=np.random.default_rng(seed))
    found = strategy.search(_OneDevice(problem, position), task).fastest
    assert found is not None  # no point was excluded
    return found


class _OneDevice:
    """A space of which the latency on one further device counts, and nothing else."""

    def __init__(self, problem: SpaceProblem, position: int) -> None:
        self._problem, self._position = problem, position

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self._problem.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes."""
        return self._problem.canonical(codes)

    def evaluate(self, codes: Codes) -> Evaluation:
        """The latency alone."""
        latency_ms = self._problem.also_ms(codes)[:, self._position]
        nothing = np.zeros(len(codes))
        return Evaluation(bounded_ms=latency_ms, excess=nothing, accuracy=nothing, score=-latency_ms)
