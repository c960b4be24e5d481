"""A timing as the record that every latency is: the protocol's figure, and how far its parts disagree."""

from __future__ import annotations

import numpy as np

from nas.latency.estimate import Estimate
from nas.measure.runner import Timing

_PARTS = 5


def measured(timing: Timing) -> Estimate:
    """The least time of a run (`Timing.low_ms`), source *measured*.

    The runs are cut into up to five consecutive parts, each with a least time of its own; the interval reaches, up and
    down by one factor, to the highest of these: what a fifth of the runs could have found instead.
    """
    runs = np.array(timing.cpu_ms or timing.wall_ms)
    parts = np.array_split(runs, min(_PARTS, len(runs)))
    apart = max(float(part.min()) for part in parts) / timing.low_ms
    return Estimate(
        mean_ms=timing.low_ms,
        low_ms=timing.low_ms / apart,
        high_ms=timing.low_ms * apart,
        source="measured",
        shares={"measured": 1.0},
    )
