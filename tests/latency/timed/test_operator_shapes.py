from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.graph.operators import OperatorTable
from nas.latency.timed.operator_shapes import (
    NUM_COORDINATES,
    NUM_TERMS,
    TERMS,
    coordinates,
    distinct,
    group_numbers,
    groups,
    roofline_terms,
)
from nas.runtimes.layouts import CHANNEL_BLOCK
from tests.latency.examples import KINDS, classifier, pointwise, row, table
from tests.latency.timed.networks import known

MACS, STALLS = TERMS.index("macs"), TERMS.index("stalls")


@pytest.fixture(scope="module")
def everything() -> OperatorTable:
    """The operators of the known networks."""
    return OperatorTable.concatenate([segment.operators for network in known() for segment in network])


def test_every_operator_has_finite_terms_and_coordinates(everything: OperatorTable) -> None:
    for operators in (everything, table(*(row(kind) for kind in KINDS))):
        terms, points = roofline_terms(operators), coordinates(operators)
        assert terms.shape == (len(operators), NUM_TERMS) and points.shape == (len(operators), NUM_COORDINATES)
        assert np.isfinite(terms).all() and np.isfinite(points).all()
        assert (terms >= 0.0).all() and (terms.sum(axis=1) > 0.0).all()


def test_whole_blocks_of_channels_count_their_own_multiply_adds() -> None:
    full = table(pointwise(2 * CHANNEL_BLOCK, 3 * CHANNEL_BLOCK, 7))
    assert roofline_terms(full)[0, MACS] == pytest.approx(full.macs[0] / 1e9)


def test_a_block_begun_counts_as_a_whole_one() -> None:
    begun = table(
        pointwise(CHANNEL_BLOCK + 1, 3 * CHANNEL_BLOCK, 7), pointwise(3 * CHANNEL_BLOCK, CHANNEL_BLOCK + 1, 7)
    )
    whole = table(pointwise(2 * CHANNEL_BLOCK, 3 * CHANNEL_BLOCK, 7))
    assert roofline_terms(begun)[:, MACS] == pytest.approx(np.repeat(roofline_terms(whole)[:, MACS], 2))
    assert roofline_terms(begun)[:, 1:STALLS] == pytest.approx(
        np.column_stack(
            [begun.input_elements / 1e6, begun.output_elements / 1e6, begun.weight_elements / 1e6, [1e-3, 1e-3]]
        )
    )


def test_a_depthwise_operator_wastes_nothing_on_its_inputs() -> None:
    channels, area = 2 * CHANNEL_BLOCK, 49
    macs = 9 * channels * area
    size = channels * area
    depthwise = table(("dw", 3, 1, channels, channels, channels, 7, 7, macs, size, size, 9 * channels))
    assert roofline_terms(depthwise)[0, MACS] == pytest.approx(macs / 1e9)


