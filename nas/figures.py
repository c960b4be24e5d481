"""The one check of numbers where they enter, from files and users, and the one where results leave.

What enters is at most `MOST`: beyond any count, time, rate or ratio that is meant here, and so far inside what a float
holds that sums and products of thousands of them stay finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real

from nas.errors import NasError

MOST = 1e30


def entering(value: object) -> float:
    """The number that `value` (a number, NumPy's too, or its text) stands for; nan where it is none, or none that may
    enter.

    Whoever reads it says what is right instead, with its file and place.
    """
    if isinstance(value, bool) or not isinstance(value, str | Real):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if abs(number) <= MOST else math.nan


def leaving(what: str, values: Iterable[float]) -> None:
    """Raise `NasError` where a result is no finite number: `what` must never be shown or handed on then."""
    found = tuple(float(value) for value in values)
    if not all(map(math.isfinite, found)):
        raise NasError(
            f"{what} must be finite, but came out as {', '.join(f'{value:g}' for value in found)}: the numbers of a"
            " table, a fit or a network that it is made of cannot be; restore or build them again."
        )
