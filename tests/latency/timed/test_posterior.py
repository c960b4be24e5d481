"""Where uncertainties meet: eight networks of one layer each, the scales given, every number worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.graph import Segment
from nas.latency.timed import regression, scales
from nas.latency.timed.design import Design
from nas.latency.timed.posterior import Posterior, Scales, basis_of
from nas.latency.timed.regression import Regression, fit_networks
from nas.latency.timed.regressor import CONSTANT_SHARE
from tests.latency.examples import pointwise
from tests.latency.timed.networks import Floats

Ints = NDArray[np.int64]

LAYER = Segment(key="layer", layer=1, params=0, macs=0, rows=(pointwise(32, 32, 14),))
COUNTS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
"""How often the layer comes in each network."""
NETWORKS = [[LAYER] * count for count in COUNTS]
LATENCY_MS = 0.5 * COUNTS * np.array([1.03, 0.97, 1.05, 0.98, 1.01, 0.94, 1.02, 0.99])
BATCH = np.array([0, 0, 1, 1, 2, 2, 3, 3])
SURE = np.array([False, True, False, False, False, True, False, False])
SCALES = Scales(length=1.5, scale=0.2, segment_sd=0.04, noise=0.02, batch_sd=0.03, small_ms=0.004)
VARIANCE = 0.2**2 * (1.0 + CONSTANT_SHARE)
"""Of g of the only operator: the smooth part and the constant of its group."""


def posterior(latency_ms: Floats = LATENCY_MS, disturbed: float = 0.0, batch: Ints = BATCH) -> Posterior:
    design = Design(NETWORKS, latency_ms, batch, SURE)
    return Posterior(design, basis_of(design, SCALES.length), np.full(len(COUNTS), disturbed))


def shares(latency_ms: Floats = LATENCY_MS) -> Floats:
    """What part of each network's time its layers are, before anything is learned of them."""
    design = Design(NETWORKS, latency_ms, BATCH, SURE)
    assert design.segment_base.shape == (1,)
    return np.asarray(COUNTS * design.segment_base[0] / latency_ms)


def test_the_covariance_is_what_networks_share_and_noise_of_their_own() -> None:
    r = shares()
    found = posterior(disturbed=0.01).covariance(SCALES)
    for i in range(8):
        for j in range(8):
            expected = (VARIANCE + 0.04**2) * r[i] * r[j] + 0.03**2 * (BATCH[i] == BATCH[j])
            if i == j:  # a sure time has a quarter of the noise; any strays by 4 µs
                expected += 0.02**2 * (0.25 if SURE[i] else 1.0) + (0.004 / LATENCY_MS[i]) ** 2 + 0.01
            assert found[i, j] == pytest.approx(expected, rel=1e-5)


def test_a_network_left_out_is_predicted_by_the_others_as_if_timed_on_another_day() -> None:
    own = posterior(disturbed=0.001)
    covariance, free = own.covariance(SCALES), Design(NETWORKS, LATENCY_MS, BATCH, SURE).free
    r = shares()
    both, smooth, deviations = own.left_out(SCALES)
    for i in range(8):
        others = np.arange(8) != i
        # The roofline of the others: least squares of relative times, each coefficient drawn towards 1 by 0.03².
        inner = free[others].T @ free[others] + 0.03**2 * np.eye(free.shape[1])
        missing = 1.0 - free @ np.linalg.solve(inner, free[others].sum(axis=0) + 0.03**2)
        weights = np.linalg.solve(covariance[np.ix_(others, others)], missing[others])
        shared = r[i] * r[others]
        assert both[i] == pytest.approx((VARIANCE + 0.04**2) * shared @ weights - missing[i], rel=1e-4)
        assert smooth[i] == pytest.approx(VARIANCE * shared @ weights - missing[i], rel=1e-4)
        # Within its batch, what the others of the batch say of the day counts as well.
        known = covariance[i, others]
        weights = np.linalg.solve(covariance[np.ix_(others, others)], own.missing[others])
        strayed = own.missing[i] - known @ weights
        variance = covariance[i, i] - known @ np.linalg.solve(covariance[np.ix_(others, others)], known)
        assert deviations[i] == pytest.approx(strayed / math.sqrt(variance), rel=1e-4)


