"""Latency by multiply-adds and parameters alone: what every other model has to beat, and what serves where none does.

    t(network) = fixed + a · multiply-adds + b · parameters                          (milliseconds, none negative)

Least squares of relative errors; a row that is off by more than four times what the others are counts less (Huber).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import Floats
from nas.latency.published.fit import Fit, Observations, Workload

MEANINGS = {
    "macs_fixed": "ms a network, by MACs and parameters alone",
    "macs_cost": "ms a multiply-add, by MACs and parameters alone",
    "parameters_cost": "ms a parameter, by MACs and parameters alone",
    "nominal_cost": "ms an operator, so that none is free",
}
NAMES: tuple[str, ...] = tuple(MEANINGS)
NOMINAL_SHARE = 1e-6
"""An operator's nominal cost as a share of the median latency: no sum of operators shows it."""
_ROUNDS, _OUTLYING, _LEAST_SD = 10, 4.0, 0.01
_PRIOR_SD = 1.5
"""Of the coefficients' logarithms, where the rows say nothing; only the covariance knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleModel:
    """The model with its coefficients: `values`, shape (len(NAMES),), not negative, in `NAMES`' order."""

    values: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients, in the order of `values` and of the columns of the gradient."""
        return NAMES

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return float(self.values[0])

    @property
    def fixed_gradient(self) -> Floats:
        """Derivatives of `fixed_ms` by the coefficients' logarithms, shape (len(NAMES),)."""
        return np.array([self.fixed_ms, 0.0, 0.0, 0.0])

    def operator_ms(self, table: OperatorTable) -> Floats:
        """Milliseconds of each operator, shape (n,), all positive."""
        return self.with_gradient(table)[0]

    def with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """`operator_ms`, and its derivatives by the coefficients' logarithms, shape (n, len(NAMES))."""
        counts = (np.zeros(len(table)), table.macs, table.weight_elements, np.ones(len(table)))
        gradient = np.column_stack(counts) * self.values
        return np.asarray(gradient.sum(axis=1)), gradient


def fit_simple(workload: Workload, rows: Observations, num_sources: int) -> Fit[SimpleModel]:
    """Fit the model to `rows` of `workload`; no source has an offset."""
    macs, weights = (workload.counts @ getattr(workload.operators, c) for c in ("macs", "weight_elements"))
    features = np.column_stack((np.ones(len(macs)), macs, weights))
    scale = features[rows.network].max(axis=0)
    relative = features[rows.network] / np.where(scale > 0.0, scale, 1.0) / rows.latency_ms[:, None]
    weight = np.ones(len(rows))
    for _ in range(_ROUNDS):
        found = _least_squares(relative, weight)
        off = np.abs(relative @ found - 1.0)
        sd = max(1.4826 * float(np.median(off)) * _of_few(len(rows)), _LEAST_SD)
        before, weight = weight, np.sqrt(np.minimum(1.0, _OUTLYING * sd / np.maximum(off, 1e-12)))
        if np.array_equal(before, weight):
            break
    shares = relative * weight[:, None] * found
    residual = float(((relative @ found - 1.0) ** 2 * weight**2).sum()) / max(len(rows) - len(found), 1)
    known = np.zeros((len(NAMES), len(NAMES)))
    known[:3, :3] = shares.T @ shares / max(residual, _LEAST_SD**2)
    covariance = np.asarray(np.linalg.inv(known + np.eye(len(NAMES)) / _PRIOR_SD**2), dtype=np.float64)
    nominal = NOMINAL_SHARE * float(np.median(rows.latency_ms))
    values = np.append(found / np.where(scale > 0.0, scale, 1.0), nominal)
    return Fit(model=SimpleModel(values=values), offsets=np.zeros(num_sources), covariance=covariance)


def _of_few(rows: int) -> float:
    """What a deviation of residuals is short of where three coefficients took their part of the rows."""
    return float(np.sqrt(rows / max(rows - 3.0, 1.0)))


def _least_squares(relative: Floats, weight: Floats) -> Floats:
    """The non-negative x, shape (k,), that brings `relative` (n, k) @ x nearest to 1: the best of those of every subset
    of the columns (Lawson & Hanson, 1974, ch. 23: the optimum is the least squares of its positive ones)."""
    best, least = np.zeros(relative.shape[1]), np.inf
    columns = range(relative.shape[1])
    for count in range(1, relative.shape[1] + 1):
        for chosen in itertools.combinations(columns, count):
            part = list(chosen)
            solved = np.linalg.lstsq(relative[:, part] * weight[:, None], weight, rcond=None)[0]
            loss = float((((relative[:, part] @ solved - 1.0) * weight) ** 2).sum())
            if (solved >= 0.0).all() and loss < least:
                least, best = loss, np.zeros(relative.shape[1])
                best[part] = solved
    return best
