"""Fitting operators and segments to whole networks that were timed: one linear Gaussian model for both.

    time = (fixed + Σ segments) · (1 + s) · (1 + b),    segment = Σ operators + e,    operator = roofline · (1 + g)

The roofline is non-negative least squares of relative errors, one a group of operators (`operator_shapes.groups`),
drawn weakly towards a common prior, so that a group that was never timed still costs something. g is a Gaussian
process of the operator's shape, one a group (Rasmussen & Williams 2006, section 2; in the basis of some of its points,
section 8.3.1); e, one a segment, is what the operators of that segment cost in their context beyond what their shapes
say; s, one a batch, is how much slower than usual the reference network ran in that batch of networks, and b how fast
the machine was beyond that: a prediction is for the machine as it usually was. All but s are inferred together from the
networks' times, in which every segment runs where it belongs. The scales are those of the greatest marginal likelihood;
the interval comes from networks left out, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import Floats, Ints
from nas.latency.timed.operator_shapes import NUM_TERMS, coordinates, distinct, groups, roofline_terms
from nas.latency.timed.regressor import GroupResidual, OperatorRegressor, kernel

MIN_NETWORKS = 12
_PRIOR_TERMS = np.array([20.0, 0.2, 0.2, 0.3, 1.0])
"""Relative sizes of the terms of an operator on a processor; the timed networks set their common scale."""
_PRIOR_WEIGHT = 0.03
_CENTRES, _RANK, _JITTER = 160, 60, 1e-8
_GRID: Mapping[str, tuple[float, ...]] = {
    "length": (1.0, 1.5, 2.2, 3.3),
    "scale": (0.1, 0.15, 0.22, 0.33, 0.5),
    "segment_sd": (0.005, 0.015, 0.03, 0.05, 0.08),
    "noise": (0.005, 0.008, 0.012, 0.018, 0.027, 0.04, 0.06),
    "batch_sd": (0.003, 0.006, 0.012, 0.024, 0.048, 0.1),
}
_START = {"length": 1.5, "scale": 0.22, "segment_sd": 0.03, "noise": 0.012, "batch_sd": 0.006}
_SLOW_NOISE = 0.3
"""How much of a machine's slowness is noise: it does not slow all networks as it does the reference."""
_SURE = 0.25
"""Noise of a sure time in squares, against that of a single process."""
_CLOCK_MS = 0.005
"""What a single time strays by whatever its length."""
_OUTLIER, _COVERAGE, _ENOUGH_TYPICAL, _ROUNDS, _ENOUGH = 3.5, 0.9, 40, 2, 1000


