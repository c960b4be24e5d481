"""Where another evaluation is worth most: the expected improvement of a goal's value, as a problem for strategies.

Latency is known, so only accuracy is uncertain: what is expected is the improvement over the best value so far, among
points that may be answers. It is ranked by its logarithm, which tells points apart where the improvement itself is
nothing in floating point (Ament et al., Unexpected Improvements to Expected Improvement, 2023, arXiv:2310.20708).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.strategies import Evaluation, Goal
from nas.strategies.problem import Codes
from nas.trials.question import Domain
from nas.trials.surrogate.model import Posterior

Floats = NDArray[np.float64]

_FAR = -8.0
_WORST = -1e6
_REACH = 0.3
"""Points further beyond the limit than this are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Improvement:
    """A domain as a strategy sees it: `score` is the logarithm of the expected improvement over `best`, a goal's value,
    in units of accuracy."""

    domain: Domain
    goal: Goal
    posterior: Posterior
    best: float

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self.domain.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes."""
        return self.domain.canonical(codes)

    def evaluate(self, codes: Codes) -> Evaluation:
        """What another evaluation of each point would be worth."""
        ms, excess = self.domain.latency_ms(codes), self.domain.excess(codes)
        score, accuracy = np.full(len(codes), _WORST), np.zeros(len(codes))
        near = np.flatnonzero((ms <= (1.0 + _REACH) * self.goal.limit_ms) & (excess <= _REACH))
        if len(near):
            belief = self.posterior.believed(codes[near])
            mean, deviation = values(self.goal, belief.mean, belief.deviation, ms[near])
            score[near] = log_expected_improvement(mean - self.best, deviation)
            accuracy[near] = belief.mean
        return Evaluation(bounded_ms=ms, excess=excess, accuracy=accuracy, score=score)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listed:
    """Some points of a problem as a space of their own, of one gene: the number of the point among `codes`."""

    problem: Improvement
    codes: Codes

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """How many points there are."""
        return np.array([len(self.codes)])

    def canonical(self, codes: Codes) -> Codes:
        """`codes`: each number is a point."""
        return codes

    def evaluate(self, codes: Codes) -> Evaluation:
        """What the problem says of the points."""
        return self.problem.evaluate(self.codes[codes[:, 0]])


def values(goal: Goal, mean: Floats, deviation: Floats, ms: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of the goal's value of points whose accuracies are normal, shape (n,): rewards are linear in
    the accuracy."""
    centre = goal.reward.reward(mean, ms, goal.target_ms)
    return centre, np.abs(goal.reward.reward(mean + deviation, ms, goal.target_ms) - centre)


def log_expected_improvement(gain: Floats, deviation: Floats) -> Floats:
    """log E[max(0, N(gain, deviation²))], shape (n,); not below -10⁶."""
    deviation = np.maximum(deviation, 1e-12)
    z = gain / deviation
    near = np.maximum(z, _FAR)
    inside = np.log(np.exp(-0.5 * near**2) / np.sqrt(2.0 * np.pi) + near * ndtr(near))
    # Far below, φ(z) + z Φ(z) is the difference of numbers that are nearly equal: φ(z) / z² (1 − 3 / z² + 15 / z⁴).
    far = np.minimum(z, _FAR)
    series = np.log1p(-3.0 / far**2 + 15.0 / far**4)
    outside = -0.5 * far**2 - 0.5 * np.log(2.0 * np.pi) - 2.0 * np.log(-far) + series
    return np.asarray(np.maximum(np.log(deviation) + np.where(z > _FAR, inside, outside), _WORST))
