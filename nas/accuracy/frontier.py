"""What the known networks promise at a latency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The best known networks by latency: `log_latency` and `target` (m,), both rising strictly; m is at least 1.

    A target is −log(1 − accuracy). Between two of the networks the frontier is straight in the logarithm of the
    latency, so a network that lies between is compared with what a mix of both promises, and one that is hardly faster
    than the next known network with hardly less than that.
    """

    log_latency: Floats
    target: Floats

    @classmethod
    def of(cls, latency_ms: Floats, accuracy: Floats) -> Frontier:
        """The frontier of networks with these figures (n,), in any order: those that no faster one equals."""
        order = np.lexsort((-accuracy, latency_ms))
        best = np.maximum.accumulate(accuracy[order])
        corners = order[np.concatenate(([True], best[1:] > best[:-1]))]
        return cls(log_latency=np.log(latency_ms[corners]), target=-np.log1p(-accuracy[corners]))

    def at(self, latency_ms: Floats) -> Floats:
        """Its targets at latencies (n,); at both ends those of the fastest and of the slowest of its networks."""
        return np.asarray(np.interp(np.log(latency_ms), self.log_latency, self.target))
