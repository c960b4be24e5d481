from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.counts import COUNTS, NAMES, SETS, CountsModel, averaged, counts_of, fit_counts
from nas.latency.published.fit import Fit, Observations, Workload
from nas.latency.published.simple import NAMES as SIMPLE_NAMES
from nas.latency.published.simple import SimpleModel
from tests.latency.examples import networks, pointwise, row, table

EVERYTHING = max(SETS.values(), key=len)


def timed(workload: Workload, latency_ms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Observations:
    """One row a network of `workload`, of one source."""
    count = len(latency_ms)
    return Observations(
        network=np.arange(count), source=np.zeros(count, dtype=np.int64), latency_ms=latency_ms,
        rounding_ms=np.full(count, 1e-6),
    )  # fmt: skip


def by_traffic(workload: Workload) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """1 ms, 10 ns a multiply-add, 2 us an element of maps; activations move nothing."""
    operators = workload.operators
    moved = np.where(operators.kind == "act:relu", 0.0, operators.input_elements + operators.output_elements)
    return np.asarray(1.0 + workload.counts @ (1e-8 * operators.macs + 2e-6 * moved))


def test_what_is_counted_of_each_kind() -> None:
    operators = table(
        # 8·16·49 multiply-adds, 8·49 elements read and 16·49 written: fewer than twelve an element.
        pointwise(8, 16, 7),
        # 256 elements of maps and 200 of weights.
        row("dw", kernel=5, weights=200, macs=3200),
        # 2048 elements of maps: 589,824 multiply-adds are 507,904 more than forty an element.
        row("dense", channels=64, kernel=3, weights=36_864, macs=589_824),
        row("se_mul"),
        row("act:silu"),
        row("act:relu"),
    )  # fmt: skip
    found = dict(zip(NAMES, counts_of(operators).T.tolist(), strict=True))
    assert found == {
        "macs_fixed": [0, 0, 0, 0, 0, 0],
        "macs_cost": [6272, 3200, 589_824, 0, 0, 0],
        "parameters_cost": [128, 200, 36_864, 0, 0, 0],
        "nominal_cost": [1, 1, 1, 1, 1, 1],
        "depthwise_extra": [0, 3200, 0, 0, 0, 0],
        "moved_cost": [1176, 256, 2048, 256, 0, 0],
        "operator_cost": [1, 1, 1, 1, 0, 0],
        "light_extra": [6272, 3200, 0, 0, 0, 0],
        "heavy_extra": [0, 0, 507_904, 0, 0, 0],
        "window_cost": [0, 1, 1, 0, 0, 0],
        "large_extra": [0, 3200, 0, 0, 0, 0],
        "gate_cost": [0, 0, 0, 1, 0, 0],
        "activation_cost": [0, 0, 0, 0, 1, 0],
        "activation_element_cost": [0, 0, 0, 0, 128, 0],
    }


def test_every_count_is_in_a_set_and_the_sizes_are_first() -> None:
    assert {name for counts in SETS.values() for name in counts} == set(COUNTS)
    assert NAMES[: len(SIMPLE_NAMES)] == SIMPLE_NAMES


def test_an_operator_costs_the_sum_of_its_counts() -> None:
    prices = {"macs_fixed": 0.5, "macs_cost": 1e-3, "moved_cost": 1e-2, "operator_cost": 2.0, "nominal_cost": 1e-9}
    one = CountsModel(values=np.array([prices.get(name, 0.0) for name in NAMES]))
    operators = table(pointwise(8, 16, 7), row("act:relu"))
    each, gradient = one.with_gradient(operators)
    assert each == pytest.approx([6.272 + 11.76 + 2.0, 1e-9])
    assert one.operator_ms(operators) == pytest.approx(each)
    # Every term is proportional to one coefficient.
    assert gradient.sum(axis=1) == pytest.approx(each)
    assert one.fixed_ms == one.fixed_gradient.sum() == 0.5


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_rows_of_traffic_predict_other_networks_in_any_unit(scale: float) -> None:
    tables = networks(30, np.random.default_rng(0))
    workload, others = Workload.of(tables[:12]), Workload.of(tables[12:])
    found = fit_counts(workload, timed(workload, scale * by_traffic(workload)), 1, SETS["counts of traffic"])
    error = others.network_ms(found.model) / (scale * by_traffic(others)) - 1.0
    assert np.median(np.abs(error)) < 0.03
    assert found.offsets.tolist() == [0.0]


def test_nothing_is_negative_and_what_no_row_has_costs_nothing() -> None:
    workload = Workload.of(networks(12, np.random.default_rng(0)))
    latency = by_traffic(workload) * np.exp(np.random.default_rng(1).normal(0.0, 0.3, 12))
    found = dict(
        zip(NAMES, fit_counts(workload, timed(workload, latency), 1, EVERYTHING).model.values.tolist(), strict=True)
    )
    assert min(found.values()) == 0.0
    # The networks have neither windows nor gates, nor activations that are no ReLU.
    assert [name for name in (*EVERYTHING[:1], "window_cost", "gate_cost", "activation_cost") if found[name]] == []
    assert found["nominal_cost"] > 0.0


def test_the_covariance_narrows_with_more_rows() -> None:
    spreads = []
    for count in (8, 32):
        workload = Workload.of(networks(count, np.random.default_rng(0)))
        found = fit_counts(workload, timed(workload, by_traffic(workload)), 1, ())
        spreads.append(float(found.covariance[1, 1]))
    assert spreads[1] < spreads[0]


def test_an_average_has_the_mean_of_the_coefficients_and_the_variance_of_a_mixture() -> None:
    none = np.zeros((len(SIMPLE_NAMES),) * 2)
    sizes = Fit(model=SimpleModel(values=np.array([1.0, 2.0, 0.0, 1e-9])), offsets=np.array([0.4]), covariance=none)
    values = np.zeros(len(NAMES))
    values[[0, 1, NAMES.index("moved_cost")]] = 3.0, 2.0, 4.0
    unsure = np.zeros((len(NAMES),) * 2)
    unsure[1, 1] = 0.01
    counts = Fit(model=CountsModel(values=values), offsets=np.array([0.0]), covariance=unsure)
    found = averaged([sizes, counts], [0.25, 0.75])
    moved = NAMES.index("moved_cost")
    assert found.model.values[[0, 1, 2, moved]] == pytest.approx([2.5, 2.0, 0.0, 3.0])
    assert found.offsets == pytest.approx([0.1])
    # 0.25 · 1.5² + 0.75 · 0.5² = 0.75 ms² of 2.5 ms.
    assert found.covariance[0, 0] == pytest.approx(0.75 / 2.5**2)
    # Both say 2; three quarters of the variance (0.1 · 2)² of one of them.
    assert found.covariance[1, 1] == pytest.approx(0.75 * 0.2**2 / 2.0**2)
    # 0.25 · (-1.5) · (-3) + 0.75 · 0.5 · 1 = 1.5.
    assert found.covariance[0, moved] == pytest.approx(1.5 / (2.5 * 3.0))
