from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nas.latency.published.calibrate import (
    COVERAGE,
    FORMS,
    SIMPLE,
    Memo,
    Spread,
    blend,
    calibrate,
    errors_of,
    interval_score,
    student_loss,
)
from nas.latency.published.cost_model import REFINEMENTS, Floats
from nas.latency.published.counts import SETS, fit_counts
from nas.latency.published.fit import fit
from nas.latency.published.priors import PRIOR_SETS
from nas.latency.published.rows import Calibration
from nas.latency.published.simple import fit_simple
from tests.latency.examples import calibration, model


def test_the_interval_score_adds_twenty_times_the_miss_to_the_width() -> None:
    # Width 0.2 for both; the second misses by 0.05: (0.2 + 0.2 + 20 · 0.05) / 2.
    assert interval_score(np.array([0.0, 0.15]), np.array([0.1, 0.1])) == pytest.approx((0.2 + 0.2 + 1.0) / 2)


def test_the_student_loss_grows_with_the_logarithm_of_large_errors() -> None:
    # (4 + 1)/2 · log(1 + (0.08/0.04)²/4) = 2.5 · log 2.
    assert student_loss(np.array([0.08, -0.08])) == pytest.approx(2.5 * np.log(2.0))


def test_a_spread_adds_its_parts_in_squares() -> None:
    spread = Spread(floor=0.03, factor=2.0, conflict=0.5, beyond=1.0)
    assert spread.half_width(np.array([0.02]), np.array([0.0]))[0] == pytest.approx(0.05)
    assert spread.half_width(np.array([0.0]), np.array([0.08]))[0] == pytest.approx(0.05)


def test_forms_are_made_of_refinements_and_begin_with_none() -> None:
    assert FORMS[0] == ()
    assert {name for form in FORMS for name in form} == set(REFINEMENTS)


def test_a_calibration_covers_its_left_out_rows_and_narrows_with_the_noise() -> None:
    spreads = []
    for noise in (0.02, 0.15):
        data = calibration(24, model(), noise=noise)
        rows = np.ones(24, dtype=np.bool_)
        found = calibrate(data, rows)
        errors = errors_of(data, found.fit, rows)
        width = found.spread.half_width(errors.deviation, errors.share)
        assert (np.abs(errors.error) <= width).mean() >= COVERAGE - 0.05
        assert found.losses[found.name] == min(found.losses.values())
        spreads.append(found.spread.floor)
    assert spreads[0] < spreads[1]


def test_rows_outside_the_mask_change_nothing() -> None:
    data = calibration(24, model(), noise=0.02)
    spoilt = calibration(24, model(), noise=0.02)
    rows = np.arange(24) < 16
    spoilt.observations.latency_ms[16:] *= 3.0
    first, second = calibrate(data, rows), calibrate(spoilt, rows)
    assert np.array_equal(first.fit.model.values, second.fit.model.values)
    assert first.spread == second.spread


def few(count: int, latency_ms: Callable[[Calibration], Floats], *, noise: float = 0.02) -> Calibration:
    """Rows of `count` networks of four families that choose their priors, with latencies by a rule."""
    data = replace(calibration(count, model(), noise=0.0), by_kind=True)
    exact = latency_ms(data)[data.observations.network]
    data.observations.latency_ms[:] = exact * np.exp(np.random.default_rng(5).normal(0.0, noise, count))
    return data


def sizes(data: Calibration) -> tuple[Floats, Floats]:
    macs, weights = (data.workload.counts @ getattr(data.workload.operators, c) for c in ("macs", "weight_elements"))
    return macs, weights


def by_size(data: Calibration) -> Floats:
    macs, weights = sizes(data)
    return 3.0 + macs / 4e7 + weights / 1e6


def by_traffic(data: Calibration) -> Floats:
    """A call an operator, and what it reads and writes: nothing of multiply-adds."""
    operators = data.workload.operators
    moved = operators.input_elements + operators.output_elements
    return np.asarray(data.workload.counts @ (0.3 + moved / 2e5))


def test_where_macs_and_parameters_say_all_they_are_all_that_is_used() -> None:
    found = calibrate(few(12, by_size), np.ones(12, dtype=np.bool_))
    assert found.share == 0.0
    assert found.name == SIMPLE
    assert found.shares == {SIMPLE: 1.0}
    assert set(found.losses) == {*PRIOR_SETS, *SETS, SIMPLE}


def test_where_they_do_not_operator_costs_lead_in_any_unit() -> None:
    shares = []
    for unit in (1e-3, 1e3):
        data = few(9, lambda data, unit=unit: unit * by_traffic(data))  # type: ignore[misc]
        found = calibrate(data, np.ones(9, dtype=np.bool_))
        assert min(found.losses[kind] for kind in PRIOR_SETS) < found.losses[SIMPLE]
        shares.append(found.share)
    # Fits end where a step wins less than a thousandth of a nat.
    assert shares[0] == pytest.approx(shares[1], abs=0.05)
    assert min(shares) >= 0.5


