"""How well the latency of known networks is known: what the width of an answer's interval is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAREST = 5
"""Known networks that say what is usual at a latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualWidths:
    """The usual width of an interval at each latency: log(high / low), the median of the known networks nearest to it.

    `width` (m,) are the medians of neighbours, `edges_ms` (m - 1,), ascending, the latencies where one neighbour is
    left for the next.
    """

    edges_ms: Floats
    width: Floats

    @classmethod
    def of(cls, latency_ms: Floats, width: Floats) -> UsualWidths:
        """Of at least one network with these latencies and widths (n,), in any order; where there are fewer than
        `NEAREST`, all of them are near everywhere."""
        order = np.argsort(latency_ms, kind="stable")
        ordered, count = latency_ms[order], min(NEAREST, len(order))
        windows = np.lib.stride_tricks.sliding_window_view(width[order], count)
        # The nearest ones are neighbours in this order: a window moves on where its first is as far as the next one.
        return cls(edges_ms=(ordered[:-count] + ordered[count:]) / 2.0, width=np.median(windows, axis=1))

    def at(self, latency_ms: Floats) -> Floats:
        """The usual width at latencies (n,)."""
        return self.width[np.searchsorted(self.edges_ms, latency_ms)]

    def ratio(self, latency_ms: Floats, width: Floats) -> Floats:
        """How many times as wide as usual intervals of these widths (n,) are; 0 where no usual one has a width."""
        usual = self.at(latency_ms)
        return np.divide(width, usual, out=np.zeros(len(width)), where=usual > 0.0)
