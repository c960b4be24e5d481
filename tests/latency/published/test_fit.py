from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.cost_model import NAMES, REFINEMENTS
from nas.latency.published.fit import Workload, fit
from tests.latency.examples import calibration, model, networks, pointwise, row, table


def test_a_workload_merges_equal_operators_and_keeps_the_sum() -> None:
    tables = networks(3, np.random.default_rng(1))
    workload = Workload.of(tables)
    assert len(workload.operators) < sum(len(t) for t in tables)
    one = model()
    expected = [one.fixed_ms + one.operator_ms(t).sum() for t in tables]
    assert workload.network_ms(one) == pytest.approx(expected)


def test_the_log_gradient_of_a_network_sums_to_one_over_shares() -> None:
    # The fixed time's share of the latency is its derivative.
    workload = Workload.of([table(pointwise(8, 8, 4), row("act:relu"))])
    mean, gradient = workload.log_gradient(model())
    assert gradient[0, NAMES.index("fixed")] == pytest.approx(model().fixed_ms / mean[0])


def test_a_fit_finds_the_latencies_and_the_identified_coefficients() -> None:
    truth = model(fixed=0.6, rate=3e9, memory_linear=15e6)
    data = calibration(40, truth, noise=0.001)
    found = fit(data.workload, data.observations, 2, ())
    assert found.model.value("fixed") == pytest.approx(0.6, rel=0.05)
    assert found.model.value("memory_linear") == pytest.approx(15e6, rel=0.1)
    assert data.workload.network_ms(found.model) == pytest.approx(data.observations.latency_ms, rel=0.02)


def test_a_source_that_times_longer_gets_an_offset_shrunk_towards_none() -> None:
    data = calibration(40, model(), noise=0.001)
    rows = data.observations
    slower = np.where(rows.source == 1, 1.1, 1.0)
    shifted = type(rows)(
        network=rows.network, source=rows.source, latency_ms=rows.latency_ms * slower, rounding_ms=rows.rounding_ms
    )
    found = fit(data.workload, shifted, 2, ())
    assert 0.03 < found.offsets[1] - found.offsets[0] <= np.log(1.1)


def test_one_row_gone_wrong_hardly_pulls() -> None:
    data = calibration(40, model(), noise=0.005)
    rows = data.observations
    wrong = rows.latency_ms.copy()
    wrong[0] *= 10.0
    spoilt = type(rows)(network=rows.network, source=rows.source, latency_ms=wrong, rounding_ms=rows.rounding_ms)
    found = fit(data.workload, spoilt, 2, ())
    errors = np.abs(data.workload.network_ms(found.model) / rows.latency_ms - 1.0)[1:]
    assert np.median(errors) < 0.01
    assert errors.max() < 0.1


def test_refinements_outside_the_form_stay_out() -> None:
    data = calibration(12, model(), noise=0.01)
    found = fit(data.workload, data.observations, 2, ("sharpness",))
    assert found.model.value("silu_passes") == pytest.approx(1e-9)
    assert found.model.value("elementwise") == 1.0
    for name in REFINEMENTS:
        free = found.covariance[NAMES.index(name), NAMES.index(name)] > 0
        assert free == (name == "sharpness")


def test_the_same_rows_give_the_same_bits_and_a_start_the_same_answer() -> None:
    data = calibration(12, model(), noise=0.01)
    first, second = (fit(data.workload, data.observations, 2, ()) for _ in range(2))
    assert first.model.values.tobytes() == second.model.values.tobytes()
    warm = fit(data.workload, data.observations, 2, (), start=first)
    assert data.workload.network_ms(warm.model) == pytest.approx(data.workload.network_ms(first.model), rel=1e-4)
