"""How the families round channel counts; for one number or for arrays of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDINGS = ("divisible8", "divisible8_plain", "divisible4", "floor8", "floor", "round")
"""`divisible8`: nearest multiple of 8, going up where that is below 90 % (MobileNet code); `divisible8_plain`: without
that last rule (SE of EfficientNet-like code); `divisible4`: multiples of 4 (GhostNet code); `floor8`, `floor`: down;
`round`: to the nearest integer."""


_DIVISIBLE = re.compile(r"divisible([1-9][0-9]?)(_plain)?")


def round_channels(value: ArrayLike, rounding: str) -> NDArray[Any]:
    """`value` (any shape) as channel counts by a rule of `ROUNDINGS`, or one of its kind for another divisor
    (`divisible32`); at least 1, or the divisor."""
    number = np.asarray(value, dtype=np.float64)
    if rounding == "floor":
        rounded = np.maximum(1, np.floor(number))
    elif rounding == "round":
        rounded = np.maximum(1, np.rint(number))
    elif rounding == "floor8":
        rounded = np.maximum(8, np.floor(number / 8) * 8)
    elif match := _DIVISIBLE.fullmatch(rounding):
        divisor = int(match[1])
        rounded = np.maximum(divisor, np.floor((number + divisor / 2) / divisor) * divisor)
        if not match[2]:
            rounded += np.where(rounded < 0.9 * number, divisor, 0)
    else:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, but got {rounding!r}")
    return np.asarray(rounded, dtype=np.int64)


def make_divisible(value: float) -> int:
    """One width by the MobileNet code's rule: the nearest multiple of 8, never below 90 % of the value."""
    return int(round_channels(value, "divisible8"))
