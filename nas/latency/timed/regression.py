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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from nas.errors import InputError
from nas.latency.published.cost_model import Floats, Ints
from nas.latency.timed.design import Design, TimedSegment
from nas.latency.timed.posterior import Posterior, Scales, basis_of
from nas.latency.timed.regressor import GroupResidual, OperatorRegressor
from nas.latency.timed.scales import disturbed_noise, find_scales

MIN_NETWORKS = 12
_SLOW_NOISE = 0.3
"""How much of a machine's slowness is noise: it does not slow all networks as it does the reference."""
_RANK, _COVERAGE, _ENOUGH_TYPICAL = 60, 0.9, 40


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
    scales = find_scales(networks, latency_ms, batch, known_noise, sure)
    design = Design(networks, latency_ms, batch, sure)
    posterior = Posterior(design, basis_of(design, scales.length), known_noise)
    posterior.disturbed = known_noise + disturbed_noise(posterior, scales)
    if typical is None or typical.sum() < _ENOUGH_TYPICAL:
        typical = np.ones(len(latency_ms), dtype=np.bool_)
    return _result(design, posterior, scales, manifest, typical)


def _result(
    design: Design,
    posterior: Posterior,
    scales: Scales,
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
        white = solve_triangular(factor[0], known, lower=True)
        values, vectors = np.linalg.eigh(white.T @ white)
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


def _factor(design: Design, model: OperatorRegressor, floor: float, left_out: Floats) -> float:
    """The least factor whose intervals cover nine tenths of the networks left out, predicted by operators."""
    features = design.uses @ (design.parts @ model.costs(design.operators)[1])
    deviation = np.linalg.norm(np.asarray(features), axis=1) / design.latency_ms
    needed = np.sqrt(np.maximum(left_out**2 - floor**2, 0.0)) / np.maximum(deviation, 1e-9)
    return float(np.quantile(needed, _COVERAGE))


def _segments(design: Design, posterior: Posterior, scales: Scales, pull: Floats, factor: Any) -> SegmentFit:
    """Mean and deviation of every segment that ran, in its context."""
    variance = scales.segment_sd**2
    with_networks = scales.scale**2 * (posterior.segment_features @ posterior.features.T)
    with_networks += variance * design.segment_base[:, None] * np.asarray(posterior.own.T.todense())
    mean = np.maximum(design.segment_base + with_networks @ pull, 0.2 * design.segment_base)
    prior = scales.scale**2 * (posterior.segment_features**2).sum(axis=1) + variance * design.segment_base**2
    taken = (solve_triangular(factor[0], with_networks.T, lower=True) ** 2).sum(axis=0)
    deviation = np.sqrt(np.maximum(prior - taken, 0.0))
    networks = np.asarray((design.uses > 0).sum(axis=0)).reshape(-1).astype(np.int64)
    works = np.flatnonzero(design.segment_base > 0.0)  # a segment of views has nothing to time
    return SegmentFit(
        keys=tuple(design.keys[i] for i in works),
        mean_ms=mean[works],
        log_sd=deviation[works] / mean[works],
        networks=networks[works],
    )
