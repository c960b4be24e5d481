"""Many sizes at once: an integer stand-in with which a block is built for a whole batch of shapes.

A block is written for integers. Given `Sizes` (one integer for each member of a batch) instead, the same code yields
operators whose numbers are arrays. A comparison must come out alike for the whole batch, since it decides which
operators there are; where it does not, `MixedSizes` says who differs and the batch is built in two parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARK = "\x00"
Printed = list[tuple[NDArray[Any], str]]
"""Values that were printed, each with its format."""


class MixedSizes(Exception):
    """Not an error but a signal: a comparison holds for part of a batch only; `mask` (n,) says for whom."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        super().__init__("a comparison must come out alike for the whole batch")
        self.mask = mask


def _uniform(mask: NDArray[np.bool_]) -> bool:
    if mask.all():
        return True
    if not mask.any():
        return False
    raise MixedSizes(mask)


def _raw(other: Any) -> Any:
    return other.values if isinstance(other, Sizes) else other


class Sizes:
    """`values` (n,) as one number of a batch.

    Printing it puts the values into `printed`, which all results share, and gives a place holder that `fill` replaces.
    Defining equality makes it unhashable: equal sizes of two batches mean nothing.
    """

    def __init__(self, values: NDArray[Any], printed: Printed) -> None:
        self.values = values
        self._printed = printed

    def _with(self, values: NDArray[Any]) -> Sizes:
        return Sizes(values, self._printed)

    def __add__(self, other: Any) -> Sizes:
        return self._with(self.values + _raw(other))

    def __sub__(self, other: Any) -> Sizes:
        return self._with(self.values - _raw(other))

    def __rsub__(self, other: Any) -> Sizes:
        return self._with(_raw(other) - self.values)

    def __mul__(self, other: Any) -> Sizes:
        return self._with(self.values * _raw(other))

    def __floordiv__(self, other: Any) -> Sizes:
        return self._with(self.values // _raw(other))

    def __rfloordiv__(self, other: Any) -> Sizes:
        return self._with(_raw(other) // self.values)

    def __mod__(self, other: Any) -> Sizes:
        return self._with(self.values % _raw(other))

    def __pow__(self, exponent: float) -> Sizes:
        return self._with(self.values.astype(np.float64) ** exponent)

    __radd__ = __add__
    __rmul__ = __mul__

    def __array_ufunc__(self, function: np.ufunc, method: str, *operands: Any) -> Sizes:
        return self._with(getattr(function, method)(*map(_raw, operands)))

    def __eq__(self, other: object) -> bool:
        return _uniform(np.asarray(self.values == _raw(other)))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return _uniform(np.asarray(self.values < _raw(other)))

    def __le__(self, other: Any) -> bool:
        return _uniform(np.asarray(self.values <= _raw(other)))

    def __gt__(self, other: Any) -> bool:
        return _uniform(np.asarray(self.values > _raw(other)))

    def __ge__(self, other: Any) -> bool:
        return _uniform(np.asarray(self.values >= _raw(other)))

    def __bool__(self) -> bool:
        return _uniform(np.asarray(self.values != 0))

    def __format__(self, spec: str) -> str:
        self._printed.append((self.values, spec))
        return f"{_MARK}{len(self._printed) - 1}{_MARK}"

    def __str__(self) -> str:
        return format(self)

    __repr__ = __str__


def fill(text: str, printed: Printed, count: int) -> list[str]:
    """The `count` texts that a text with place holders for `printed` stands for."""
    columns: list[list[str]] = []
    for i, part in enumerate(text.split(_MARK)):
        if i % 2:
            values, spec = printed[int(part)]
            columns.append([format(value, spec) for value in values.tolist()])
        else:
            columns.append([part] * count)
    return ["".join(row) for row in zip(*columns, strict=True)]
