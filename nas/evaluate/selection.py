"""What a network may claim for having been selected: the limit on its gain over known networks.

A search picks the luckiest of its model's errors, so a claim of more than `max_gain` over what is known is not
believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAIN_PENALTY = 30.0
"""What a unit of gain beyond the limit costs in the score: many times what it can add to the bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The best accuracy of known networks at or under a latency: `accuracy` (m,) from `latency_ms` (m,) on."""

    latency_ms: Floats
    accuracy: Floats

    @classmethod
    def of(cls, latency_ms: Floats, accuracy: Floats) -> Frontier:
        """The frontier of networks with these figures, in any order; at least one."""
        order = np.argsort(latency_ms, kind="stable")
        return cls(latency_ms=latency_ms[order], accuracy=np.maximum.accumulate(accuracy[order]))

    def gain(self, latency_ms: Floats, accuracy: Floats) -> Floats:
        """How far networks (n,) lie above it; networks faster than all known ones are compared with the fastest."""
        place = np.searchsorted(self.latency_ms, latency_ms, side="right") - 1
        return np.asarray(accuracy - self.accuracy[np.maximum(place, 0)])

    def penalty(self, latency_ms: Floats, accuracy: Floats, *, max_gain: float) -> Floats:
        """What is taken from the scores of networks (n,) that gain more than `max_gain`."""
        return np.asarray(GAIN_PENALTY * np.maximum(self.gain(latency_ms, accuracy) - max_gain, 0.0))
