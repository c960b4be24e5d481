"""A Gaussian process on what a roofline leaves over, group by group of operators that are alike.

A group has all of its rows as centres, up to a limit, so that a new shape is read off its neighbours; lengths and scale
are common to all groups, those of the greatest marginal likelihood on some rows (Matérn 3/2, a length for each feature;
Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 4 and 5). Beyond the sizes that were
measured a point stands at their edge, and what is unsure grows with its distance from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

from nas.latency.published.cost_model import Floats

_TOLD_BY, _STEPS = 500, 15
"""Rows that tell the lengths, and steps towards them: more change predictions by little."""
_LEAST_NOISE = 1e-4
_CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """`weights` (k,): one over the length of each feature; variances of the process and of the noise."""

    weights: Floats
    variance: float
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`centres` (m, k), features times the weights of `Scales`; `pull` (m,), so that the mean is kernel · pull."""

    centres: Floats
    pull: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """The fitted process; `low` and `high` (k,) are the edges of what was measured."""

    scales: Scales
    low: Floats
    high: Floats
    groups: Mapping[str, Group]

    def predict(self, points: Floats, names: Sequence[str], group: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """The mean at points (n, k) of groups, numbers (n,) of `names`, and the variance for lying beyond the edges,
        each (n,); of a group that was never measured zero and all of the process's variance."""
        inside = np.clip(points, self.low, self.high)
        weights = self.scales.weights
        beyond = ((points - inside) * weights) ** 2
        variance = self.scales.variance * (1.0 - _matern(beyond.sum(axis=1)))
        mean = np.zeros(len(points))
        scaled = (inside * weights).astype(np.float32)
        for number, name in enumerate(names):
            rows = np.flatnonzero(group == number)
            if name not in self.groups:
                variance[rows] = self.scales.variance
                continue
            found = self.groups[name]
            centres, pull = found.centres.astype(np.float32), found.pull.astype(np.float32)
            for start in range(0, len(rows), _CHUNK):
                chunk = rows[start : start + _CHUNK]
                mean[chunk] = _matern(_squares(scaled[chunk], centres)) @ pull
        return mean, variance


def fit_residuals(
    points: Floats, values: Floats, names: Sequence[str], group: NDArray[np.int64], *, centres: int, seed: int = 0
) -> tuple[Residuals, Floats]:
    """The process for `values` (n,) at points (n, k) of groups (numbers of `names`), and what it misses each by where
    that row is left out, (n,).

    A group keeps at most `centres` of its rows, drawn with `seed`; the others were never in it.
    """
    order = np.random.default_rng(seed).permutation(len(points))
    scales = _scales(points[order[:_TOLD_BY]], values[order[:_TOLD_BY]])
    scaled = points * scales.weights
    missed, groups = np.zeros(len(points)), {}
    for number, name in enumerate(names):
        rows = order[group[order] == number]
        kept, others = rows[:centres], rows[centres:]
        covariance = scales.variance * _matern(_squares(scaled[kept], scaled[kept]))
        covariance[np.diag_indices(len(kept))] += scales.noise
        inverse = cho_solve(cho_factor(covariance, lower=True), np.eye(len(kept)))
        pull = inverse @ values[kept]
        missed[kept] = pull / np.diag(inverse)
        groups[name] = Group(centres=scaled[kept], pull=scales.variance * pull)
        for start in range(0, len(others), _CHUNK):
            chunk = others[start : start + _CHUNK]
            near = _matern(_squares(scaled[chunk], scaled[kept]))
            missed[chunk] = values[chunk] - near @ groups[name].pull
    low, high = points.min(axis=0), points.max(axis=0)
    return Residuals(scales=scales, low=low, high=high, groups=groups), missed


def _scales(points: Floats, values: Floats) -> Scales:
    """Scales of the greatest marginal likelihood, a few steps from a start that suits standardised features."""
    squares = [np.subtract.outer(column, column) ** 2 for column in points.T]
    spread = max(float(values.var()), _LEAST_NOISE)

    def loss(logs: Floats) -> tuple[float, Floats]:
        weights, variance, noise = np.exp(2.0 * logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
        distance = np.zeros((len(points), len(points)))
        for one, weight in zip(squares, weights, strict=True):
            distance += weight * one
        shape = _matern(distance)
        try:
            factor = cho_factor(variance * shape + noise * np.eye(len(points)), lower=True)
        except LinAlgError:
            return 1e12, np.zeros_like(logs)
        pull, inverse = cho_solve(factor, values), cho_solve(factor, np.eye(len(points)))
        slope = 0.5 * (inverse - np.outer(pull, pull))
        by_distance = -3.0 * variance * slope * np.exp(-np.sqrt(3.0 * distance))
        gradient = [float((by_distance * one).sum()) * w for one, w in zip(squares, weights, strict=True)]
        gradient += [float((slope * shape).sum() * variance), float(np.trace(slope) * noise)]
        likelihood = 0.5 * float(values @ pull) + float(np.log(np.diag(factor[0])).sum())
        return likelihood, np.array(gradient)

    start = np.append(np.full(len(squares), -1.0), [np.log(spread), np.log(max(0.03 * spread, 2.0 * _LEAST_NOISE))])
    bounds = [(-6.0, 2.0)] * len(squares) + [(-9.0, 3.0), (np.log(_LEAST_NOISE), 0.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x
    return Scales(weights=np.exp(found[:-2]), variance=float(np.exp(found[-2])), noise=float(np.exp(found[-1])))


def _squares(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Squared distances of points (n, k) and (m, k), shape (n, m), in their precision."""
    found = a @ b.T
    found *= -2.0
    found += (a**2).sum(axis=1)[:, None]
    found += (b**2).sum(axis=1)
    return np.asarray(np.maximum(found, 0.0, out=found))


def _matern(squares: NDArray[Any]) -> NDArray[Any]:
    """The Matérn 3/2 correlation at squared distances, shape kept."""
    root = np.sqrt(3.0 * squares) if squares.dtype == np.float64 else np.sqrt(np.float32(3.0) * squares)
    shape = np.exp(-root)
    root += 1.0
    root *= shape
    return np.asarray(root)
