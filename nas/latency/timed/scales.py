"""The scales of the greatest marginal likelihood, and the times that the others contradict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.cost_model import Floats, Ints
from nas.latency.timed.design import Design, TimedSegment
from nas.latency.timed.posterior import Posterior, Scales, basis_of

_GRID: Mapping[str, tuple[float, ...]] = {
    "length": (1.0, 1.5, 2.2, 3.3),
    "scale": (0.1, 0.15, 0.22, 0.33, 0.5),
    "segment_sd": (0.005, 0.015, 0.03, 0.05, 0.08),
    "noise": (0.005, 0.008, 0.012, 0.018, 0.027, 0.04, 0.06),
    "batch_sd": (0.003, 0.006, 0.012, 0.024, 0.048, 0.1),
    "small_ms": (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
}
START = Scales(length=1.5, scale=0.22, segment_sd=0.03, noise=0.012, batch_sd=0.006, small_ms=0.005)
_OUTLIER, _ROUNDS, _ENOUGH = 3.5, 2, 1000


def find_scales(
    networks: Sequence[Sequence[TimedSegment]],
    latency_ms: Floats,
    batch: Ints,
    known_noise: Floats,
    sure: NDArray[np.bool_],
) -> Scales:
    """The scales by at most `_ENOUGH` of the networks, which tell them well enough: the work grows with the cube."""
    count = min(len(networks), _ENOUGH)
    rows = np.sort(np.random.default_rng(0).permutation(len(networks))[:count])
    design = Design([networks[i] for i in rows], latency_ms[rows], batch[rows], sure[rows])
    scales, disturbed = START, known_noise[rows]
    for _ in range(_ROUNDS):
        posterior = Posterior(design, basis_of(design, scales.length), disturbed)
        disturbed = known_noise[rows] + disturbed_noise(posterior, scales)
        scales = _best_scales(design, scales, disturbed)
    return scales


def disturbed_noise(posterior: Posterior, scales: Scales) -> Floats:
    """Noise, in squares, for times that the others contradict: they must not pull the rest along."""
    _, _, deviations = posterior.left_out(scales)
    inside = scales.noise**2 + posterior.disturbed
    outside = (np.abs(deviations) > _OUTLIER) & ~posterior.sure
    return np.asarray(np.where(outside, (deviations**2) * inside / _OUTLIER, 0.0))


def _best_scales(design: Design, start: Scales, disturbed: Floats) -> Scales:
    """The scales of the greatest marginal likelihood: a walk on `_GRID`, one scale at a time, until none gains."""
    posteriors: dict[float, Posterior] = {}
    seen: dict[Scales, float] = {}

    def likelihood(scales: Scales) -> float:
        if scales.length not in posteriors:
            posteriors[scales.length] = Posterior(design, basis_of(design, scales.length), disturbed)
        if scales not in seen:
            seen[scales] = posteriors[scales.length].log_likelihood(scales)
        return seen[scales]

    best, before = start, None
    while best != before:
        before = best
        for name, values in _GRID.items():
            best = max((replace(best, **{name: value}) for value in values), key=likelihood)
    return best
