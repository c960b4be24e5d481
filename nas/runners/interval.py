"""A timing as the record that every latency is: the protocol's figure, and how far its parts disagree."""

from __future__ import annotations

import math

import numpy as np

from nas.latency.estimate import Estimate
from nas.runners.timing import Timing, typical

_PARTS = 5


def measured(timing: Timing) -> Estimate:
    """The typical time of a run (`Timing.typical_ms`), source *measured*.

    The runs are cut into up to five consecutive parts, each with a typical time of its own; the interval reaches, up
    and down by one factor, to the one farthest off: what a fifth of the runs could have found instead.
    """
    runs = np.array(timing.runs)
    mean_ms = timing.typical_ms
    parts = np.array_split(runs, min(_PARTS, len(runs)))
    apart = math.exp(max(abs(math.log(typical(part.tolist()) / mean_ms)) for part in parts))
    return Estimate(
        mean_ms=mean_ms,
        low_ms=mean_ms / apart,
        high_ms=mean_ms * apart,
        source="measured",
        shares={"measured": 1.0},
    )