def by_traffic_and_size(data: Calibration) -> Floats:
    return np.asarray(by_size(data) + 0.05 * by_traffic(data))


def test_models_share_the_latency_by_their_left_out_likelihoods() -> None:
    data, rows = few(12, by_traffic_and_size), np.ones(12, dtype=np.bool_)
    found = calibrate(data, rows)
    # A plain model is e^5 times as likely before a row is seen; below one in fifty nothing is left.
    likelihood = {
        name: np.exp(5.0 * (name == SIMPLE) - 12.0 * found.losses[name])
        for name in (found.candidate.name, *SETS, SIMPLE)
    }
    kept = {name: value for name, value in likelihood.items() if value >= 0.02 * sum(likelihood.values())}
    expected = {name: value / sum(kept.values()) for name, value in kept.items()}
    assert len(kept) > 1
    assert found.shares == pytest.approx(expected)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert found.share == expected.get(found.candidate.name, 0.0)
    # One model says what all of them say, each with its share.
    parts = [
        found.shares[name] * data.workload.network_ms(fit_counts(data.workload, data.observations, 2, counts).model)
        for name, counts in SETS.items()
        if name in found.shares
    ]
    if found.share:
        memo: Memo = {}
        calibrate(data, rows, memo=memo)
        parts.append(found.share * data.workload.network_ms(memo[found.candidate, rows.tobytes()].model))
    if SIMPLE in found.shares:
        alone = fit_simple(data.workload, data.observations, 2).model
        parts.append(found.shares[SIMPLE] * data.workload.network_ms(alone))
    assert data.workload.network_ms(found.fit.model) == pytest.approx(np.sum(parts, axis=0))
    assert [part.partition("%")[0] for part in found.name.split("; ")] == [
        f"{100 * share:.0f}" for share in found.shares.values()
    ]


def test_sizes_alone_have_all_where_that_is_asked_for() -> None:
    data = few(9, by_traffic)
    found = calibrate(data, np.ones(9, dtype=np.bool_), sizes_alone=True)
    assert found.name == SIMPLE
    expected = fit_simple(data.workload, data.observations, 2).model.values
    assert np.array_equal(found.fit.model.values, expected)


def test_fits_that_are_remembered_are_those_that_are_made() -> None:
    data, rows = few(7, by_traffic), np.ones(7, dtype=np.bool_)
    memo: Memo = {}
    first = calibrate(data, rows, memo=memo)
    again = calibrate(data, rows, memo=memo)
    # Every kind on all rows, and without each of seven networks.
    assert len(memo) == len(PRIOR_SETS) * (1 + 7)
    assert np.array_equal(first.fit.model.values, again.fit.model.values)
    assert np.array_equal(first.fit.model.values, calibrate(data, rows).fit.model.values)


def test_rows_of_one_family_leave_the_others_unsure() -> None:
    several = few(8, by_size)
    one = replace(several, rows=[replace(row, family="f0") for row in several.rows])
    one.observations.latency_ms[:] = several.observations.latency_ms
    widths = [calibrate(data, np.ones(8, dtype=np.bool_)).spread.floor for data in (several, one)]
    assert widths[1] == pytest.approx(np.hypot(widths[0], 0.35))


def test_a_device_with_priors_of_its_own_has_all_or_nothing_of_its_roofline() -> None:
    data = replace(few(16, by_size, noise=0.005), by_kind=False)
    data.observations.latency_ms[:] = few(16, by_size, noise=0.005).observations.latency_ms
    # The cost model's priors are of a device a hundred times as fast.
    assert calibrate(data, np.ones(16, dtype=np.bool_)).name == SIMPLE


def test_blended_fits_add_their_errors_as_shares() -> None:
    data = few(12, by_size)
    rows = np.ones(12, dtype=np.bool_)
    first = fit(data.workload, data.observations, 2, ())
    second = fit_simple(data.workload, data.observations, 2)
    both = blend(first, second, 0.25)
    mean = 0.25 * data.workload.network_ms(first.model) + 0.75 * data.workload.network_ms(second.model)
    found = errors_of(data, both, rows)
    assert found.error == pytest.approx(np.log(mean)[data.observations.network] - data.log_latency)
    # Independent deviations in ms, each with its share, join in squares.
    ours, theirs = (errors_of(data, one, rows) for one in (first, second))
    in_ms = [np.exp(part.error) * part.deviation * data.observations.latency_ms for part in (ours, theirs)]
    joined = np.hypot(0.25 * in_ms[0], 0.75 * in_ms[1])
    assert found.deviation == pytest.approx(joined / mean[data.observations.network])
    assert blend(first, second, 1.0) is first
    assert blend(first, second, 0.0) is second
