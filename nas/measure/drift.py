"""How fast the machine was: told by the reference network, which is timed in every batch.

A machine with other work, or other tenants, runs slower for seconds or minutes, small networks most of all. What it can
do undisturbed is the tenth part of the reference's times that is fastest; a batch is disturbed where its reference took
`TOLERANCE` longer than that, more than one process differs from the next by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.latency.cost_model import Floats

TOLERANCE = 0.03
_FASTEST = 0.1


def undisturbed_ms(reference_ms: Sequence[float]) -> float:
    """The reference's time on the undisturbed machine, in ms, from its times in all batches."""
    return float(np.quantile(reference_ms, _FASTEST))


def slowness(reference_ms: Sequence[float], undisturbed: float) -> Floats:
    """How much slower than undisturbed the machine was in each batch, shape (batches,): 0 within `TOLERANCE`."""
    slower = np.asarray(reference_ms, dtype=np.float64) / undisturbed - 1.0
    return np.where(slower > TOLERANCE, slower, 0.0)
