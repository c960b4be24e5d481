"""A latency of networks from few measurements: what operators cost on other devices, taken apart and put together anew.

    t(operator) = Σ_features weight · feature(operator),      y(network) = t₀ + Σ t(operator) + noise

Features are the costs on each other device, brought to the new one's level; their average by class of operator
(dense, pointwise, depthwise, anything else: what a device is good or bad at); and plain physics (multiply-adds of each
class, elements moved, weights, a count of operators). Their weights are Gaussian before, and so are they after a few
whole networks: the same inference as for spaces of codes (`nas.latency.transfer.gaussian`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.latency.estimate import Source
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats
from nas.latency.transfer.gaussian import Prior, fit_linear, root_of

SCHEMA = 1
FORM = "transferred"
CLASSES = ("dense", "pw", "dw", "other")
_PRIOR: Mapping[str, float] = {"devices": 0.2, "classes": 0.2, "physics": 0.05, "fixed": 0.05, "noise": 0.05}
_FIRM = 0.7
_SPENT = 2
"""Numbers that the measurements give before: the level, and which of the other devices have a share."""
_LEAST_SPREAD = 0.02
_LEAST_SHARE = 0.1
"""No operator costs less than this part of what it does on the other devices, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferredOperators:
    """What operators cost on a new device: `weights` (k + 1,) of the features, ms, and `root` (k + 1, r) of how unsure
    they are together; `levels` (d,) bring the costs of `others` to the new device's, `shares` (d,) are what each has of
    their average, `scales` (p,) bring physics to that level.

    Half of the 90 % interval of log latency is `factor` times the deviation of a network, `noise` included.
    """

    source: ClassVar[Source] = "predicted"

    others: tuple[OperatorModel, ...]
    levels: Floats
    shares: Floats
    scales: Floats
    fixed_unit_ms: float
    weights: Floats
    root: Floats
    noise: float
    factor: float
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return max(float(self._fixed @ self.weights), 0.0)

    @property
    def num_features(self) -> int:
        """How many independent doubts there are about the weights."""
        return int(self.root.shape[1])

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """See `nas.latency.operator_model.OperatorModel`."""
        features = _features(table, self.others, self.levels, self.shares, self.scales)
        mean = np.maximum(features @ self.weights, _LEAST_SHARE * features[:, -1])
        return mean, np.asarray(features @ self.root)

    def half_width(
        self,
        mean_ms: Floats,
        sums: Floats,
        rows_ms: Floats,
        *,
        large: NDArray[np.bool_] | bool = False,
        whole: bool = True,
    ) -> Floats:
        """See `nas.latency.operator_model.OperatorModel`; inputs of all sizes are alike here, and what is unsure about
        the fixed time is in what is unsure about operators, which were told apart from it."""
        deviation = np.hypot(np.linalg.norm(sums, axis=1) / mean_ms, self.noise)
        return np.asarray(np.hypot(self.factor * deviation, rows_ms / mean_ms))

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """What the other devices' models doubt of this network."""
        return tuple(dict.fromkeys(text for model in self.others for text in model.warnings(table)))

    def as_json(self) -> dict[str, Any]:
        """The numbers and texts that it is made of, the other devices' models with them."""
        return {
            "schema": SCHEMA,
            "form": FORM,
            "coefficients": {"fixed": self.fixed_ms},
            "meaning": {"fixed": "ms a network"},
            "others": [dict(model.as_json()) for model in self.others],
            "levels": self.levels.tolist(),
            "shares": self.shares.tolist(),
            "scales": self.scales.tolist(),
            "fixed_unit_ms": self.fixed_unit_ms,
            "weights": self.weights.tolist(),
            "root": self.root.tolist(),
            "interval": {"noise": self.noise, "factor": self.factor},
            "manifest": dict(self.manifest),
        }

    @property
    def _fixed(self) -> Floats:
        """The features of a network without operators, shape (k + 1,)."""
        return _fixed(self.others, self.levels, self.shares, len(self.weights), self.fixed_unit_ms)


