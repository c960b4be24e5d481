"""What timed networks say of operators and segments, the scales given: Gaussian inference on relative latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from nas.latency.published.cost_model import Floats, Ints
from nas.latency.timed.design import Design
from nas.latency.timed.operator_shapes import coordinates
from nas.latency.timed.regressor import kernel

_CENTRES, _JITTER = 160, 1e-8
_SURE = 0.25
"""Noise of a sure time in squares, against that of a single process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """g in the basis of its centres for one length, with unit scale: `features` (operators, D) times a standard normal
    vector; `centres` and `roots` (m, m) by group; `slices` say whose columns are whose."""

    length: float
    features: Floats
    centres: Mapping[int, Floats]
    roots: Mapping[int, Floats]
    slices: Mapping[int, slice]


def basis_of(design: Design, length: float) -> Basis:
    points = coordinates(design.operators)
    centres, roots, slices, blocks = {}, {}, {}, []
    start = 0
    for group in range(len(design.groups)):
        rows = np.flatnonzero(design.group == group)
        centres[group] = points[rows][_spread_out(points[rows], _CENTRES)]
        inner = kernel(centres[group], centres[group], 1.0, length)
        roots[group] = cholesky(inner + _JITTER * len(inner) * np.eye(len(inner)), lower=True)
        near = kernel(points[rows], centres[group], 1.0, length)
        blocks.append((rows, solve_triangular(roots[group], near.T, lower=True).T))
        slices[group] = slice(start, start + len(inner))
        start += len(inner)
    features = np.zeros((len(points), start))
    for group, (rows, block) in enumerate(blocks):
        features[rows, slices[group]] = block
    return Basis(length=length, features=features, centres=centres, roots=roots, slices=slices)


def _spread_out(points: Floats, count: int) -> Ints:
    """Positions of at most `count` of `points` that lie far apart: each next one is the farthest from those before."""
    chosen = [0]
    distance = ((points - points[0]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)) and distance.max() > 1e-12:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Standard deviations, relative: of g, of e, of a time, of b; and the length over which g varies. `small_ms` is
    what a time strays by whatever its length: the clock, and what the operators of a small network say nothing of."""

    length: float
    scale: float
    segment_sd: float
    noise: float
    batch_sd: float
    small_ms: float


class Posterior:
    """What the networks say, given a basis. Everything is relative to a network's latency; `disturbed` (n,) is noise in
    squares that single times have beyond the common one."""

    def __init__(self, design: Design, basis: Basis, disturbed: Floats) -> None:
        self._design, self.basis, self.disturbed = design, basis, disturbed
        weighted = design.parts.multiply(design.base[None, :]).tocsr()
        self.segment_features = np.asarray(weighted @ basis.features)
        self.features = np.asarray(design.uses @ self.segment_features) / design.latency_ms[:, None]
        own = design.uses.multiply(design.segment_base[None, :]).multiply(1.0 / design.latency_ms[:, None]).tocsr()
        self.own = own
        self._smooth, self._separate = self.features @ self.features.T, np.asarray((own @ own.T).todense())
        self._together = (design.batch[:, None] == design.batch[None, :]).astype(np.float64)
        self.missing = 1.0 - design.prior_ms / design.latency_ms

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which times are sure, (n,)."""
        return self._design.sure

    def smooth(self, scales: Scales) -> Floats:
        """Covariance of the networks' relative latencies that comes from their operators' shapes, (n, n)."""
        return np.asarray(scales.scale**2 * self._smooth)

    def separate(self, scales: Scales) -> Floats:
        """Covariance that comes from the segments that they share, (n, n)."""
        return np.asarray(scales.segment_sd**2 * self._separate)

    def covariance(self, scales: Scales) -> Floats:
        """Covariance of the networks' relative times, (n, n), noise and batches included."""
        common = scales.noise**2 * np.where(self._design.sure, _SURE, 1.0)
        noise = common + (scales.small_ms / self._design.latency_ms) ** 2 + self.disturbed
        found = self.smooth(scales) + self.separate(scales) + scales.batch_sd**2 * self._together
        found[np.diag_indices_from(found)] += noise
        return np.asarray(found)

    def log_likelihood(self, scales: Scales) -> float:
        """The logarithm of the marginal likelihood, up to a constant."""
        root = cholesky(self.covariance(scales), lower=True)
        white = solve_triangular(root, self.missing, lower=True)
        return float(-0.5 * white @ white - np.log(np.diag(root)).sum())

    def left_out(self, scales: Scales) -> tuple[Floats, Floats, Floats]:
        """Relative errors of networks left out one at a time, of the roofline too, as if timed on another day: with the
        rows of segments, and by operators alone; and the errors within a batch over their deviations (Rasmussen &
        Williams, 5.4.2)."""
        inverse = np.linalg.inv(self.covariance(scales))
        weights, own = inverse @ self.missing, np.diag(inverse)
        left, right = self._design.influence()
        missing = self.missing / (1.0 - (left * right).sum(axis=1))
        # Row i is of all networks where nothing was fitted to network i: its roofline, then its residuals.
        without = weights[None, :] + (left * missing[:, None]) @ (right.T @ inverse)
        without -= inverse * (np.diag(without) / own)[:, None]
        smooth = (self.smooth(scales) * without).sum(axis=1)
        both = smooth + (self.separate(scales) * without).sum(axis=1)
        return both - missing, smooth - missing, weights / np.sqrt(own)