class TimedSegment(Protocol):
    """A segment of a timed network."""

    @property
    def key(self) -> str: ...

    @property
    def operators(self) -> OperatorTable: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFit:
    """What the timings say of each segment that does something: `mean_ms` (s,), `log_sd` (s,), and in how many timed
    networks it ran (s,)."""

    keys: tuple[str, ...]
    mean_ms: Floats
    log_sd: Floats
    networks: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A fit: the model of operators, the segments, and the log errors of networks left out, (n,) each: with the rows of
    the segments that other networks have as well, and by operators alone."""

    operators: OperatorRegressor
    segments: SegmentFit
    left_out: Floats
    left_out_operators: Floats


class _Design:
    """The timed networks as matrices; what does not depend on the scales."""

    def __init__(
        self,
        networks: Sequence[Sequence[TimedSegment]],
        latency_ms: Floats,
        batch: Ints,
        sure: NDArray[np.bool_],
    ) -> None:
        self.latency_ms, self.batch, self.sure = latency_ms, batch, sure
        segments = {s.key: s for network in networks for s in network}
        self.keys = tuple(segments)
        number = {key: i for i, key in enumerate(self.keys)}
        pairs = [(i, number[s.key]) for i, network in enumerate(networks) for s in network]
        shape = (len(networks), len(self.keys))
        self.uses = _counts(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]), shape)
        tables = [segments[key].operators for key in self.keys]
        table = OperatorTable.concatenate(tables)
        first, inverse = distinct(table)
        self.operators = table.select(first)
        owner = np.repeat(np.arange(len(self.keys)), [len(t) for t in tables])
        self.parts = _counts(owner, inverse, (len(self.keys), len(first)))
        self.groups, self.group = groups(self.operators)
        self.fixed_ms, self.roofline = self._fit_roofline()
        self.base = (roofline_terms(self.operators) * self.roofline[self.group]).sum(axis=1)
        self.segment_base = np.asarray(self.parts @ self.base)
        self.prior_ms = self.fixed_ms + np.asarray(self.uses @ self.segment_base)

    def _fit_roofline(self) -> tuple[float, Floats]:
        """The fixed time, and ms a term for each group and, last, any other."""
        terms = roofline_terms(self.operators)
        counts = (self.uses @ self.parts).tocsr()
        columns = np.zeros((counts.shape[0], len(self.groups) * NUM_TERMS))
        for group in range(len(self.groups)):
            rows = np.flatnonzero(self.group == group)
            columns[:, group * NUM_TERMS : (group + 1) * NUM_TERMS] = counts[:, rows] @ terms[rows]
        prior = np.tile(_PRIOR_TERMS, len(self.groups))
        prior *= float(np.median(self.latency_ms / (columns @ prior)))
        fixed = 0.01 * float(self.latency_ms.min())
        scaled = np.column_stack([columns * prior, np.full(len(columns), fixed)]) / self.latency_ms[:, None]
        pull = _PRIOR_WEIGHT * np.eye(scaled.shape[1])
        pulled = np.full(scaled.shape[1], _PRIOR_WEIGHT)
        found, _ = nnls(np.vstack([scaled, pull]), np.append(np.ones(len(scaled)), pulled))
        used = columns.any(axis=0)
        roofline = np.where(used, found[:-1] * prior, 0.0).reshape(-1, NUM_TERMS)
        common = prior[:NUM_TERMS]
        empty = roofline.sum(axis=1) <= 0.0
        roofline[empty] = _PRIOR_WEIGHT * common
        return float(found[-1] * fixed), np.vstack([roofline, common])


def _counts(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Any:
    """A sparse matrix of how often each pair (row, column) comes."""
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """g in the basis of its centres for one length, with unit scale: `features` (operators, D) times a standard normal
    vector; `centres` and `roots` (m, m) by group; `slices` say whose columns are whose."""

    length: float
    features: Floats
    centres: Mapping[int, Floats]
    roots: Mapping[int, Floats]
    slices: Mapping[int, slice]


def _basis(design: _Design, length: float) -> _Basis:
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
    return _Basis(length=length, features=features, centres=centres, roots=roots, slices=slices)


def _spread_out(points: Floats, count: int) -> Ints:
    """Positions of at most `count` of `points` that lie far apart: each next one is the farthest from those before."""
    chosen = [0]
    distance = ((points - points[0]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)) and distance.max() > 1e-12:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scales:
    """Standard deviations, relative: of g, of e, of a time, of b; and the length over which g varies."""

    length: float
    scale: float
    segment_sd: float
    noise: float
    batch_sd: float


class _Posterior:
    """What the networks say, given a basis. Everything is relative to a network's latency; `disturbed` (n,) is noise in
    squares that single times have beyond the common one."""

    def __init__(self, design: _Design, basis: _Basis, disturbed: Floats) -> None:
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

    def smooth(self, scales: _Scales) -> Floats:
        """Covariance of the networks' relative latencies that comes from their operators' shapes, (n, n)."""
        return np.asarray(scales.scale**2 * self._smooth)

    def separate(self, scales: _Scales) -> Floats:
        """Covariance that comes from the segments that they share, (n, n)."""
        return np.asarray(scales.segment_sd**2 * self._separate)

    def covariance(self, scales: _Scales) -> Floats:
        """Covariance of the networks' relative times, (n, n), noise and batches included."""
        common = scales.noise**2 * np.where(self._design.sure, _SURE, 1.0)
        noise = common + (_CLOCK_MS / self._design.latency_ms) ** 2 + self.disturbed
        found = self.smooth(scales) + self.separate(scales) + scales.batch_sd**2 * self._together
        found[np.diag_indices_from(found)] += noise
        return np.asarray(found)

    def log_likelihood(self, scales: _Scales) -> float:
        """The logarithm of the marginal likelihood, up to a constant."""
        root = cholesky(self.covariance(scales), lower=True)
        white = solve_triangular(root, self.missing, lower=True)
        return float(-0.5 * white @ white - np.log(np.diag(root)).sum())

    def left_out(self, scales: _Scales) -> tuple[Floats, Floats, Floats]:
        """Relative errors of networks left out one at a time, as if timed on another day: with the rows of segments,
        and by operators alone; and the errors within a batch over their deviations (Rasmussen & Williams, 5.4.2)."""
        inverse = np.linalg.inv(self.covariance(scales))
        weights, own = inverse @ self.missing, np.diag(inverse)
        without = weights[None, :] - inverse * (weights / own)[:, None]
        smooth = (self.smooth(scales) * without).sum(axis=1)
        both = smooth + (self.separate(scales) * without).sum(axis=1)
        return both - self.missing, smooth - self.missing, weights / np.sqrt(own)


