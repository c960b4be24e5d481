from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.errors import NasError
from nas.latency.published import validate
from nas.latency.published.calibrate import SIMPLE
from nas.latency.published.rows import Calibration
from nas.latency.published.validate import (
    LeftOut,
    baseline_errors,
    best_constant,
    fit_and_judge,
    hold_out,
    interval_scores_ms,
    left_out_errors,
    relative,
)
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


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def few(count: int) -> Calibration:
    """Rows of a device like the cost model's that choose their priors."""
    return replace(calibration(count, model(), noise=0.02), by_kind=True)


def test_left_out_errors_are_told_beside_those_of_sizes_and_of_a_constant() -> None:
    errors = np.log([1.1, 0.8, 1.0])
    found = LeftOut(ours=errors, macs_and_parameters=2 * errors, constant=np.log([2.0, 1.0, 1.0])).as_json()
    assert found["ours"] == {"median": pytest.approx(0.1), "mean": pytest.approx(0.1)}
    # 1.21, 0.64 and 1: off by 0.21, 0.36 and nothing.
    assert found["macs_and_parameters"] == {"median": pytest.approx(0.21), "mean": pytest.approx(0.19)}
    assert found["constant"] == {"median": 0.0, "mean": pytest.approx(1 / 3, abs=1e-6)}


def test_the_constant_is_the_median_of_the_other_networks() -> None:
    data = few(6)
    data.observations.latency_ms[:] = [1.0, 2.0, 3.0, 4.0, 5.0, 60.0]
    found = left_out_errors(data, quiet)
    # Without 60 ms the median of 1 to 5 is 3; without 1 ms that of 2, 3, 4, 5 and 60 is 4.
    assert found.constant[[5, 0]] == pytest.approx(np.log([3.0 / 60.0, 4.0 / 1.0]))
    assert found.macs_and_parameters == pytest.approx(baseline_errors(data))


def test_a_device_that_takes_as_long_for_anything_is_refused() -> None:
    data = few(8)
    data.observations.latency_ms[:] = 30.0 * np.exp(np.random.default_rng(0).normal(0.0, 0.04, 8))
    with pytest.raises(NasError, match="better than one figure for all does") as raised:
        fit_and_judge(data, quiet)
    assert raised.value.exit_code == 1


@pytest.mark.parametrize(("lost", "sizes_alone"), [(-1.0, False), (4.0, False), (6.0, True)])
def test_where_the_procedure_clearly_loses_macs_and_parameters_have_all(
    lost: float, sizes_alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = few(9)
    # The error that a loss of so many nats a row stands for: 2.5 · log(1 + (e / 0.04)² / 4).
    simple, ours = (np.full(9, 0.08 * np.sqrt(np.expm1(nats / 2.5))) for nats in (1.0, 1.0 + lost / 9))
    left = LeftOut(ours=ours, macs_and_parameters=simple, constant=np.full(9, 1.0))
    monkeypatch.setattr(validate, "left_out_errors", lambda data, progress: left)
    found, told = fit_and_judge(data, quiet)
    assert told is left
    # These rows are a roofline's: nothing else speaks against it.
    assert (found.name == SIMPLE) == sizes_alone
