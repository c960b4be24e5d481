"""Two trained networks on the same held-out images, and two orders of the same networks: what can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nas.training.heldout import Z90, wilson

Right = NDArray[np.bool_]
"""Whether a network was right: (seeds, images)."""

_DRAWS, _FEWEST = 2000, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its central 90 % interval."""

    mean: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """{"mean", "low", "high"}."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Spearman's rank correlation of `count` pairs, with its central 90 % interval."""

    rho: float
    low: float
    high: float
    count: int

    def as_json(self) -> dict[str, float]:
        """{"spearman", "low", "high", "networks"}."""
        return {"spearman": self.rho, "low": self.low, "high": self.high, "networks": self.count}


def accuracy_of_seeds(right: Right) -> Interval:
    """The accuracy that a network has on average over trainings: `right` (seeds, images).

    Two variances add up: of a share of so many images (Wilson 1927), and of the mean of so many seeds (Student's t).
    With one seed the second is not known and left out.
    """
    images = right.shape[1]
    mean = float(right.mean())
    low, high = wilson(round(mean * images), images)
    spread = _half_of_seeds(right.mean(axis=1))
    return Interval(
        mean=mean,
        low=max(0.0, mean - math.hypot(mean - low, spread)),
        high=min(1.0, mean + math.hypot(high - mean, spread)),
    )


def difference(first: Right, second: Right) -> Interval:
    """How much more accurate the first network is, each (seeds, images) on the same images.

    By images: the differences of the shares of seeds that were right on each are as paired as they are. By seeds: the
    variance of trainings is pooled over both networks.
    """
    by_image = first.mean(axis=0) - second.mean(axis=0)
    mean = float(by_image.mean())
    of_images = Z90 * float(by_image.std(ddof=1)) / math.sqrt(len(by_image)) if len(by_image) > 1 else 1.0
    half = math.hypot(of_images, _half_of_seeds(first.mean(axis=1), second.mean(axis=1)))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, float]:
    """McNemar's exact test of two networks on the same images, (n,) each: how many only the first had right, how many
    only the second, and the two-sided p-value (binomial, doubled)."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    told = only_first + only_second
    value = 1.0 if not told else min(1.0, 2.0 * float(special.bdtr(min(only_first, only_second), told, 0.5)))
    return only_first, only_second, value


def rank_correlation(
    first: NDArray[np.float64], second: NDArray[np.float64], rng: np.random.Generator
) -> RankCorrelation | None:
    """Spearman's rank correlation of two arrays (n,), ties by their mean rank. None for fewer than four pairs, or where
    one array holds a single value.

    Its interval is the wider, at either end, of a bootstrap's over the pairs and of Bonett and Wright's (2000, by
    Fisher's z): of a handful of pairs in perfect order every draw is in order too, and a bootstrap would be sure.
    """
    count = len(first)
    if count < _FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    drawn = [_spearman(first[at], second[at]) for at in rng.integers(0, count, (_DRAWS, count))]
    rho = _spearman(first, second)
    (low, high), (least, most) = np.nanquantile(drawn, (0.05, 0.95)), _by_fisher(rho, count)
    return RankCorrelation(rho=rho, low=min(float(low), least), high=max(float(high), most), count=count)


def _by_fisher(rho: float, count: int) -> tuple[float, float]:
    """Bonett and Wright's interval; a correlation of `count` pairs is held to be no nearer to 1 than 1 / `count`."""
    rho = min(max(rho, 1 / count - 1), 1 - 1 / count)
    half = Z90 * math.sqrt((1 + rho * rho / 2) / (count - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def _half_of_seeds(*accuracies: NDArray[np.float64]) -> float:
    """Half the 90 % interval of a sum of means over seeds, (seeds,) each, with one variance for all; 0 for one."""
    freedom = sum(len(one) - 1 for one in accuracies)
    if not freedom:
        return 0.0
    pooled = sum(float(((one - one.mean()) ** 2).sum()) for one in accuracies) / freedom
    return float(special.stdtrit(freedom, 0.95)) * math.sqrt(sum(pooled / len(one) for one in accuracies))


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    a, b = (_ranks(one) - (len(one) - 1) / 2 for one in (first, second))
    scale = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else math.nan


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values have the mean of theirs."""
    _, owner, number = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(number)
    ranks: NDArray[np.float64] = (ends - (number + 1) / 2)[owner.reshape(-1)]
    return ranks
