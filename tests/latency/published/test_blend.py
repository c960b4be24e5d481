from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.blend import Blend
from nas.latency.published.simple import SimpleModel
from tests.latency.examples import model, pointwise, row, table

OPERATORS = table(pointwise(8, 16, 7), row("act:silu"))
SIMPLE = SimpleModel(values=np.array([0.5, 1e-3, 1e-2, 1e-9]))


def test_both_models_have_their_share() -> None:
    roofline = model(fixed=0.1)
    blend = Blend(first=roofline, second=SIMPLE, share=0.25)
    assert blend.fixed_ms == pytest.approx(0.25 * 0.1 + 0.75 * 0.5)
    expected = 0.25 * roofline.operator_ms(OPERATORS) + 0.75 * SIMPLE.operator_ms(OPERATORS)
    assert blend.operator_ms(OPERATORS) == pytest.approx(expected)
    assert blend.with_gradient(OPERATORS)[0] == pytest.approx(expected)


def test_the_gradient_is_that_of_finite_differences() -> None:
    first, second = model(fixed=0.1), SIMPLE
    blend = Blend(first=first, second=second, share=0.25)
    gradient = blend.with_gradient(OPERATORS)[1]
    for i in range(len(blend.names)):
        step = np.zeros(len(blend.names))
        step[i] = 1e-6
        up, down = (_moved(blend, sign * step) for sign in (1.0, -1.0))
        slope = (up.operator_ms(OPERATORS) - down.operator_ms(OPERATORS)) / 2e-6
        assert gradient[:, i] == pytest.approx(slope, rel=1e-4, abs=1e-9), blend.names[i]
        assert blend.fixed_gradient[i] == pytest.approx((up.fixed_ms - down.fixed_ms) / 2e-6, rel=1e-4, abs=1e-9)


def _moved(blend: Blend, logs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Blend:
    values, at = blend.values * np.exp(logs), len(blend.first.names)
    first = type(blend.first)(values=values[:at])  # type: ignore[call-arg]
    return Blend(first=first, second=SimpleModel(values=values[at:]), share=blend.share)
