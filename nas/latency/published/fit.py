"""Fitting an operator cost model to whole networks: robust log error, weak priors, offsets of the sources.

Latencies of one network differ from source to source (another app, another statistic, another system
version), so every source has an offset, shrunk towards 0: a prediction without an offset is the average source.
The fit is the maximum of a posterior: Student-t errors of the logarithms (few large errors do not pull), normal
priors of the coefficients' logarithms (`nas.latency.published.cost_model.COEFFICIENTS`) and of the offsets; the
curvature there (Gauss-Newton) gives the coefficients' covariance. Levenberg-Marquardt in NumPy; the same rows give the
same bits on one BLAS thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, REFINEMENTS, CostModel, Floats, Ints

Form = tuple[str, ...]
"""The refinements (`nas.latency.published.cost_model.REFINEMENTS`) that a model has; the others stay out of it."""

Priors = Mapping[str, tuple[float, float]]
"""Coefficient → centre and standard deviation in logarithms of its prior on this device."""

ERROR_SD, OFFSET_SD, DEGREES_OF_FREEDOM = 0.04, 0.03, 4.0
"""Scales of a row's and of a source's log error, and the Student-t's degrees of freedom."""
_MAX_STEPS, _ENOUGH = 500, 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The operators of networks, equal operators merged: `counts[i, j]` of operator j in network i."""

    operators: OperatorTable
    counts: Floats

    @classmethod
    def of(cls, tables: Sequence[OperatorTable]) -> Workload:
        """The workload of one or more networks, in their order."""
        table = OperatorTable.concatenate(tables)
        _, kind = np.unique(table.kind, return_inverse=True)
        rows = np.column_stack([kind, *(getattr(table, name) for name in NUMERIC_COLUMNS)])
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        owner = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
        counts = np.zeros((len(tables), len(first)))
        np.add.at(counts, (owner, inverse.reshape(-1)), 1.0)
        return cls(operators=table.select(first), counts=counts)

    def network_ms(self, model: CostModel) -> Floats:
        """Milliseconds of each network, shape (n,)."""
        return np.asarray(model.fixed_ms + self.counts @ model.operator_ms(self.operators))

    def log_gradient(self, model: CostModel) -> tuple[Floats, Floats]:
        """Milliseconds of each network, and the derivatives of their logarithms, shape (n, len(NAMES))."""
        mean = self.network_ms(model)
        gradient = self.counts @ model.gradient_ms(self.operators)
        gradient[:, NAMES.index("fixed")] = model.fixed_ms
        return mean, gradient / mean[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Published latencies: n rows, each of one network of a workload and one source (positions)."""

    network: Ints
    source: Ints
    latency_ms: Floats
    rounding_ms: Floats

    def __len__(self) -> int:
        return len(self.latency_ms)

    def select(self, rows: NDArray[np.bool_]) -> Observations:
        """The rows where the mask is true."""
        return Observations(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted model, the log offsets of the sources, shape (s,), and the covariance of the logarithms of the
    model's values, shape (len(NAMES), len(NAMES))."""

    model: CostModel
    offsets: Floats
    covariance: Floats


def fit(
    workload: Workload,
    rows: Observations,
    num_sources: int,
    form: Form,
    *,
    priors: Priors | None = None,
    start: Fit | None = None,
) -> Fit:
    """Fit a model of the given form to `rows` of `workload`.

    `priors` replace those of `COEFFICIENTS`; `start` (a fit to similar rows) shortens the way.
    """
    num = len(NAMES)
    target = np.log(rows.latency_ms)
    spread = np.sqrt(ERROR_SD**2 + (rows.rounding_ms / rows.latency_ms) ** 2 / 12.0)
    given = [(priors or {}).get(name, (c.prior, c.log_sd)) for name, c in COEFFICIENTS.items()]
    centre = np.append(np.log([prior for prior, _ in given]), np.zeros(num_sources))
    sd = np.append([log_sd for _, log_sd in given], np.full(num_sources, OFFSET_SD))
    free = np.ones(len(centre), dtype=np.bool_)
    for name in REFINEMENTS:
        if name not in form:
            free[NAMES.index(name)] = False
            centre[NAMES.index(name)] = np.log(COEFFICIENTS[name].neutral or 1.0)
    point = centre.copy() if start is None else np.append(np.log(start.model.values), start.offsets)
    point[~free] = centre[~free]

    def look(at: Floats) -> tuple[float, Floats, Floats]:
        """Loss, its gradient and Gauss-Newton curvature by the free coordinates."""
        mean, gradient = workload.log_gradient(CostModel(values=np.exp(at[:num])))
        error = (np.log(mean)[rows.network] + at[num + rows.source] - target) / spread
        slopes = np.zeros((len(rows), len(at)))
        slopes[:, :num] = gradient[rows.network]
        slopes[np.arange(len(rows)), num + rows.source] = 1.0
        slopes = slopes[:, free] / spread[:, None]
        prior = ((at - centre) / sd)[free]
        weight = (DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + error**2)
        student = (DEGREES_OF_FREEDOM + 1.0) * np.log1p(error**2 / DEGREES_OF_FREEDOM)
        curvature = (slopes * weight[:, None]).T @ slopes + np.diag(sd[free] ** -2)
        return float(student.sum() + prior @ prior), slopes.T @ (weight * error) + prior / sd[free], curvature

    loss, slope, curvature = look(point)
    damping = 1e-2
    for _ in range(_MAX_STEPS):
        tried = point.copy()
        tried[free] -= np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
        seen = look(tried)
        if seen[0] >= loss:
            damping *= 4.0
            if damping > 1e6:
                break
            continue
        gain, point = loss - seen[0], tried
        loss, slope, curvature = seen
        damping = max(damping / 5.0, 1e-6)
        if gain < _ENOUGH:
            break
    covariance = np.zeros((len(point), len(point)))
    covariance[np.ix_(free, free)] = np.linalg.inv(curvature)
    return Fit(model=CostModel(values=np.exp(point[:num])), offsets=point[num:], covariance=covariance[:num, :num])
