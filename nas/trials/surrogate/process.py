"""A Gaussian process on genes and costs.

Accuracy = a constant + a linear trend in the costs + additive effects of genes (`Embedding`) + a smooth remainder (a
Matérn-5/2 in all of these) + what is each point's own. The last is no noise: it comes back when the point is evaluated
again. Noise is apart from it, and there is none where evaluations repeat themselves. Amplitudes and the length of the
remainder are those of the greatest marginal likelihood times priors that are wide, yet keep five points from saying
too much (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2, 4 and 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]

PRIORS: Mapping[str, tuple[float, float]] = {
    "trend": (0.0, 1.0),
    "genes": (0.0, 0.7),
    "rest": (-0.7, 0.7),
    "length": (1.0, 0.5),
    "own": (-1.8, 0.7),
    "noise": (-1.6, 0.7),
}
"""Mean and deviation of the logarithm of each: amplitudes in deviations of the accuracies, the length in the distance
of points that are drawn at random."""

_CONSTANT = 4.0
_TINY = 1e-8
_BOUND = 4.0
_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """n points as the process sees them: `genes` (n, p), vectors of `Embedding`, and standardised `costs` (n, c)."""

    genes: Floats
    costs: Floats

    def __len__(self) -> int:
        return len(self.genes)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Rows:
        """The points at `rows`."""
        return Rows(genes=self.genes[rows], costs=self.costs[rows])

    def join(self, other: Rows) -> Rows:
        """These and then those of `other`."""
        return Rows(genes=np.concatenate((self.genes, other.genes)), costs=np.concatenate((self.costs, other.costs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplitudes:
    """The hyper-parameters, as their logarithms by name."""

    logs: Mapping[str, float]

    def variance(self, name: str) -> float:
        """The square of an amplitude; of noise that there is none of, next to nothing."""
        return float(np.exp(2.0 * self.logs[name])) if name in self.logs else _TINY

    @property
    def length(self) -> float:
        """The length of the smooth remainder."""
        return float(np.exp(self.logs["length"]))

    def covariance(self, a: Rows, b: Rows) -> Floats:
        """The prior covariance of points but for what is each one's own, shape (n, m)."""
        trend, genes, distance = _products(a, b)
        trend *= self.variance("trend")
        genes *= self.variance("genes")
        trend += genes
        trend += self.variance("rest") * _matern(distance, self.length)[0]
        trend += _CONSTANT
        return trend

    def variances(self, rows: Rows) -> Floats:
        """The prior variance of each point, its own included, shape (n,)."""
        trend = self.variance("trend") * (rows.costs**2).sum(axis=1)
        genes = self.variance("genes") * (rows.genes**2).sum(axis=1)
        return np.asarray(_CONSTANT + trend + genes + self.variance("rest") + self.variance("own"))


