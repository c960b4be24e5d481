from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.fit import Observations, Workload
from nas.latency.published.simple import SimpleModel, fit_simple
from tests.latency.examples import classifier, networks, pointwise, row, table


def timed(workload: Workload, latency_ms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Observations:
    """One row a network of `workload`, of one source."""
    count = len(latency_ms)
    return Observations(
        network=np.arange(count), source=np.zeros(count, dtype=np.int64), latency_ms=latency_ms,
        rounding_ms=np.full(count, 1e-6),
    )  # fmt: skip


def sizes(workload: Workload) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    macs, weights = (workload.counts @ getattr(workload.operators, c) for c in ("macs", "weight_elements"))
    return macs, weights


def test_a_network_costs_its_multiply_adds_and_parameters() -> None:
    one = SimpleModel(values=np.array([0.5, 1e-3, 1e-2, 1e-9]))
    # 8·16·49 = 6272 multiply-adds and 128 parameters; 160·1000 of both; an activation has neither.
    found = one.operator_ms(table(pointwise(8, 16, 7), classifier(160), row("act:relu")))
    assert found == pytest.approx([6.272 + 1.28, 160.0 + 1600.0, 1e-9])
    assert one.fixed_ms == 0.5


def test_the_gradient_by_logarithms_sums_to_the_cost() -> None:
    # Every term is proportional to one coefficient.
    one = SimpleModel(values=np.array([0.5, 1e-3, 1e-2, 1e-9]))
    each, gradient = one.with_gradient(table(pointwise(8, 16, 7), row("act:relu")))
    assert gradient.sum(axis=1) == pytest.approx(each)
    assert gradient[0] == pytest.approx([0.0, 6.272, 1.28, 1e-9])
    assert one.fixed_gradient == pytest.approx([0.5, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_exact_rows_give_their_coefficients_in_any_unit(scale: float) -> None:
    workload = Workload.of(networks(10, np.random.default_rng(0)))
    macs, weights = sizes(workload)
    latency = scale * (0.7 + 2e-8 * macs + 3e-7 * weights)
    found = fit_simple(workload, timed(workload, latency), 1).model
    assert found.values[:3] == pytest.approx([0.7 * scale, 2e-8 * scale, 3e-7 * scale])
    # The nominal cost, so that no operator is free, shows in no sum.
    assert workload.network_ms(found) == pytest.approx(latency, rel=1e-3)


def test_no_coefficient_is_negative() -> None:
    workload = Workload.of(networks(10, np.random.default_rng(0)))
    macs, weights = sizes(workload)
    # Parameters would be a credit; the best of the rest serves.
    latency = 5.0 + 2e-8 * macs - 1e-6 * weights
    found = fit_simple(workload, timed(workload, np.maximum(latency, 0.5)), 1).model
    assert (found.values >= 0.0).all()
    assert found.values[2] == 0.0


def test_one_row_gone_wrong_pulls_little() -> None:
    workload = Workload.of(networks(12, np.random.default_rng(0)))
    macs, weights = sizes(workload)
    latency = 0.7 + 2e-8 * macs + 3e-7 * weights
    wrong = latency.copy()
    wrong[3] *= 3.0
    found = workload.network_ms(fit_simple(workload, timed(workload, wrong), 1).model)
    assert np.median(np.abs(found / latency - 1.0)) < 0.03


def test_the_covariance_narrows_with_more_rows() -> None:
    spreads = []
    for count in (8, 32):
        workload = Workload.of(networks(count, np.random.default_rng(0)))
        macs, _ = sizes(workload)
        noise = np.exp(np.random.default_rng(1).normal(0.0, 0.05, count))
        found = fit_simple(workload, timed(workload, (1.0 + 2e-8 * macs) * noise), 1)
        spreads.append(float(found.covariance[1, 1]))
    assert spreads[1] < spreads[0]