def fit_networks(
    networks: Sequence[Sequence[TimedSegment]],
    latency_ms: Floats,
    batch: Ints,
    manifest: Mapping[str, Any],
    *,
    typical: NDArray[np.bool_] | None = None,
    slowness: Floats | None = None,
    sure: NDArray[np.bool_] | None = None,
) -> Regression:
    """Fit operators and segments to n timings, each of a network given by its segments: `latency_ms` (n,), and the
    number of the `batch` that it was timed in (n,). A network may come in several batches. `typical` (n,) marks the
    networks that are like those that will be asked for: they set the floor of the interval (by default, all do).
    `slowness` (n,) is how much slower than usual the machine ran meanwhile (`nas.measure.drift`): a time is corrected
    by that, and counts less the larger it is. `sure` (n,) marks times that several processes agreed on: they are
    never taken for disturbed, and count more.

    The same input gives the same result on one BLAS thread. Raises `InputError` for fewer than `MIN_NETWORKS`, or a
    latency that is not positive.
    """
    if len(networks) < MIN_NETWORKS:
        raise InputError(f"a fit must have at least {MIN_NETWORKS} timed networks, but got {len(networks)}; time more.")
    latency_ms = np.asarray(latency_ms, dtype=np.float64)
    if not (np.isfinite(latency_ms).all() and (latency_ms > 0).all()):
        raise InputError("latencies must be positive finite numbers of ms, but some are not.")
    slow = np.zeros(len(latency_ms)) if slowness is None else slowness
    latency_ms = latency_ms / (1.0 + slow)
    sure = np.zeros(len(latency_ms), dtype=np.bool_) if sure is None else sure
    known_noise = (_SLOW_NOISE * slow) ** 2
    scales = _find_scales(networks, latency_ms, batch, known_noise, sure)
    design = _Design(networks, latency_ms, batch, sure)
    posterior = _Posterior(design, _basis(design, scales.length), known_noise)
    posterior.disturbed = known_noise + _disturbed(posterior, scales)
    if typical is None or typical.sum() < _ENOUGH_TYPICAL:
        typical = np.ones(len(latency_ms), dtype=np.bool_)
    return _result(design, posterior, scales, manifest, typical)


def _find_scales(
    networks: Sequence[Sequence[TimedSegment]],
    latency_ms: Floats,
    batch: Ints,
    known_noise: Floats,
    sure: NDArray[np.bool_],
) -> _Scales:
    """The scales by at most `_ENOUGH` of the networks, which tell them well enough: the work grows with the cube."""
    count = min(len(networks), _ENOUGH)
    rows = np.sort(np.random.default_rng(0).permutation(len(networks))[:count])
    design = _Design([networks[i] for i in rows], latency_ms[rows], batch[rows], sure[rows])
    scales, disturbed = _Scales(**_START), known_noise[rows]
    for _ in range(_ROUNDS):
        posterior = _Posterior(design, _basis(design, scales.length), disturbed)
        disturbed = known_noise[rows] + _disturbed(posterior, scales)
        scales = _best_scales(design, scales, disturbed)
    return scales


def _disturbed(posterior: _Posterior, scales: _Scales) -> Floats:
    """Noise, in squares, for times that the others contradict: they must not pull the rest along."""
    _, _, deviations = posterior.left_out(scales)
    inside = scales.noise**2 + posterior.disturbed
    outside = (np.abs(deviations) > _OUTLIER) & ~posterior.sure
    return np.asarray(np.where(outside, (deviations**2) * inside / _OUTLIER, 0.0))


def _best_scales(design: _Design, start: _Scales, disturbed: Floats) -> _Scales:
    """The scales of the greatest marginal likelihood: a walk on `_GRID`, one scale at a time, until none gains."""
    posteriors: dict[float, _Posterior] = {}
    seen: dict[_Scales, float] = {}

    def likelihood(scales: _Scales) -> float:
        if scales.length not in posteriors:
            posteriors[scales.length] = _Posterior(design, _basis(design, scales.length), disturbed)
        if scales not in seen:
            seen[scales] = posteriors[scales.length].log_likelihood(scales)
        return seen[scales]

    best, before = start, None
    while best != before:
        before = best
        for name, values in _GRID.items():
            best = max((replace(best, **{name: value}) for value in values), key=likelihood)
    return best


