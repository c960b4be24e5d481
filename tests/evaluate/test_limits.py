from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nas.accuracy import AccuracyFigures
from nas.errors import InputError
from nas.evaluate.limits import NOVELTY_PENALTY, Limits


@pytest.mark.parametrize(
    ("confidence", "deviations"), [(0.5, 0.0), (0.8, 0.841621), (0.95, 1.644854), (0.99, 2.326348)]
)
def test_the_bounded_latency_is_the_quantile_asked_for(confidence: float, deviations: float) -> None:
    """Of two lognormals about 2 and 10 ms whose logarithms deviate by 0.1 and 0.3."""
    mean, deviation = np.array([2.0, 10.0]), np.array([0.1, 0.3])
    high = mean * np.exp(1.644854 * deviation)
    found = Limits(confidence=confidence).bounded_ms(mean, high)
    assert found == pytest.approx(mean * np.exp(deviations * deviation), rel=1e-5)


def test_without_a_confidence_the_mean_counts() -> None:
    assert Limits().bounded_ms(np.array([2.0]), np.array([9.0])).tolist() == [2.0]


def _excess(limits: Limits, **columns: list[float]) -> list[float]:
    count = len(next(iter(columns.values())))
    return list(limits.excess(lambda name: np.array(columns[name]), count))


def test_excess_adds_up_over_the_limits_and_is_zero_where_they_are_kept() -> None:
    both = Limits(max_params=100, max_macs=1000)
    # 150 of 100 is half too much, 1100 of 1000 a tenth; what is saved in one does not pay for the other.
    found = _excess(both, params=[100.0, 150.0, 10.0, 150.0], macs=[1000.0, 500.0, 1100.0, 1100.0])
    assert found == pytest.approx([0.0, 0.5, 0.1, 0.6])
    assert _excess(Limits(max_macs=1000), macs=[1500.0]) == [0.5]
    assert _excess(Limits(max_params=100), params=[1.0]) == [0.0]


def test_no_column_is_read_that_has_no_limit() -> None:
    assert Limits().excess(lambda name: pytest.fail(f"{name} was read"), 2).tolist() == [0.0, 0.0]


def test_the_score_is_the_bound_less_what_novelty_beyond_the_limit_costs() -> None:
    low = np.array([0.7, 0.7, 0.7])
    accuracy = AccuracyFigures(
        mean=low + 0.1, low=low, high=low + 0.2, novelty=np.array([0.0, 1.5, 2.5]), recipe="", source="predicted"
    )
    expected = [0.7, 0.7, 0.7 - NOVELTY_PENALTY * 1.0]
    assert Limits(max_novelty=1.5).score(accuracy) == pytest.approx(expected)
    assert Limits(max_novelty=None).score(accuracy).tolist() == [0.7, 0.7, 0.7]


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", ["max_params", "max_macs", "max_novelty"])
def test_limits_that_are_none_are_refused(name: str, value: float) -> None:
    limit: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"{name} must be positive and finite"):
        Limits(**limit)


@pytest.mark.parametrize("confidence", [0.49, 1.0, math.nan])
def test_a_confidence_is_a_probability_from_a_half(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence must be at least 0.5"):
        Limits(confidence=confidence)


def test_intervals_exceed_by_their_width_beyond_the_limit() -> None:
    limits, ratio = Limits(max_interval=1.25), np.array([0.5, 1.25, 1.5])
    assert limits.interval_excess(ratio, quick=True) == pytest.approx([0.0, 0.0, 0.2])
    # Whatever keeps the limit by sums that are read quickly keeps it by exact ones.
    assert (limits.interval_excess(ratio * (1 + 1e-6)) == 0.0).tolist() == [True, True, False]
    assert Limits(max_interval=None).interval_excess(ratio).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ratio", [0.99, math.nan, math.inf])
def test_an_interval_is_limited_to_the_usual_width_or_more(ratio: float) -> None:
    with pytest.raises(InputError, match="max_interval must be at least 1 and finite"):
        Limits(max_interval=ratio)
