from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InputError
from nas.strategies import Evaluation, Standing
from nas.strategies.problem import Codes, checked_evaluation


def test_feasible_is_at_or_under_the_target_and_within_all_limits() -> None:
    # 2.0 ms is at the target; the next larger number is above it; 1.0 ms exceeds a limit by a thousandth.
    standing = Standing(
        bounded_ms=np.array([2.0, np.nextafter(2.0, 3.0), 1.0, 3.0]), excess=np.array([0.0, 0.0, 0.001, 0.5])
    )
    assert standing.feasible(2.0).tolist() == [True, False, False, False]
    assert standing.within_limits.tolist() == [True, True, False, False]
    assert len(standing) == 4


def test_beyond_adds_what_the_latency_and_the_limits_exceed() -> None:
    standing = Standing(bounded_ms=np.array([2.0, 1.0, 3.0, 3.0]), excess=np.array([0.0, 0.25, 0.0, 0.25]))
    # 3 ms are half beyond 2 ms; 1 ms does not pay for the limit.
    assert standing.beyond(2.0) == pytest.approx([0.0, 0.25, 0.5, 0.75])


@pytest.mark.parametrize("target_ms", [1.0, 1.7, 1.9999999999999998])
def test_what_is_not_feasible_is_beyond(target_ms: float) -> None:
    just_above = Standing(bounded_ms=np.array([target_ms, np.nextafter(target_ms, 9.0)]), excess=np.zeros(2))
    assert just_above.feasible(target_ms).tolist() == (just_above.beyond(target_ms) == 0.0).tolist() == [True, False]


class _Constant:
    cardinalities = np.array([2])

    def __init__(self, **columns: list[float]) -> None:
        self._columns = {name: np.array(values) for name, values in columns.items()}

    def canonical(self, codes: Codes) -> Codes:
        return codes

    def evaluate(self, codes: Codes) -> Evaluation:
        plain = {name: np.ones(len(codes)) for name in ("bounded_ms", "excess", "accuracy", "score")}
        return Evaluation(**{**plain, **self._columns})


@pytest.mark.parametrize("name", ["bounded_ms", "excess", "accuracy", "score"])
@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_columns_must_be_finite_and_as_long_as_the_codes(name: str, values: list[float]) -> None:
    with pytest.raises(InputError, match=f"2 finite numbers, but {name} has shape"):
        checked_evaluation(_Constant(**{name: values}), np.array([[0], [1]]))


def test_latencies_must_be_positive_and_what_is_saved_is_no_excess() -> None:
    codes = np.array([[0], [1]])
    with pytest.raises(InputError, match=r"positive, but the lowest is 0\.0 ms"):
        checked_evaluation(_Constant(bounded_ms=[1.0, 0.0]), codes)
    assert checked_evaluation(_Constant(excess=[-0.5, 0.5]), codes).excess.tolist() == [0.0, 0.5]
