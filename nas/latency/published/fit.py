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
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable
from nas.latency.published.blend import Costs
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, REFINEMENTS, CostModel, Floats, Ints

AnyCosts = TypeVar("AnyCosts", bound=Costs, covariant=True)

Form = tuple[str, ...]
"""The refinements (`nas.latency.published.cost_model.REFINEMENTS`) that a model has; the others stay out of it."""

Priors = Mapping[str, tuple[float, float]]
"""Coefficient → centre and standard deviation in logarithms of its prior on this device."""

ERROR_SD, OFFSET_SD, DEGREES_OF_FREEDOM = 0.04, 0.03, 4.0
"""Scales of a row's and of a source's log error, and the Student-t's degrees of freedom."""
ENOUGH = 1e-7
"""A step that lowers the loss by less is the last."""
_MAX_STEPS = 500


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

    def network_ms(self, model: Costs) -> Floats:
        """Milliseconds of each network, shape (n,)."""
        return np.asarray(model.fixed_ms + self.counts @ model.operator_ms(self.operators))

    def log_gradient(self, model: Costs) -> tuple[Floats, Floats]:
        """Milliseconds of each network, and the derivatives of their logarithms, shape (n, len(model.names))."""
        each, by_operator = model.with_gradient(self.operators)
        mean = model.fixed_ms + self.counts @ each
        return mean, (self.counts @ by_operator + model.fixed_gradient) / mean[:, None]


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
class Fit(Generic[AnyCosts]):
    """A fitted model, the log offsets of the sources, shape (s,), and the covariance of the logarithms of the k
    coefficients that are `model.names`, shape (k, k)."""

    model: AnyCosts
    offsets: Floats
    covariance: Floats


def fit(
    workload: Workload,
    rows: Observations,
    num_sources: int,
    form: Form,
    *,
    priors: Priors | None = None,
    pace_sd: float = 0.0,
    start: Fit[CostModel] | None = None,
    enough: float = ENOUGH,
) -> Fit[CostModel]:
    """Fit a roofline of the given form to `rows` of `workload`.

    `priors` replace those of `COEFFICIENTS`; `pace_sd` is the deviation of a factor that all times and rates have in
    common beside their own (0: none); `start` (a fit of a roofline to similar rows) shortens the way; a
    step that lowers the loss by less than `enough` is the last.
    """
    num = len(NAMES)
    target = np.log(rows.latency_ms)
    spread = np.sqrt(ERROR_SD**2 + (rows.rounding_ms / rows.latency_ms) ** 2 / 12.0)
    given = [(priors or {}).get(name, (c.prior, c.log_sd)) for name, c in COEFFICIENTS.items()]
    # Coordinates: the coefficients' logarithms, the sources' offsets, the common pace.
    centre = np.concatenate((np.log([prior for prior, _ in given]), np.zeros(num_sources + 1)))
    sd = np.concatenate(([log_sd for _, log_sd in given], np.full(num_sources, OFFSET_SD), [pace_sd or 1.0]))
    pace = np.array([c.pace for c in COEFFICIENTS.values()])
    free = np.ones(len(centre), dtype=np.bool_)
    free[-1] = pace_sd > 0.0
    for name in REFINEMENTS:
        if name not in form:
            free[NAMES.index(name)] = False
            centre[NAMES.index(name)] = np.log(COEFFICIENTS[name].neutral or 1.0)
    point = centre.copy()
    if start is not None:
        point = np.concatenate((np.log(start.model.values), start.offsets, [0.0]))
    point[~free] = centre[~free]

    def look(at: Floats) -> tuple[float, Floats, Floats]:
        """Loss, its gradient and Gauss-Newton curvature by the free coordinates."""
        mean, gradient = workload.log_gradient(CostModel(values=np.exp(at[:num] + pace * at[-1])))
        error = (np.log(mean)[rows.network] + at[num + rows.source] - target) / spread
        slopes = np.zeros((len(rows), len(at)))
        slopes[:, :num] = gradient[rows.network]
        slopes[np.arange(len(rows)), num + rows.source] = 1.0
        slopes[:, -1] = (gradient @ pace)[rows.network]
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
        if gain < enough:
            break
    covariance = np.zeros((len(point), len(point)))
    covariance[np.ix_(free, free)] = np.linalg.inv(curvature)
    own = covariance[:num, :num]
    if pace_sd:
        cross = np.outer(covariance[:num, -1], pace)
        own = own + cross + cross.T + covariance[-1, -1] * np.outer(pace, pace)
    values = np.exp(point[:num] + pace * point[-1])
    return Fit(model=CostModel(values=values), offsets=point[num:-1], covariance=own)
