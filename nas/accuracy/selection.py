"""What a claim is worth that was chosen for being high: the correction for having been selected.

A search takes, of very many networks, the one for which its model promises most, and with it the luckiest of the
model's errors. How much of a promise is left was seen where the truth is known: families of published networks were
left out, a model of the others chose among them, and the gain that it claimed over the best known network of the
latency was compared with the published one (`nas.accuracy.contests`, benchmarks/selection.md). Such is the rule:

    kept      s = 1 / (1 + √novelty · (level + growth · log candidates))
    believed  known + s · (claimed − known)   where a claim lies above what is known at its latency
    variance  that of the model + (1 − s) · spread²

which is what is left of a normal quantity with the variance spread² when it is seen with an error (James and Stein
1961): the kept part falls with the candidates and with the novelty, the variance rises, and neither depends on the
height of the claim. So what is believed rises strictly with what is claimed, and with what is known at the latency:
there is no height beyond which a better claim is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.estimate import AccuracyDifferences, AccuracyFigures
from nas.accuracy.prior import QUANTILE_95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The correction. `level`, `growth` and `spread` as above, on the scale −log(1 − accuracy); `width` is what the
    deviation of a difference to a known network is multiplied by; `candidates` is the logarithm of the number of
    independent networks that a search chooses among, for a unit of novelty."""

    level: float
    growth: float
    spread: float
    width: float
    candidates: float

    def kept(self, novelty: Floats, log_candidates: Floats | None = None) -> Floats:
        """The part s of claims (n,) that is kept, in (0, 1].

        By default a network was chosen among all that a search finds no farther from the data than itself.
        """
        log_number = self.candidates * novelty if log_candidates is None else log_candidates
        return np.asarray(1.0 / (1.0 + np.sqrt(novelty) * (self.level + self.growth * log_number)))

    def believed(self, claimed: AccuracyFigures, known: Floats) -> AccuracyFigures:
        """What is left of the claims of n networks that a search chose; `known` (n,) are the targets
        −log(1 − accuracy) of what known networks promise at their latencies."""
        kept = self.kept(claimed.novelty)
        target = _target(claimed.mean)
        mean = target - self.taken(kept, target - known)
        more = (1.0 - kept) * (QUANTILE_95 * self.spread) ** 2
        below = np.sqrt((target - _target(claimed.low)) ** 2 + more)
        above = np.sqrt((_target(claimed.high) - target) ** 2 + more)
        return replace(claimed, mean=_accuracy(mean), low=_accuracy(mean - below), high=_accuracy(mean + above))

    def gains(
        self, differences: AccuracyDifferences, claimed: AccuracyFigures, believed: AccuracyFigures
    ) -> AccuracyDifferences:
        """How much better a network is than n known ones, shape (n,): the believed mean less theirs.

        `differences` are those of the model, known minus network; `claimed` and `believed` are the figures of the
        network alone, before and after the correction, the same where nobody chose it.
        """
        error = 1.0 - claimed.mean
        mean, low, high = (-np.log1p(-ends / error) for ends in (differences.mean, differences.low, differences.high))
        deviation = (high - low) / (2.0 * QUANTILE_95)
        kept = self.kept(claimed.novelty) if believed is not claimed else np.ones(1)
        gain = -mean - (_target(claimed.mean) - _target(believed.mean))
        half = QUANTILE_95 * np.sqrt(self.variance(kept, deviation**2))
        known_error = error - differences.mean
        ends = (known_error * -np.expm1(-end) for end in (gain, gain - half, gain + half))
        return AccuracyDifferences(**dict(zip(("mean", "low", "high"), ends, strict=True)))

    @staticmethod
    def taken(kept: Floats, gain: Floats) -> Floats:
        """What is taken from targets that lie `gain` above what is known, (n,)."""
        return np.asarray((1.0 - kept) * np.maximum(gain, 0.0))

    def variance(self, kept: Floats, variance: Floats) -> Floats:
        """The variance of differences to known networks, from the model's, (n,)."""
        return np.asarray(self.width**2 * variance + (1.0 - kept) * self.spread**2)


SELECTION = Selection(level=0.78, growth=0.08, spread=0.0165, width=0.71, candidates=3.0)
"""Found by `python -m benchmarks.selection`, which prints what it finds beside these; see benchmarks/selection.md."""


def _target(accuracy: Floats) -> Floats:
    return np.asarray(-np.log1p(-np.minimum(accuracy, 1.0 - 1e-12)))


def _accuracy(target: Floats) -> Floats:
    return np.asarray(np.clip(-np.expm1(-target), 0.0, 1.0))