def test_a_time_that_the_others_contradict_is_noise_but_not_one_that_is_sure() -> None:
    latency_ms = LATENCY_MS.copy()
    latency_ms[[2, 5]] *= 1.6  # the second is sure
    own = posterior(latency_ms, disturbed=0.0001, batch=np.arange(8))
    *_, deviations = own.left_out(SCALES)
    assert (np.abs(deviations[[2, 5]]) > 3.5).all()
    found = scales.disturbed_noise(own, SCALES)
    assert found.nonzero()[0].tolist() == [2]
    # As much noise as brings it to 3.5 deviations, nearly.
    assert found[2] == pytest.approx(deviations[2] ** 2 * (0.02**2 + 0.0001) / 3.5)


def test_the_scales_are_found_with_the_noise_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    latency_ms, known = LATENCY_MS.copy(), np.linspace(0.0, 0.001, 8)
    latency_ms[5] *= 1.6  # sure
    seen: list[Floats] = []

    def best(design: Design, start: Scales, disturbed: Floats) -> Scales:
        seen.append(disturbed)
        return start

    monkeypatch.setattr(scales, "_best_scales", best)
    assert scales.find_scales(NETWORKS, latency_ms, np.arange(8), known, SURE) == scales.START
    for disturbed in seen:
        assert (disturbed >= known).all() and disturbed[5] == known[5]
    assert len(seen) == 2


def fit(
    latency_ms: Floats, monkeypatch: pytest.MonkeyPatch, given: Scales = SCALES, **further: NDArray[Any]
) -> Regression:  # fmt: skip
    """The fit of the eight networks with these scales."""
    monkeypatch.setattr(regression, "MIN_NETWORKS", 8)
    monkeypatch.setattr(regression, "_ENOUGH_TYPICAL", 3)
    monkeypatch.setattr(regression, "find_scales", lambda *_: given)
    return fit_networks(NETWORKS, latency_ms, np.arange(8), {}, **further)


def row_by_hand(latency_ms: Floats, noise: Floats) -> tuple[float, float]:
    """Mean and relative deviation of the layer's ms before the level is set, each network in a batch of its own.

    One unknown, what the layer costs beyond its base, and eight measurements of it with `noise` in squares.
    """
    design = Design(NETWORKS, latency_ms, np.arange(8), SURE)
    base = float(design.segment_base[0])
    r, missing = COUNTS * base / latency_ms, 1.0 - design.prior_ms / latency_ms
    noise = noise + (0.004 / latency_ms) ** 2 + 0.03**2
    precision = 1.0 / (VARIANCE + 0.04**2) + float((r**2 / noise).sum())
    mean = base * (1.0 + float((r * missing / noise).sum()) / precision)
    return mean, base / math.sqrt(precision) / mean


def test_a_row_is_the_mean_of_what_its_networks_say_by_their_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(LATENCY_MS, monkeypatch, sure=SURE)
    mean, deviation = row_by_hand(LATENCY_MS, 0.02**2 * np.where(SURE, 0.25, 1.0))
    level = found.operators.roofline[0].sum() / Design(NETWORKS, LATENCY_MS, BATCH, SURE).roofline[0].sum()
    assert found.segments.mean_ms == pytest.approx([level * mean], rel=1e-5)
    assert found.segments.log_sd == pytest.approx([deviation], rel=1e-4)
    assert found.segments.networks.tolist() == [8]


def test_as_many_networks_are_too_slow_as_too_fast_by_rows_and_by_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three stray far up, and least squares of relative errors serve the others badly; no more is to be learned.
    latency_ms = (0.3 + LATENCY_MS) * np.array([1.0, 1.0, 1.5, 1.0, 1.5, 1.0, 1.5, 1.0])
    nothing = replace(SCALES, scale=1e-6, segment_sd=1e-6)
    found = fit(latency_ms, monkeypatch, nothing, sure=np.ones(8, dtype=np.bool_))
    design = Design(NETWORKS, latency_ms, np.arange(8), SURE)
    left, right = design.influence()
    strayed = np.log1p((design.prior_ms / latency_ms - 1.0) / (1.0 - (left * right).sum(axis=1)))
    low = np.median(strayed)
    assert abs(low) > 0.05 and design.fixed_ms > 0.02  # the roofline alone is off for most
    assert found.left_out == pytest.approx(strayed - low, abs=1e-6)
    (row,) = found.segments.mean_ms
    costs, _ = found.operators.costs(LAYER.operators)
    for layer_ms in (row, costs.sum()):
        by_layers = found.operators.fixed_ms + COUNTS * layer_ms
        assert np.log(by_layers / latency_ms) == pytest.approx(np.log(design.prior_ms / latency_ms) - low, abs=1e-6)


