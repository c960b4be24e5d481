"""Latencies as an array that carries its intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.figures import leaving
from nas.latency.published.cost_model import Floats


class Milliseconds(np.ndarray[Any, np.dtype[np.float64]]):
    """Latencies in ms, shape (n,), with their central 90 % intervals `low` and `high`, each shape (n,).

    What is computed from it, a part of it too, is a plain array.
    """

    low: Floats
    high: Floats

    def __new__(cls, mean_ms: Floats, low: Floats, high: Floats) -> Milliseconds:
        """The three arrays as one. Raises `NasError` for numbers that are not finite."""
        for values in (mean_ms, low, high):
            leaving("a latency", (values.min(), values.max()) if len(values) else ())
        found = np.asarray(mean_ms, dtype=np.float64).view(cls)
        found.low, found.high = low, high
        return found

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]
