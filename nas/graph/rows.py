"""Shapes, and the rows that operators become (`nas.graph.operators`)."""

from __future__ import annotations

import math

Shape = tuple[int, ...]
Row = tuple[str | float, ...]
"""kind, then the numeric columns of `nas.graph.operators`, in their order."""


def elements(shape: Shape) -> int:
    """How many numbers a tensor of `shape` holds."""
    return math.prod(shape)


def map_shape(shape: Shape) -> Shape:
    """`shape` as (channels, height, width); tokens have their channels last."""
    if len(shape) == 3:
        return shape
    return (shape[-1], *(1, 1, *shape[:-1])[-2:])


def make_row(
    kind: str, inputs: int, out: Shape, *, kernel: int = 1, stride: int = 1, groups: int = 1, in_channels: int = 0,
    macs: int = 0, weights: int = 0,
) -> Row:  # fmt: skip
    """A row of an operator that reads `inputs` numbers."""
    channels, height, width = map_shape(out)
    return (
        kind, kernel, stride, groups, in_channels, channels, height, width, macs, inputs, elements(out), weights,
    )  # fmt: skip


_PER_IMAGE = (6, 8, 9, 10)
"""Where a row has its height, multiply-adds, numbers read and numbers written."""


def repeated(row: Row, times: int) -> Row:
    """The row of `times` maps, one below the other, on the same weights."""
    if times == 1:
        return row
    return tuple(
        value * times if i in _PER_IMAGE and not isinstance(value, str) else value for i, value in enumerate(row)
    )


def run_length(a: Shape, b: Shape) -> int:
    """How many neighbouring elements of the larger of two values meet the same one of the other, or the next each."""
    large, small = (a, b) if elements(a) >= elements(b) else (b, a)
    small = (1,) * (len(large) - len(small)) + small
    count, axis = 1, len(large) - 1
    while axis >= 0 and (small[axis] == 1) == (small[-1] == 1):
        count, axis = count * large[axis], axis - 1
    return count


def slice_rows(whole: Shape, out: Shape) -> tuple[Row, ...]:
    """What copying the part of shape `out` out of a value of shape `whole` leaves to do."""
    kind = "slice:whole" if whole == out else "slice"
    return (make_row(kind, elements(out), out, in_channels=map_shape(whole)[0]),)
