"""A latency of networks from few measurements: what operators cost on other devices, taken apart and put together anew.

    t(operator) = Σ_features weight · feature(operator),      y(network) = t₀ + Σ t(operator) + noise

Features (`nas.latency.transfer.features`) are the costs on each other device, brought to the new one's level; their
average by class of operator (dense, pointwise, depthwise, large depthwise, anything else: what a device is good or bad
at); and plain physics. Their weights are Gaussian before, and so are they after a few whole networks: the same
inference as for spaces of codes (`nas.latency.transfer.gaussian`). The likeliest are taken under which no operator that
was measured costs less than its floor: a floor that came only afterwards would raise the sums.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.latency.estimate import Source
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats
from nas.latency.transfer.features import (
    Costs,
    Frame,
    costs_of_networks,
    costs_of_operators,
    frame_of,
    owners,
    summed,
)
from nas.latency.transfer.gaussian import CONSTANT, Prior, fit_linear, most_informing, root_of, with_floor

SCHEMA = 1
FORM = "transferred"
LEAST_NETWORKS = 3
_PRIOR: Mapping[str, float] = {"devices": 0.2, "classes": 0.2, "physics": 0.05, "fixed": 0.05, "noise": 0.05}
_FIRM = 0.7
_SPENT = 2
"""Numbers that the measurements give before: the level, and which of the other devices have a share."""
_LEAST_SPREAD = 0.02
_LEAST_SHARE = 0.1
"""No operator costs less than this part of what it does on the other devices, on average."""
_HEARD = 0.5
"""A device is asked what it doubts where its share is at least this part of the greatest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferredOperators:
    """What operators cost on a new device: `weights` (k + 1,) of the features in `frame`, and `root` (k + 1, r) of how
    unsure they are together; `others` are the d devices whose costs these are features of.

    Half of the 90 % interval of log latency is `factor` times the deviation of a network, `noise` included, and not
    below `least`.
    """

    others: tuple[OperatorModel, ...]
    frame: Frame
    weights: Floats
    root: Floats
    noise: float
    factor: float
    least: float = 0.0
    source: Source = "predicted"
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return max(float(self.frame.fixed(np.array([model.fixed_ms for model in self.others])) @ self.weights), 0.0)

    @property
    def num_features(self) -> int:
        """How many independent doubts there are about the weights."""
        return int(self.root.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """The other devices."""
        return tuple(map(device_of, self.others))

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """See `nas.latency.operator_model.OperatorModel`."""
        features = self.frame.additive(costs_of_operators(self.others, table))
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
        return np.asarray(np.hypot(np.maximum(self.factor * deviation, self.least), rows_ms / mean_ms))

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """What the models of the devices that it is most like doubt of this network."""
        heard = self.frame.shares >= _HEARD * self.frame.shares.max()
        asked = (model for model, is_heard in zip(self.others, heard, strict=True) if is_heard)
        return tuple(dict.fromkeys(text for model in asked for text in model.warnings(table)))

    def as_json(self) -> dict[str, Any]:
        """The numbers and texts that it is made of, the other devices' models with them; what
        `nas.latency.transfer.document.transferred_of_json` reads."""
        frame, coefficients, meaning = self.frame, {"fixed": self.fixed_ms}, {"fixed": "ms a network"}
        for name, level, share in zip(self.names, frame.levels.tolist(), frame.shares.tolist(), strict=True):
            coefficients |= {f"level of {name}": level, f"share of {name}": share}
            meaning |= {
                f"level of {name}": f"times of this device over times of {name}",
                f"share of {name}": f"what {name} has of the other devices' average",
            }
        return {
            "schema": SCHEMA,
            "form": FORM,
            "source": self.source,
            "coefficients": coefficients,
            "meaning": meaning,
            "others": [dict(model.as_json()) for model in self.others],
            "frame": {
                "levels": frame.levels.tolist(),
                "shares": frame.shares.tolist(),
                "scales": frame.scales.tolist(),
                "unit_ms": frame.unit_ms,
            },
            "weights": self.weights.tolist(),
            "root": self.root.tolist(),
            "interval": {"noise": self.noise, "factor": self.factor, "least": self.least},
            "manifest": dict(self.manifest),
        }

    def to_json(self) -> str:
        """The document as text; the same model gives the same text."""
        return json.dumps(self.as_json(), ensure_ascii=False, allow_nan=False) + "\n"


def device_of(model: OperatorModel) -> str:
    """The device that a model of operators is of, as its manifest says it."""
    return str(model.manifest.get("device", "a device without a name"))


def fit_networks_of(
    others: Sequence[OperatorModel],
    networks: Sequence[OperatorTable],
    latency_ms: Floats,
    *,
    source: Source = "predicted",
    least: float = 0.0,
    manifest: Mapping[str, Any] | None = None,
) -> TransferredOperators:
    """What operators cost on a device that took `latency_ms` (n,) for whole `networks`, given what they cost on others.

    `source` says what the latencies are, `least` is that of `TransferredOperators`; `manifest` joins what is said here
    of networks and devices. Raises `InputError` without another device.
    """
    each = costs_of_operators(_some(others), OperatorTable.concatenate(networks))
    with threadpool_limits(limits=1, user_api="blas"):
        fitted = _fit(summed(each, owners(networks)), each, latency_ms)
    told = {"networks": len(networks), "others": [device_of(model) for model in others]}
    return TransferredOperators(
        others=tuple(others), least=least, source=source, manifest=told | dict(manifest or {}), **fitted
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Networks, each predicted by a fit without it; arrays (n,): `ours` is log(predicted / true), `half_width` that of
    the log interval; `scaled` is the error of the other device that explains the rest best, times one number."""

    ours: Floats
    half_width: Floats
    scaled: Floats

    @property
    def inside(self) -> float:
        """The share of networks in their 90 % intervals."""
        return float((np.abs(self.ours) <= self.half_width).mean())

    def as_json(self) -> dict[str, dict[str, float]]:
        """Median and mean of |predicted / true - 1|, of both."""
        errors = {"ours": np.abs(np.expm1(self.ours)), "scaled": np.abs(np.expm1(self.scaled))}
        return {
            name: {"median": round(float(np.median(off)), 6), "mean": round(float(off.mean()), 6)}
            for name, off in errors.items()
        }


def leave_out(
    others: Sequence[OperatorModel],
    networks: Sequence[OperatorTable],
    latency_ms: Floats,
    *,
    group: NDArray[np.int64] | None = None,
    least: float = 0.0,
) -> LeftOut:
    """Fit without each network in turn, or without each `group` (n,) of networks, and predict what was left out.

    Raises `InputError` for fewer than `LEAST_NETWORKS` + 1.
    """
    if len(networks) <= LEAST_NETWORKS:
        raise InputError(
            f"networks can be left out of a fit to at least {LEAST_NETWORKS + 1}, but there are {len(networks)}."
        )
    each, of = costs_of_operators(_some(others), OperatorTable.concatenate(networks)), owners(networks)
    costs = summed(each, of)
    owner = np.arange(len(networks)) if group is None else group
    ours, half, scaled = np.zeros((3, len(networks)))
    with threadpool_limits(limits=1, user_api="blas"):
        for number in np.unique(owner):
            out = owner == number
            fitted = _fit(costs.select(~out), each.select(~out[of]), latency_ms[~out])
            model = TransferredOperators(others=tuple(others), least=least, **fitted)
            features = model.frame.networks(costs.select(out))
            mean = np.maximum(features @ model.weights, _LEAST_SHARE * features[:, -1])
            ours[out] = np.log(mean / latency_ms[out])
            half[out] = model.half_width(mean, features @ model.root, np.zeros(int(out.sum())))
            logs = np.log(latency_ms[:, None] / costs.elsewhere)
            best = int(logs[~out].std(axis=0).argmin())
            scaled[out] = logs[~out, best].mean() - logs[out, best]
    return LeftOut(ours=ours, half_width=half, scaled=scaled)


def telling(
    others: Sequence[OperatorModel], networks: Sequence[OperatorTable], turns: Sequence[NDArray[np.bool_]]
) -> list[int]:
    """Positions of those networks that leave the latencies of all of them least unsure, on a device of which nothing
    was measured yet; the i-th is one of those where `turns[i]` (n,) is true."""
    costs = costs_of_networks(_some(others), networks)
    levels = np.exp(-np.log(costs.elsewhere).mean(axis=0))
    frame = frame_of(costs, levels, np.full(len(levels), 1.0 / len(levels)))
    rows = frame.networks(costs)
    *amplitudes, noise = _PRIOR.values()
    deviations = np.repeat(amplitudes, frame.sizes)
    with threadpool_limits(limits=1, user_api="blas"):
        relative = np.column_stack([rows[:, :-1] / rows[:, -1:] * deviations, np.full(len(rows), CONSTANT)])
        return most_informing(relative, relative, noise, turns)


def _some(others: Sequence[OperatorModel]) -> Sequence[OperatorModel]:
    if not others:
        raise InputError(
            "a latency from few networks needs at least one other device with operator costs, but got none; give"
            " devices=[nas.load_latency(NAME)]."
        )
    return others


def _fit(costs: Costs, each: Costs, latency_ms: Floats) -> dict[str, Any]:
    """`frame`, `weights`, `root`, `noise` and `factor` of `TransferredOperators`, of networks' costs and of those of
    each operator in them."""
    logs = np.log(latency_ms[:, None] / costs.elsewhere)
    frame = frame_of(costs, np.exp(logs.mean(axis=0)), _shares(logs))
    rows = frame.networks(costs)
    blocks = np.split(rows[:, :-1] / rows[:, -1:], np.cumsum(frame.sizes)[:-1], axis=1)
    usual = np.log(list(_PRIOR.values()))
    prior = Prior(mean=usual, deviation=np.full(len(usual), _FIRM))
    fit = fit_linear(blocks, latency_ms / rows[:, -1], prior, spent=_SPENT)
    weights, root = fit.typical_ms * (fit.weights + np.eye(rows.shape[1])[-1]), fit.typical_ms * root_of(fit.covariance)
    return {
        "frame": frame,
        "weights": with_floor(weights, root, *_floors(frame, each)),
        "root": np.ascontiguousarray(root),  # As a document that is read gives it: the same products to the bit.
        "noise": fit.noise,
        "factor": fit.factor,
    }


def _floors(frame: Frame, each: Costs) -> tuple[Floats, Floats]:
    """What no weights may undercut: `_LEAST_SHARE` of the average for each of the operators that cost anything
    elsewhere, and 0 for the fixed time; as rows (m, k + 1) and the least they give (m,)."""
    rows = frame.additive(each)
    rows = rows[rows[:, -1] > 0.0]
    rows = np.unique(rows / rows[:, -1:], axis=0)
    return np.vstack([rows, frame.fixed(each.fixed) / frame.unit_ms]), np.append(np.full(len(rows), _LEAST_SHARE), 0.0)


def _shares(logs: Floats) -> Floats:
    """What each device has of the average, (d,), by how well it times one number explains the networks: `logs` (n, d),
    logarithms of new over other latencies. The likelihood of each, its noise as it was (Bayesian model averaging)."""
    spread = np.maximum(logs.std(axis=0), _LEAST_SPREAD)
    likelihood = -(len(logs) - 1.0) * np.log(spread)
    found = np.exp(likelihood - likelihood.max())
    return np.asarray(found / found.sum())
