"""Latency by counts of what hardware spends time on: between a roofline and `nas.latency.published.simple`.

    t(network) = fixed + a · multiply-adds + b · parameters + sum of c · count       (milliseconds, none negative)

A count is a sum over operators (`COUNTS`). A dozen rows tell what few of them cost, so several sets of counts are
fitted (`SETS`), and what they predict is averaged (`averaged`): all are linear, so the average is one model. Each fit
is the least squares of relative errors with a half-normal prior: what a count may cost of a middle row's latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import Floats
from nas.latency.published.fit import Fit, Observations, Workload
from nas.latency.published.simple import MEANINGS as SIMPLE_MEANINGS
from nas.latency.published.simple import NOMINAL_SHARE, SimpleModel

_INTENSE, _VERY_INTENSE = 12.0, 40.0
"""Multiply-adds an element read or written: below the first, moving data hides computing on much hardware; above the
second computing is all that counts."""
COUNTS: Mapping[str, str] = {
    "depthwise_extra": "ms a multiply-add of depthwise convolutions, beside any other's",
    "moved_cost": "ms an element of maps read or written",
    "operator_cost": "ms an operator",
    "light_extra": "ms a multiply-add where few are made of an element, beside any other's",
    "heavy_extra": "ms a multiply-add beyond forty of an element, beside any other's",
    "window_cost": "ms a convolution with a window",
    "large_extra": "ms a multiply-add of depthwise kernels of 5 and more, beside any other's",
    "gate_cost": "ms a product of a map and values computed from it",
    "activation_cost": "ms an activation that is no ReLU",
    "activation_element_cost": "ms an element of an activation that is no ReLU",
}
"""Coefficient → what it is a price of."""
_TRAFFIC = ("depthwise_extra", "moved_cost", "operator_cost")
_INTENSITY = ("light_extra", "heavy_extra", "window_cost")
_ACTIVATIONS = ("large_extra", "gate_cost", "activation_cost", "activation_element_cost")
SETS: Mapping[str, tuple[str, ...]] = {
    "counts of traffic": _TRAFFIC,
    "counts of traffic and intensity": (*_TRAFFIC, *_INTENSITY),
    "counts of traffic, intensity and activations": (*_TRAFFIC, *_INTENSITY, *_ACTIVATIONS),
}
"""Name of a set → the counts that it has beside multiply-adds and parameters."""
MEANINGS: Mapping[str, str] = {**SIMPLE_MEANINGS, **COUNTS}
NAMES: tuple[str, ...] = tuple(MEANINGS)
_SIZES, _NOMINAL = NAMES[:3], 3
_PRIOR_SD: Mapping[str, float] = {
    **dict.fromkeys(NAMES, 0.1), **dict.fromkeys(_SIZES, 5.0), "depthwise_extra": 0.05, "moved_cost": 0.3,
    "operator_cost": 0.02,
}  # fmt: skip
"""Of the share of a middle row's latency that each may have."""
_ERROR_SD = 0.05
_UNSEEN_SD = 1.5
"""Of the logarithm of a coefficient that is 0: no cost hangs on it."""
_FUSED = ("slice", "slice:whole", "reorder")
_RELU = ("act:relu", "act:relu6", "act:prelu", "act:leaky_relu")


def counts_of(table: OperatorTable) -> Floats:
    """What each operator counts, shape (n, len(NAMES)) in `NAMES`' order; that of the fixed time is 0."""
    kind = table.kind
    activation = np.char.startswith(kind, "act:")
    odd = activation & ~np.isin(kind, _RELU)
    depthwise = kind == "dw"
    maps = table.input_elements + table.output_elements
    moved = np.where(activation | np.isin(kind, _FUSED), 0.0, maps)
    columns = {
        "macs_cost": table.macs,
        "parameters_cost": table.weight_elements,
        "nominal_cost": np.ones(len(table)),
        "depthwise_extra": table.macs * depthwise,
        "moved_cost": moved,
        "operator_cost": ~(activation | np.isin(kind, _FUSED)),
        "light_extra": table.macs * (table.macs < _INTENSE * (maps + table.weight_elements)),
        "heavy_extra": np.maximum(table.macs - _VERY_INTENSE * moved, 0.0),
        "window_cost": np.isin(kind, ("dense", "dw", "grp")),
        "large_extra": table.macs * (depthwise & (table.kernel >= 5)),
        "gate_cost": kind == "se_mul",
        "activation_cost": odd,
        "activation_element_cost": table.output_elements * odd,
    }
    return np.column_stack([np.zeros(len(table)), *(np.asarray(columns[name], np.float64) for name in NAMES[1:])])


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsModel:
    """The model with its coefficients: `values`, shape (len(NAMES),), not negative, in `NAMES`' order."""

    values: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients, in the order of `values` and of the columns of the gradient."""
        return NAMES

    @property
    def knows_activations(self) -> bool:
        """Whether anything is charged for activations."""
        return any(self.values[NAMES.index(name)] > 0.0 for name in ("activation_cost", "activation_element_cost"))

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return float(self.values[0])

    @property
    def fixed_gradient(self) -> Floats:
        """Derivatives of `fixed_ms` by the coefficients' logarithms, shape (len(NAMES),)."""
        return np.append(self.fixed_ms, np.zeros(len(NAMES) - 1))

    def operator_ms(self, table: OperatorTable) -> Floats:
        """Milliseconds of each operator, shape (n,), all positive."""
        return self.with_gradient(table)[0]

    def with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """`operator_ms`, and its derivatives by the coefficients' logarithms, shape (n, len(NAMES))."""
        gradient = counts_of(table) * self.values
        return np.asarray(gradient.sum(axis=1)), gradient