def fit_networks_of(
    others: Sequence[OperatorModel], networks: Sequence[OperatorTable], latency_ms: Floats
) -> TransferredOperators:
    """What operators cost on a device that took `latency_ms` (n,) for whole `networks`, given what they cost on others.

    Raises `InputError` without another device.
    """
    if not others:
        raise InputError(
            "fit_latency needs at least one other device with operator costs for a space of networks, but got none;"
            " give devices=[nas.load_latency(NAME)]."
        )
    elsewhere = np.array([[m.fixed_ms + m.costs(table)[0].sum() for m in others] for table in networks])
    logs = np.log(latency_ms[:, None] / elsewhere)
    levels, shares = np.exp(logs.mean(axis=0)), _shares(logs)
    physics = np.array([_physics(table).sum(axis=0) for table in networks])
    before = (elsewhere * levels) @ shares
    unit = 1.0 / float((1.0 / before).mean())
    scales = 1.0 / np.maximum((physics / before[:, None]).mean(axis=0), 1e-12)
    rows = np.array([_features(table, others, levels, shares, scales).sum(axis=0) for table in networks])
    rows += _fixed(others, levels, shares, rows.shape[1], unit)
    relative = rows[:, :-1] / rows[:, -1:]
    at = np.cumsum([len(others), len(CLASSES), physics.shape[1]])
    blocks = np.split(relative, at, axis=1)
    usual = np.log(list(_PRIOR.values()))
    prior = Prior(mean=usual, deviation=np.full(len(usual), _FIRM))
    with threadpool_limits(limits=1, user_api="blas"):
        fit = fit_linear(blocks, latency_ms / rows[:, -1], prior, spent=_SPENT)
    return TransferredOperators(
        others=tuple(others),
        levels=levels,
        shares=shares,
        scales=scales,
        fixed_unit_ms=unit,
        weights=fit.typical_ms * (fit.weights + np.eye(rows.shape[1])[-1]),
        root=fit.typical_ms * root_of(fit.covariance),
        noise=fit.noise,
        factor=fit.factor,
        manifest={"networks": len(networks), "others": len(others)},
    )


def _shares(logs: Floats) -> Floats:
    """What each device has of the average, (d,), by how well it times one number explains the networks: `logs` (n, d),
    logarithms of new over other latencies. The likelihood of each, its noise as it was (Bayesian model averaging)."""
    spread = np.maximum(logs.std(axis=0), _LEAST_SPREAD)
    likelihood = -(len(logs) - 1.0) * np.log(spread)
    found = np.exp(likelihood - likelihood.max())
    return np.asarray(found / found.sum())


def _features(
    table: OperatorTable, others: Sequence[OperatorModel], levels: Floats, shares: Floats, scales: Floats
) -> Floats:
    """Features of operators, shape (n, k + 1), in ms: each other device against their average, the average by class,
    physics, none for the fixed time, and the average itself."""
    costs = np.column_stack([model.costs(table)[0] for model in others]) * levels
    average = costs @ shares
    by_class = _classes(table) * average[:, None]
    against = (costs - average[:, None]) / np.sqrt(len(others))
    physics = _physics(table) * scales / np.sqrt(len(scales))
    return np.column_stack([against, by_class, physics, np.zeros(len(table)), average])


def _fixed(others: Sequence[OperatorModel], levels: Floats, shares: Floats, count: int, unit_ms: float) -> Floats:
    fixed = np.array([model.fixed_ms for model in others]) * levels
    found = np.zeros(count)
    found[: len(others)] = (fixed - fixed @ shares) / np.sqrt(len(others))
    found[-2:] = unit_ms, fixed @ shares
    return found


def _classes(table: OperatorTable) -> Floats:
    """One where an operator is of a class, shape (n, classes)."""
    dense, pointwise, depthwise = (
        np.isin(table.kind, kinds) for kinds in (("dense", "grp"), ("pw", "linear"), ("dw",))
    )
    return np.column_stack([dense, pointwise, depthwise, ~(dense | pointwise | depthwise)]).astype(np.float64)


def _physics(table: OperatorTable) -> Floats:
    """Multiply-adds of each class, elements read and written, weights and a count, shape (n, 7)."""
    moved = table.input_elements + table.output_elements
    return np.column_stack([_classes(table) * table.macs[:, None], moved, table.weight_elements, np.ones(len(table))])