def test_times_of_a_slow_machine_are_corrected_and_count_less(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = np.array([0.0, 0.0, 0.2, 0.2, 0.4, 0.4, 0.0, 0.0])
    usual = fit(LATENCY_MS, monkeypatch)
    found = fit(LATENCY_MS * (1.0 + slow), monkeypatch, slowness=slow)
    assert found.segments.mean_ms == pytest.approx(usual.segments.mean_ms, rel=0.01)
    assert found.operators.roofline == pytest.approx(usual.operators.roofline, rel=0.02)
    # Three tenths of the slowness are noise of the time: its errors pull less, and the row is less sure.
    assert (found.segments.log_sd > usual.segments.log_sd * 1.05).all()


def test_noise_of_a_slow_machine_is_three_tenths_of_its_slowness(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(LATENCY_MS * 1.2, monkeypatch, slowness=np.full(8, 0.2))
    _, deviation = row_by_hand(LATENCY_MS, np.full(8, 0.02**2 + 0.06**2))
    assert found.segments.log_sd == pytest.approx([deviation], rel=1e-4)


def test_a_verified_time_is_believed_against_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    latency_ms = LATENCY_MS.copy()
    latency_ms[4] *= 1.6
    sure = np.arange(8) == 4
    doubted, believed = fit(latency_ms, monkeypatch), fit(latency_ms, monkeypatch, sure=sure)
    _, with_it = row_by_hand(latency_ms, 0.02**2 * np.where(sure, 0.25, 1.0))
    _, without = row_by_hand(latency_ms, np.where(sure, 1.0, 0.02**2))
    assert believed.segments.log_sd == pytest.approx([with_it], rel=1e-4)
    assert doubted.segments.log_sd[0] == pytest.approx(without, rel=0.02)
    assert without > 1.04 * with_it


def test_the_floor_is_what_typical_networks_stray_by(monkeypatch: pytest.MonkeyPatch) -> None:
    typical = np.array([True, False, True, True, False, True, True, True])
    found = fit(LATENCY_MS, monkeypatch, typical=typical)
    assert found.operators.floor == pytest.approx(np.quantile(np.abs(found.left_out[typical]), 0.9))
    few = fit(LATENCY_MS, monkeypatch, typical=np.arange(8) < 2)  # too few to tell: all count
    assert few.operators.floor == pytest.approx(np.quantile(np.abs(few.left_out), 0.9))
    assert found.operators.floor != few.operators.floor


def test_intervals_by_operators_cover_nine_tenths_of_the_networks_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    contextual = replace(SCALES, scale=0.05, segment_sd=0.2)  # a segment strays far from its operators
    found = fit(LATENCY_MS, monkeypatch, contextual)
    design = Design(NETWORKS, LATENCY_MS, np.arange(8), np.zeros(8, dtype=np.bool_))
    both, smooth, _ = Posterior(design, basis_of(design, 1.5), np.zeros(8)).left_out(contextual)
    low = np.median(np.log1p(both))
    assert found.left_out == pytest.approx(np.log1p(both) - low)
    assert found.left_out_operators == pytest.approx(np.log1p(smooth) - low)  # at the same level
    features = found.operators.costs(LAYER.operators)[1][0, 0]
    deviation = COUNTS * features / LATENCY_MS
    beyond = np.sqrt(np.maximum(found.left_out_operators**2 - found.operators.floor**2, 0.0)) / deviation
    assert found.operators.factor == pytest.approx(np.quantile(beyond, 0.9))
    assert found.operators.factor > 0.1