def fit_counts(workload: Workload, rows: Observations, num_sources: int, counts: Sequence[str]) -> Fit[CountsModel]:
    """Fit multiply-adds, parameters and `counts` (of `COUNTS`) to `rows` of `workload`; no source has an offset.

    What no network of the rows has costs nothing.
    """
    from scipy.optimize import nnls

    features = workload.counts @ counts_of(workload.operators)
    features[:, 0] = 1.0
    seen = features[rows.network].mean(axis=0)
    used = np.array([name in (*_SIZES, *counts) for name in NAMES]) & (seen > 0.0)
    middle = float(np.median(rows.latency_ms))
    # In shares of the middle latency, of an average row: the coordinates of the prior.
    relative = features[rows.network][:, used] / seen[used] * (middle / rows.latency_ms)[:, None] / _ERROR_SD
    sd = np.array([_PRIOR_SD[name] for name in NAMES])[used]
    found, _ = nnls(
        np.vstack((relative, np.diag(1.0 / sd))), np.append(np.ones(len(rows)) / _ERROR_SD, np.zeros(len(sd)))
    )
    values, variance = np.zeros(len(NAMES)), np.zeros((len(NAMES), len(NAMES)))
    values[used] = found * middle / seen[used]
    values[_NOMINAL] = NOMINAL_SHARE * middle
    held = np.flatnonzero(used)[found > 0.0]
    unit = (middle / seen[used])[found > 0.0]
    part = relative[:, found > 0.0]
    known = np.linalg.inv(part.T @ part + np.diag(sd[found > 0.0] ** -2.0))
    variance[np.ix_(held, held)] = known * np.outer(unit, unit)
    return Fit(
        model=CountsModel(values=values), offsets=np.zeros(num_sources), covariance=_of_logarithms(values, variance)
    )


def averaged(fits: Sequence[Fit[SimpleModel] | Fit[CountsModel]], weights: Sequence[float]) -> Fit[CountsModel]:
    """The fit that predicts the average of what `fits` do, with `weights` that sum to 1.

    Its variance is that of a mixture: the average of theirs, and of the squares by which their coefficients differ
    (Hoeting et al., "Bayesian Model Averaging", 1999, eq. 3).
    """
    values = np.zeros((len(fits), len(NAMES)))
    variances = np.zeros((len(fits), len(NAMES), len(NAMES)))
    for i, found in enumerate(fits):
        count = len(found.model.values)
        values[i, :count] = found.model.values
        variances[i, :count, :count] = found.covariance * np.outer(found.model.values, found.model.values)
    share = np.asarray(weights, dtype=np.float64)
    mean = share @ values
    apart = (values - mean) * np.sqrt(share)[:, None]
    variance = np.einsum("i,ijk->jk", share, variances) + apart.T @ apart
    offsets = np.einsum("i,ij->j", share, np.stack([found.offsets for found in fits]))
    return Fit(model=CountsModel(values=mean), offsets=offsets, covariance=_of_logarithms(mean, variance))


def _of_logarithms(values: Floats, variance: Floats) -> Floats:
    """The covariance of the coefficients' logarithms, from that of the coefficients."""
    safe = np.where(values > 0.0, values, 1.0)
    return np.asarray(variance / np.outer(safe, safe) + np.diag(np.where(values > 0.0, 0.0, _UNSEEN_SD**2)))
