"""Prior sets: what kinds of hardware cost beside each other, at whatever pace.

A set says how the coefficients of the roofline stand to one another; how fast a device is, its own rows say. So a set
is first brought to the scale of the rows, and the fit is free to move that pace once more (`PACE_SD`). Rows in
microseconds or in minutes give the same model, in their unit. Which set a device has is chosen by left-out score
(`nas.latency.published.calibrate`), not by its name.

The figures were written by hand, from what the shipped devices were found to cost and from what runtimes print.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel, Floats
from nas.latency.published.fit import Observations, Priors, Workload

_PLAIN: Priors = {
    "grouped": (1.2, 0.5), "attention": (1.3, 0.5), "rearrange": (0.7, 0.5), "normalise": (1.5, 0.7),
}  # fmt: skip
"""What hardware that nobody looked at does least oddly."""
_PROCESSOR: Priors = {
    "rate": (8e7, 0.5), "rate_depthwise": (2.7e7, 0.7), "onchip": (3e7, 1.0), "memory": (1.2e7, 0.7),
    "memory_linear": (1e7, 0.7), "buffer": (2e5, 1.0), "overhead": (2e-2, 1.5), "broadcast": (5e-2, 1.5),
    "simple_activation": (1e-8, 1.5), "gelu": (3e-7, 1.5), "silu": (3e-7, 1.5), "gate": (3e-7, 1.5),
}  # fmt: skip
_GPU: Priors = {
    "rate": (8e7, 0.7), "rate_depthwise": (4e7, 0.7), "onchip": (3e7, 1.0), "memory": (1.2e7, 0.7),
    "memory_linear": (1e7, 0.7), "buffer": (1e6, 1.0), "overhead": (3e-2, 1.5), "broadcast": (5e-2, 1.5),
    "simple_activation": (1e-8, 1.5), "gelu": (1e-7, 1.5), "silu": (1e-7, 1.5), "gate": (1e-7, 1.5),
}  # fmt: skip
_ACCELERATOR: Priors = {
    "rate": (5e9, 0.7), "rate_depthwise": (2e9, 0.7), "onchip": (6e8, 1.0), "memory": (4e7, 0.7),
    "memory_linear": (3e7, 0.7), "buffer": (1e6, 1.0), "overhead": (2e-3, 2.0), "broadcast": (3e-2, 1.5),
    "simple_activation": (1e-9, 1.5), "gelu": (5e-9, 1.5), "silu": (1e-8, 1.5), "gate": (3e-8, 1.5),
}  # fmt: skip
PRIOR_SETS: Mapping[str, Priors] = {
    "GPU": {**_PLAIN, **_GPU},
    "processor": {**_PLAIN, **_PROCESSOR},
    "accelerator": {**_PLAIN, **_ACCELERATOR},
}
"""Name of a kind of hardware → its priors before they are scaled; the rest are the cost model's own."""

PACE_SD = 2.0
"""Standard deviation, in logarithms, of the pace around the scale of the rows."""
_FIXED_SHARE, _FIXED_SD = 0.15, 1.5
"""The fixed time stands to the rows' latencies, not to the pace: a call over a network costs what it costs."""


def scaled(priors: Priors, workload: Workload, rows: Observations) -> Priors:
    """`priors` at the scale of `rows`: the median row takes as long as the centres say.

    Rows that are all multiplied by a factor give priors whose times are multiplied by it.
    """
    given = {name: priors.get(name, (c.prior, c.log_sd)) for name, c in COEFFICIENTS.items()}
    centres = np.array([centre for centre, _ in given.values()])
    operators_ms = workload.counts @ CostModel(values=centres).operator_ms(workload.operators)
    pace = float(np.median(rows.latency_ms / operators_ms[rows.network]))
    at_pace: Floats = centres * pace ** np.array([c.pace for c in COEFFICIENTS.values()])
    found = {name: (float(at_pace[i]), given[name][1]) for i, name in enumerate(NAMES)}
    return {**found, "fixed": (_FIXED_SHARE * float(np.median(rows.latency_ms)), _FIXED_SD)}
