from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.validate import baseline_errors, best_constant, hold_out, interval_scores_ms, relative
from tests.latency.examples import calibration, model


def test_a_row_left_out_does_not_teach_its_own_prediction() -> None:
    data = calibration(16, model(), noise=0.01)
    calls: list[tuple[int, int]] = []
    only = data.identity == data.identity[3]
    first = hold_out(data, data.identity, lambda done, total: calls.append((done, total)), only=only)
    predicted = np.exp(first.error[3]) * data.observations.latency_ms[3]
    assert calls == [(1, 1)]
    assert np.isnan(first.error[~only]).all()

    moved = calibration(16, model(), noise=0.01)
    moved.observations.latency_ms[only] *= 2.0
    again = hold_out(moved, moved.identity, lambda done, total: None, only=only)
    assert np.exp(again.error[3]) * moved.observations.latency_ms[3] == pytest.approx(predicted)


def test_relative_errors() -> None:
    assert relative(np.log([1.1, 0.9])) == pytest.approx([0.1, 0.1])


def test_the_baseline_is_exact_where_latency_is_macs_and_parameters() -> None:
    data = calibration(16, model(), noise=0.0)
    macs, weights = (data.workload.counts @ getattr(data.workload.operators, c) for c in ("macs", "weight_elements"))
    data.observations.latency_ms[:] = (0.3 + macs / 2e9 + weights / 1e8)[data.observations.network]
    assert baseline_errors(data) == pytest.approx(np.zeros(16), abs=1e-9)


def test_the_best_constant_covers_nine_tenths() -> None:
    errors = np.linspace(0.01, 0.2, 20)
    width = best_constant(errors)
    assert (errors <= width).mean() >= 0.9
    assert width in errors


def test_interval_scores_in_ms() -> None:
    data = calibration(3, model(), noise=0.0)
    printed = data.observations.latency_ms
    below, above = np.array([0.1, -0.01, 0.3]), np.array([0.1, 0.2, -0.02])
    scores = interval_scores_ms(data, printed - below, printed + above)
    # Inside; 0.01 too low with width 0.19; 0.02 too high with width 0.28.
    assert scores == pytest.approx([0.2, 0.19 + 20 * 0.01, 0.28 + 20 * 0.02])
