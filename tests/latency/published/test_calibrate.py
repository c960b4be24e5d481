from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.calibrate import COVERAGE, FORMS, Spread, calibrate, errors_of, interval_score, student_loss
from nas.latency.published.cost_model import REFINEMENTS
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
        assert found.losses[found.form] == min(found.losses.values())
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
