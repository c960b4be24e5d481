"""Operator costs from operators that were timed alone, not in networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nas.latency.published.cost_model import Floats
from nas.latency.timed.design import TimedSegment
from nas.latency.timed.regression import fit_networks
from nas.latency.timed.regressor import OperatorRegressor

CONTEXT_HALF_WIDTH = 0.37
"""Half of the least 90 % interval of log latency: what operators take alone is up to 13 % less than in a network where
they ran hot, and up to 45 % more where they ran cold, and no table of operators says which."""


def fit_alone(operators: Sequence[TimedSegment], latency_ms: Floats, manifest: Mapping[str, Any]) -> OperatorRegressor:
    """The costs of operators that were timed one by one, `latency_ms` (n,).

    A network is their sum: what it takes beyond is in the interval alone (`CONTEXT_HALF_WIDTH`). The manifest gets the
    error of operators left out. Raises `InputError` for fewer than `nas.latency.timed.regression.MIN_NETWORKS`.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        found = fit_networks([(o,) for o in operators], latency_ms, np.zeros(len(operators), dtype=np.int64), manifest)
    errors = np.abs(np.expm1(found.left_out_operators))
    scores = {"median": float(np.median(errors)), "within_10_percent": float((errors <= 0.1).mean())}
    return replace(
        found.operators,
        fixed_ms=0.0,
        floor=float(np.hypot(found.operators.floor, CONTEXT_HALF_WIDTH)),
        factor=max(found.operators.factor, 1.0),
        manifest={**found.operators.manifest, "scores": {"operators": scores}},
    )