def fitted(
    rows: Rows, values: Floats, repeats: NDArray[np.int64], unsure: Floats, *, scatter: float, noisy: bool
) -> Amplitudes:
    """The amplitudes that explain standardised `values` (n,) best; `repeats` (n,) trials stand behind each,
    `scatter` is the sum of their squared distances from their means, `unsure` (n,) a further variance."""
    names = [name for name in PRIORS if noisy or name != "noise"]
    means, deviations = np.array([PRIORS[name] for name in names]).T
    count, further = len(rows), float(repeats.sum() - len(rows))
    trend, genes, distance = _products(rows, rows)
    identity = np.eye(count)

    def loss(logs: Floats) -> tuple[float, Floats]:
        variance = dict(zip(names, np.exp(2.0 * logs), strict=True))
        noise = variance.get("noise", _TINY)
        smooth, change = _matern(distance, float(np.exp(logs[names.index("length")])))
        covariance = variance["trend"] * trend + variance["genes"] * genes + variance["rest"] * smooth + _CONSTANT
        covariance[np.diag_indices(count)] += variance["own"] + noise / repeats + unsure + _TINY
        root = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((root, True), values, check_finite=False)
        # The derivative of the likelihood by the covariance.
        slope = cho_solve((root, True), identity, check_finite=False) - np.outer(weights, weights)
        by_noise = float((np.diag(slope) / repeats).sum()) * noise
        value = 0.5 * float(values @ weights) + float(np.log(np.diag(root)).sum())
        if noisy and further:
            value += 0.5 * further * np.log(noise) + 0.5 * scatter / noise
            by_noise += further - scatter / noise
        by = {
            "trend": (slope * trend).sum() * variance["trend"],
            "genes": (slope * genes).sum() * variance["genes"],
            "rest": (slope * smooth).sum() * variance["rest"],
            "length": 0.5 * (slope * change).sum() * variance["rest"],
            "own": np.trace(slope) * variance["own"],
            "noise": by_noise,
        }
        off = (logs - means) / deviations
        return value + 0.5 * float(off @ off), np.array([by[name] for name in names]) + off / deviations

    reach = _BOUND * deviations
    found = minimize(
        loss,
        means,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(means - reach, means + reach, strict=True)),
        options={"maxiter": _STEPS},
    )
    return Amplitudes(logs=dict(zip(names, found.x.tolist(), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Process:
    """What is believed of any point, given `values` (n,) of `rows`, in their unit; `noise` (n,) is the variance of each
    value around what its point is worth."""

    amplitudes: Amplitudes
    rows: Rows
    values: Floats
    noise: Floats
    _root: Floats = field(init=False, repr=False)
    _weights: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariance = self.amplitudes.covariance(self.rows, self.rows)
        covariance[np.diag_indices(len(self.rows))] += self.amplitudes.variance("own") + self.noise + _TINY
        root = cholesky(covariance, lower=True, check_finite=False)
        object.__setattr__(self, "_root", root)
        object.__setattr__(self, "_weights", cho_solve((root, True), self.values, check_finite=False))

    def believed(self, rows: Rows, own: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Means and deviations of points, shape (n,); `own` (n,) is the place of each among those observed, -1 for one
        that is not."""
        across = self._across(rows, own)
        half = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        variance = self.amplitudes.variances(rows) - np.einsum("ij,ij->j", half, half)
        return across @ self._weights, np.sqrt(np.maximum(variance, 0.0))

    def together(self, rows: Rows, own: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Means (n,) and the joint covariance (n, n) of distinct points."""
        across = self._across(rows, own)
        half = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        prior = self.amplitudes.covariance(rows, rows)
        prior[np.diag_indices(len(rows))] += self.amplitudes.variance("own")
        return across @ self._weights, prior - half.T @ half

    def supposing(self, rows: Rows) -> Process:
        """The same once new points have come out exactly as expected: as sure of them, no wiser in the mean."""
        mean, _ = self.believed(rows, np.full(len(rows), -1))
        return Process(
            amplitudes=self.amplitudes,
            rows=self.rows.join(rows),
            values=np.concatenate((self.values, mean)),
            noise=np.concatenate((self.noise, np.zeros(len(rows)))),
        )

    def _across(self, rows: Rows, own: NDArray[np.int64]) -> Floats:
        across = self.amplitudes.covariance(rows, self.rows)
        known = np.flatnonzero(own >= 0)
        across[known, own[known]] += self.amplitudes.variance("own")
        return across


def _products(a: Rows, b: Rows) -> tuple[Floats, Floats, Floats]:
    """Inner products of the costs, of the genes, and squared distances in both, each of shape (n, m)."""
    trend, genes = a.costs @ b.costs.T, a.genes @ b.genes.T
    own_a = (a.costs**2).sum(axis=1) + (a.genes**2).sum(axis=1)
    own_b = (b.costs**2).sum(axis=1) + (b.genes**2).sum(axis=1)
    return trend, genes, np.maximum(own_a[:, None] + own_b - 2.0 * (trend + genes), 0.0)


def _matern(distance: Floats, length: float) -> tuple[Floats, Floats]:
    """The Matérn-5/2 correlation at squared distances, and its derivative by the logarithm of the length."""
    r = np.sqrt(5.0 * distance) / length
    decay = np.exp(-r)
    third = r * r / 3.0
    return (1.0 + r + third) * decay, third * (1.0 + r) * decay
