from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel
from tests.latency.examples import KINDS, classifier, model, pointwise, row, table


def test_a_convolution_costs_its_multiply_adds_where_these_are_slowest() -> None:
    # 512·512·14² = 51,380,224 multiply-adds at 10⁹ a ms; maps 2·2·100,352 bytes and weights 524,288 bytes are faster.
    fast = model(rate=1e9, onchip=1e9, memory=1e8, buffer=1e9, overhead=0.002)
    assert fast.operator_ms(table(pointwise(512, 512, 14)))[0] == pytest.approx(0.051380224 + 0.002)


def test_a_classifier_costs_its_weights_at_their_own_bandwidth() -> None:
    # 1,280,000 weights of two bytes at 20·10⁶ bytes a ms.
    found = model(memory_linear=20e6, overhead=0.001).operator_ms(table(classifier(1280)))
    assert found[0] == pytest.approx(2 * 1_280_000 / 20e6 + 0.001)


def test_traffic_spills_by_half_where_the_map_is_as_large_as_the_buffer() -> None:
    # 100·10·10 elements of two bytes = 20,000 bytes = the buffer: half of 40,000 bytes at 10⁶, half at 10⁴ bytes a ms.
    found = model(onchip=1e6, memory=1e4, buffer=20_000, overhead=0.5, elementwise=1.0)
    assert found.operator_ms(table(row("gap", channels=100, side=10)))[0] == pytest.approx(0.02 + 2.0 + 0.5)


def test_the_spilled_share_follows_its_exponent() -> None:
    # The map is twice the buffer: the share is 1 / (1 + 2⁻³) = 8/9; on-chip traffic is as good as free.
    found = model(onchip=1e15, memory=1e4, buffer=10_000, sharpness=3.0, overhead=1e-9)
    assert found.operator_ms(table(row("gap", channels=100, side=10)))[0] == pytest.approx(4.0 * 8 / 9)


def test_fused_activations_move_no_map_and_silu_pays_passes() -> None:
    one = model(onchip=1e6, memory=1e4, buffer=20_000, gelu=1e-3, silu=2e-3, silu_passes=3.0, hswish=2.0)
    found = one.operator_ms(table(*(row(f"act:{f}", channels=100, side=10) for f in ("gelu", "silu", "hswish"))))
    one_pass = 0.02 + 2.0
    assert found == pytest.approx([10.0, 20.0 + 3 * one_pass, 2 * (20.0 + 3 * one_pass)])


@pytest.mark.parametrize("kind", KINDS)
def test_no_operator_is_free(kind: str) -> None:
    assert model().operator_ms(table(row(kind)))[0] > 0


def test_a_kind_without_a_role_is_charged_as_unknown() -> None:
    unknown = model(unknown=3.0).operator_ms(table(row("other:Foo"), row("nonsense"), row("gap")))
    assert unknown[0] == unknown[1] > unknown[2]


def test_large_depthwise_kernels_have_a_factor_of_their_own() -> None:
    slow = model(rate_depthwise=1.0, depthwise_large=0.5, overhead=1e-9)
    found = slow.operator_ms(table(*(row("dw", kernel=k, weights=8, macs=1000) for k in (3, 5))))
    assert found == pytest.approx([1000.0, 500.0])


def test_operators_do_not_depend_on_their_neighbours() -> None:
    rows = [row(kind, channels=8 + i, side=5) for i, kind in enumerate(KINDS)]
    alone = [float(model().operator_ms(table(r))[0]) for r in rows]
    many = model().operator_ms(table(*(rows * 1000)))  # more than one chunk
    assert np.array_equal(many, np.tile(alone, 1000))


def test_the_gradient_is_that_of_finite_differences() -> None:
    rows = [row(kind, channels=40, side=s, kernel=5, weights=90, macs=4000 * s) for kind in KINDS for s in (3, 60)]
    operators = table(*rows, pointwise(64, 640, 56), classifier(640))
    centre = np.log([c.prior for c in COEFFICIENTS.values()])
    gradient = CostModel(values=np.exp(centre)).gradient_ms(operators)
    for i in range(1, len(NAMES)):
        step = np.zeros(len(NAMES))
        step[i] = 1e-6
        up, down = (CostModel(values=np.exp(centre + s)).operator_ms(operators) for s in (step, -step))
        assert gradient[:, i] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-9), NAMES[i]


def test_an_empty_table_costs_nothing() -> None:
    assert len(model().operator_ms(table())) == 0
    assert model().gradient_ms(table()).shape == (0, len(NAMES))