def _result(
    design: _Design,
    posterior: _Posterior,
    scales: _Scales,
    manifest: Mapping[str, Any],
    typical: NDArray[np.bool_],
) -> Regression:
    basis = posterior.basis
    factor = cho_factor(posterior.covariance(scales), lower=True)
    pull = cho_solve(factor, posterior.missing)
    direction = scales.scale * (posterior.features.T @ pull)
    residuals = {}
    for group, name in enumerate(design.groups):
        part = basis.slices[group]
        root = scales.scale * basis.roots[group]
        known = scales.scale * posterior.features[:, part]
        taken = known.T @ cho_solve(factor, known)
        values, vectors = np.linalg.eigh(taken)
        kept = slice(-_RANK, None)
        towards = vectors[:, kept] * np.sqrt(np.clip(values[kept], 0.0, 1.0))
        residuals[name] = GroupResidual(
            centres=basis.centres[group],
            weights=solve_triangular(root, direction[part], lower=True, trans="T"),
            certainty=solve_triangular(root, towards, lower=True, trans="T"),
        )
    errors, operator_errors, _ = posterior.left_out(scales)
    model = OperatorRegressor(
        fixed_ms=design.fixed_ms,
        groups=design.groups,
        roofline=design.roofline,
        residuals=residuals,
        scale=scales.scale,
        length=scales.length,
        floor=1.0,
        factor=1.0,
        manifest={**manifest, "scales": asdict(scales)},
    )
    left_out, left_out_operators = np.log1p(errors), np.log1p(np.maximum(operator_errors, -0.9))
    # Errors relative to times that stray pull everything down: as many networks are to be too slow as too fast.
    low = float(np.median(left_out))
    left_out, left_out_operators, level = left_out - low, left_out_operators - low, float(np.exp(-low))
    model = replace(model, fixed_ms=level * model.fixed_ms, roofline=level * model.roofline)
    floor = float(np.quantile(np.abs(left_out[typical]), _COVERAGE))
    times = _factor(design, model, floor, left_out_operators)
    segments = _segments(design, posterior, scales, pull, factor)
    return Regression(
        operators=replace(model, floor=floor, factor=times),
        segments=replace(segments, mean_ms=level * segments.mean_ms),
        left_out=left_out,
        left_out_operators=left_out_operators,
    )


def _factor(design: _Design, model: OperatorRegressor, floor: float, left_out: Floats) -> float:
    """The least factor whose intervals cover nine tenths of the networks left out, predicted by operators."""
    features = design.uses @ (design.parts @ model.costs(design.operators)[1])
    deviation = np.linalg.norm(np.asarray(features), axis=1) / design.latency_ms
    needed = np.sqrt(np.maximum(left_out**2 - floor**2, 0.0)) / np.maximum(deviation, 1e-9)
    return float(np.quantile(needed, _COVERAGE))


def _segments(design: _Design, posterior: _Posterior, scales: _Scales, pull: Floats, factor: Any) -> SegmentFit:
    """Mean and deviation of every segment that ran, in its context."""
    variance = scales.segment_sd**2
    with_networks = scales.scale**2 * (posterior.segment_features @ posterior.features.T)
    with_networks += variance * design.segment_base[:, None] * np.asarray(posterior.own.T.todense())
    mean = np.maximum(design.segment_base + with_networks @ pull, 0.2 * design.segment_base)
    prior = scales.scale**2 * (posterior.segment_features**2).sum(axis=1) + variance * design.segment_base**2
    taken = (with_networks * cho_solve(factor, with_networks.T).T).sum(axis=1)
    deviation = np.sqrt(np.maximum(prior - taken, 0.0))
    networks = np.asarray((design.uses > 0).sum(axis=0)).reshape(-1).astype(np.int64)
    works = np.flatnonzero(design.segment_base > 0.0)  # a segment of views has nothing to time
    return SegmentFit(
        keys=tuple(design.keys[i] for i in works),
        mean_ms=mean[works],
        log_sd=deviation[works] / mean[works],
        networks=networks[works],
    )
