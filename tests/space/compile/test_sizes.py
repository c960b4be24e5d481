from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.space.compile.sizes import MixedSizes, Printed, Sizes, fill

NUMBERS = st.lists(st.integers(1, 4096), min_size=1, max_size=8)
ARITHMETIC: list[Callable[[Any, Any], Any]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.mod,
]
COMPARISONS: list[Callable[[Any, Any], bool]] = [
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip


def _sizes(values: list[int], printed: Printed | None = None) -> Sizes:
    return Sizes(np.array(values), [] if printed is None else printed)


@given(NUMBERS, st.integers(1, 64), st.sampled_from(ARITHMETIC))
def test_arithmetic_is_that_of_each_member(values: list[int], number: int, act: Callable[[Any, Any], Any]) -> None:
    assert act(_sizes(values), number).values.tolist() == [act(value, number) for value in values]
    assert act(_sizes(values), _sizes(values[::-1])).values.tolist() == list(map(act, values, values[::-1]))


@given(NUMBERS, st.integers(1, 64))
def test_a_number_may_come_first(values: list[int], number: int) -> None:
    sizes = _sizes(values)
    assert (number + sizes).values.tolist() == [number + value for value in values]
    assert (number - sizes).values.tolist() == [number - value for value in values]
    assert (number * sizes).values.tolist() == [number * value for value in values]
    assert (number // sizes).values.tolist() == [number // value for value in values]
    assert (sizes**-0.5).values.tolist() == pytest.approx([value**-0.5 for value in values])


@given(NUMBERS, st.integers(1, 4096), st.sampled_from(COMPARISONS))
def test_a_comparison_is_the_answer_of_all_or_says_who_differs(
    values: list[int], number: int, compare: Callable[[Any, Any], bool]
) -> None:
    answers = [compare(value, number) for value in values]
    if len(set(answers)) == 1:
        assert compare(_sizes(values), number) is answers[0]
        return
    with pytest.raises(MixedSizes) as mixed:
        compare(_sizes(values), number)
    # `!=` is asked as the negation of `==`; either way the mask parts the same members.
    assert mixed.value.mask.tolist() in (answers, [not answer for answer in answers])


def test_truth_is_being_other_than_zero() -> None:
    assert _sizes([1, 2])
    assert not _sizes([0, 0])
    with pytest.raises(MixedSizes) as mixed:
        bool(_sizes([3, 0, 4]))
    assert mixed.value.mask.tolist() == [True, False, True]


def test_printed_sizes_are_filled_in_member_by_member() -> None:
    printed: Printed = []
    width, side = _sizes([16, 24, 32], printed), _sizes([7, 14, 7], printed)
    text = f"conv {width}x{side} > {width * 2}, {width**-0.5:.3f} {(width, 1)}"
    assert fill(text, printed, 3) == [
        "conv 16x7 > 32, 0.250 (16, 1)", "conv 24x14 > 48, 0.204 (24, 1)", "conv 32x7 > 64, 0.177 (32, 1)",
    ]  # fmt: skip
    assert fill("nothing", printed, 2) == ["nothing", "nothing"]


def test_sizes_are_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(_sizes([1]))