def test_a_convolution_whose_groups_fit_no_block_gathers_more_where_rows_are_no_multiple_of_four() -> None:
    def read(side: int, stride: int = 1) -> float:
        area, channels, groups = side * side, 24, 3
        macs = 9 * channels * (channels // groups) * area
        conv = ("grp", 3, stride, groups, channels, channels, side, side, macs, channels * area, channels * area, 1728)
        return float(roofline_terms(table(conv))[0, TERMS.index("input")]) * 1e6 / (9 * channels * area)

    assert read(8) == read(28) == pytest.approx(1.0)  # nine places of the kernel, each channel
    assert read(7) == pytest.approx(16 / 7)  # a vector of four and three single elements
    assert read(14) == pytest.approx(20 / 14)
    assert read(8, stride=2) == pytest.approx(2.0)


def test_a_pool_reads_an_element_for_each_place_of_its_window() -> None:
    pool = ("avgpool", 3, 1, 1, 0, 8, 5, 5, 0, 200, 200, 0)
    assert roofline_terms(table(pool))[0, TERMS.index("input")] == pytest.approx(9 * 200 / 1e6)


def test_an_operator_without_weights_counts_its_pieces() -> None:
    norm = ("norm:layer", 1, 1, 1, 16, 16, 1, 10, 0, 160, 160, 0)  # ten tokens
    other = ("add", 1, 1, 1, 0, 16, 1, 10, 0, 160, 160, 0)
    assert roofline_terms(table(norm, other))[:, TERMS.index("weights")] * 1e6 == pytest.approx([10.0, 0.0])


def convolution(kernel: int, channels: int, *, groups: int = 1, stride: int = 1) -> tuple[str | float, ...]:
    """One that makes a map of 7 x 7, as many channels as it reads."""
    kind = "dense" if groups == 1 else "dw" if groups == channels else "grp"
    weights = kernel**2 * channels * channels // groups
    size = 49 * channels
    return (kind, kernel, stride, groups, channels, channels, 7, 7, 49 * weights, stride**2 * size, size, weights)


@pytest.mark.parametrize(
    ("operator", "chain", "idle"),
    [
        # 49 pixels are eight passes of six and one of one; a block of channels by six pixels leaves two of eight sums.
        (pointwise(16, 16, 7), 16, 8 * 2 + 7),
        (pointwise(16, 64, 7), 16, 4),  # four blocks at once: 24 sums are enough, four are not
        (pointwise(16, 80, 7), 16, 4 + 8 * 2 + 7),  # four blocks, then one
        # A row of seven: an end, three pixels, two, an end.
        (convolution(3, 16), 9 * 16, 7 * (7 + 5 + 6 + 7)),
        (convolution(3, 32), 9 * 32, 7 * (6 + 2 + 4 + 6)),
        (convolution(3, 64, groups=4), 9 * 16, 4 * 7 * (7 + 5 + 6 + 7)),
        (convolution(3, 32, groups=32), 9, 2 * 7 * (7 + 5 + 6 + 7)),  # a block at a time
        (convolution(3, 16, stride=2), 9 * 16, 7 * (7 + 2)),  # the padding on the right is not reached
        (convolution(5, 16), 25 * 16, 7 * (2 * 7 + 5 + 2 * 7)),
        (convolution(5, 16, stride=2), 25 * 16, 7 * (7 + 5 + 6 + 7)),
    ],
)
def test_products_that_wait_for_the_one_before_leave_a_unit_idle(
    operator: tuple[str | float, ...], chain: int, idle: int
) -> None:
    assert roofline_terms(table(operator))[0, STALLS] * 1e9 == pytest.approx(CHANNEL_BLOCK * chain * idle)


def test_what_is_not_computed_in_blocks_does_not_stall() -> None:
    ragged = ("grp", 3, 1, 3, 24, 24, 7, 7, 9 * 24 * 8 * 49, 24 * 49, 24 * 49, 1728)
    assert roofline_terms(table(ragged, classifier(64), row("add")))[:, STALLS].tolist() == [0.0, 0.0, 0.0]


def test_like_operators_lie_nearer_than_unlike_ones() -> None:
    points = coordinates(table(pointwise(64, 64, 14), pointwise(64, 72, 14), pointwise(64, 512, 14), classifier(64)))
    near, far, other = np.linalg.norm(points[1:] - points[0], axis=1)
    assert 0.0 < near < far < other


def depthwise(kernel: int, channels: int = CHANNEL_BLOCK) -> tuple[str | float, ...]:
    """A depthwise convolution of a map of 7 x 7."""
    size = channels * 49
    return ("dw", kernel, 1, channels, channels, channels, 7, 7, kernel**2 * size, size, size, kernel**2 * channels)


def test_a_group_is_of_one_kind_and_every_operator_is_in_its_own(everything: OperatorTable) -> None:
    names, number = groups(everything)
    assert len(set(names)) == len(names)
    assert set(number.tolist()) == set(range(len(names)))
    for i in range(len(names)):
        (kind,) = set(everything.kind[number == i].tolist())
        assert names[i].startswith(kind)
    assert np.array_equal(group_numbers(everything, names), number)


def test_depthwise_kernels_and_begun_blocks_are_groups_of_their_own() -> None:
    _, number = groups(
        table(depthwise(3), depthwise(5), depthwise(3, CHANNEL_BLOCK + 1), depthwise(3, 2 * CHANNEL_BLOCK))
    )
    assert len(set(number.tolist())) == 3 and number[0] == number[3]


def test_a_group_that_is_not_known_is_served_by_the_nearest_of_its_kind() -> None:
    known, number = groups(table(depthwise(3), depthwise(9), row("pw")))
    found = group_numbers(table(depthwise(3), depthwise(7), depthwise(3, CHANNEL_BLOCK + 1), row("add")), known)
    assert found.tolist() == [number[0], number[1], number[0], -1]
    assert group_numbers(table(row("pw")), ()).tolist() == [-1]
    assert group_numbers(table(), known).tolist() == []


def test_whatever_an_operator_is_called_it_has_a_group() -> None:
    operators = table(row("other:My Op"), row("other:Odd ragged"), row("other:3 7+"))
    assert group_numbers(operators, ("pw", "other:Their Op")).tolist() == [-1, -1, -1]
    names, number = groups(operators)
    assert group_numbers(operators, names).tolist() == number.tolist()


ROWS = st.builds(
    pointwise, st.sampled_from([8, 16, 24]), st.sampled_from([8, 16]), st.sampled_from([7, 14])
) | st.builds(row, st.sampled_from(KINDS[:6]))


@given(st.lists(ROWS, min_size=1, max_size=12))
def test_distinct_operators_stand_for_all(rows: list[tuple[str | float, ...]]) -> None:
    operators = table(*rows)
    first, inverse = distinct(operators)
    assert len(first) == len(set(rows))
    again = operators.select(first).select(inverse)
    assert again.kind.tolist() == operators.kind.tolist()
    assert np.array_equal(roofline_terms(again), roofline_terms(operators))
    assert np.array_equal(coordinates(again), coordinates(operators))
