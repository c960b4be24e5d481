"""The scores of a device's calibration: what `nas lut verify` prints, as arrays and as one record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.latency.published.calibrate import Calibrated, calibrate
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, Floats
from nas.latency.published.fit import Priors
from nas.latency.published.rows import Calibration
from nas.latency.published.validate import (
    HeldOut,
    Progress,
    baseline_errors,
    constant_log_widths,
    constant_ms_widths,
    hold_out,
    interval_scores_ms,
    relative,
)

NEURAL_ENGINE = "neural-engine"
"""In the place of priors: those of the cost model, which are Apple's Neural Engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a device is calibrated and scored.

    `priors` replace those of the cost model (None: the rows choose those of a kind of hardware); the families `aside`
    are scored beside the rest; the rows of `order_source` in the families `order_without` are predicted without these
    families, and again with the priors of the coefficients `order_vary` halved and doubled. Where there are
    `devices`, nothing of that is read: operators cost what they do on these, as few networks change it
    (`nas.latency.transfer`).
    """

    priors: Priors | None = None
    aside: tuple[str, ...] = ()
    order_source: str = ""
    order_without: tuple[str, ...] = ()
    order_vary: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


def read_plan(path: Path) -> Plan:
    """The plan in the YAML file at `path`, an empty one where there is none. Raises `InputError` for a bad file."""
    if not path.exists():
        return Plan()
    record = check_keys(read_yaml(path), ("priors", "aside", "order", "devices"), str(path))
    given = record.get("priors")
    priors = check_keys({} if given == NEURAL_ENGINE else given, NAMES, f"{path}: priors") if given else {}
    order = check_keys(record.get("order", {}), ("source", "without", "vary"), f"{path}: order")
    return Plan(
        priors={name: _prior(value, f"{path}: priors.{name}") for name, value in priors.items()} if given else None,
        aside=_names(record.get("aside", []), f"{path}: aside"),
        order_source=str(order.get("source", "")),
        order_without=_names(order.get("without", []), f"{path}: order.without"),
        order_vary=_names(order.get("vary", []), f"{path}: order.vary"),
        devices=_names(record.get("devices", []), f"{path}: devices"),
    )


def _prior(value: object, where: str) -> tuple[float, float]:
    numbers = [v for v in value if isinstance(v, int | float) and v > 0] if isinstance(value, list) else []
    if len(numbers) != 2 or not isinstance(value, list) or len(value) != 2:
        raise InputError(f"{where} must be a list of a centre and a deviation in logarithms, but got {value!r}.")
    return float(numbers[0]), float(numbers[1])


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{where} must be a list of names, but got {value!r}.")
    return tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Nested scores of a calibration; `order` holds the rows of the plan's walk, nan elsewhere, by how its priors are
    varied ("" for as they are)."""

    data: Calibration
    plan: Plan
    calibrated: Calibrated
    by_network: HeldOut
    by_family: HeldOut
    order: Mapping[str, HeldOut]

    @property
    def walk(self) -> NDArray[np.bool_]:
        """The rows of the plan's walk."""
        return _walk(self.data, self.plan)

    @property
    def main(self) -> NDArray[np.bool_]:
        """Scored rows without the families set aside."""
        return np.logical_and(self.data.scored, ~np.isin(self.data.family, self.plan.aside))


def verify(data: Calibration, plan: Plan, progress: Progress) -> Verification:
    """Run every score; `progress` is told of each calibration."""
    all_rows = np.ones(len(data.rows), dtype=np.bool_)
    families = np.unique(data.family, return_inverse=True)[1]
    walks = list(_varied(data, plan)) if _walk(data, plan).any() else []
    counts = [len(np.unique(data.identity[data.in_scope])), len(np.unique(families[data.in_scope])), len(walks)]
    total = sum(counts)
    by_network = hold_out(data, data.identity, lambda done, _: progress(done, total), only=data.in_scope)
    by_family = hold_out(data, families, lambda done, _: progress(counts[0] + done, total), only=data.in_scope)
    order: dict[str, HeldOut] = {}
    groups = np.isin(data.family, plan.order_without).astype(np.int64)
    for name, varied in walks:
        order[name] = hold_out(varied, groups, lambda _, __: None, only=groups == 1)
        progress(total - len(walks) + len(order), total)
    return Verification(
        data=data,
        plan=plan,
        calibrated=calibrate(data, all_rows),
        by_network=by_network,
        by_family=by_family,
        order=order,
    )


def _walk(data: Calibration, plan: Plan) -> NDArray[np.bool_]:
    of_source = np.array([row.source == plan.order_source for row in data.rows], dtype=np.bool_)
    return np.logical_and(of_source, np.isin(data.family, plan.order_without))


def _varied(data: Calibration, plan: Plan) -> Iterator[tuple[str, Calibration]]:
    """The calibration as it is, and with the priors halved and doubled that the plan says."""
    yield "", data
    for name in plan.order_vary:
        centre, log_sd = data.priors.get(name, (COEFFICIENTS[name].prior, COEFFICIENTS[name].log_sd))
        for factor in (0.5, 2.0):
            priors = {**data.priors, name: (factor * centre, log_sd)}
            yield f"prior of {name} x {factor:g}", replace(data, priors=priors)


def kendall_tau_b(x: Floats, y: Floats) -> float:
    """Kendall's rank correlation with ties counted (τ-b), of two sequences of one length (n,)."""
    dx, dy = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    return float((dx * dy).sum() / np.sqrt((dx**2).sum() * (dy**2).sum()))


def summary(found: Verification) -> dict[str, Any]:
    """All scores as one record; errors and coverages are fractions, interval scores are in ms."""
    data = found.data
    scored, main = data.scored, found.main
    aside = np.logical_and(scored, ~main)
    baseline = baseline_errors(data)
    record: dict[str, Any] = {
        "rows": {"calibrating": len(data.rows), "scored": int(scored.sum()), "networks": len(set(data.networks))},
        "network_out": {
            **_accuracy(found.by_network.error, scored),
            "with_source_offset": _accuracy(found.by_network.with_offset, scored),
            "forms": found.by_network.forms,
        },
        "family_out": {**_accuracy(found.by_family.error, main), "forms": found.by_family.forms},
        "macs_and_parameters": _accuracy(baseline, scored),
        "intervals": _intervals(found, baseline),
        "families": {
            family: {
                "rows": int((scored & (data.family == family)).sum()),
                "network_out": _accuracy(found.by_network.error, scored & (data.family == family)),
                "family_out": _accuracy(found.by_family.error, scored & (data.family == family)),
            }
            for family in dict.fromkeys(data.family[scored].tolist())
        },
    }
    if aside.any():
        record["aside"] = {"families": list(found.plan.aside), "family_out": _accuracy(found.by_family.error, aside)}
    if found.order:
        varied = {name: _order(found, held) for name, held in found.order.items()}
        record["order"] = varied.pop("")
        record["order"]["varied"] = {name: {k: part[k] for k in ("tau_b", "worst")} for name, part in varied.items()}
    return record


def _accuracy(error: Floats, rows: NDArray[np.bool_]) -> dict[str, float]:
    off = relative(error[rows])
    return {"median": float(np.median(off)), "mean": float(off.mean()), "worst": float(off.max())}


def _intervals(found: Verification, baseline: Floats) -> dict[str, Any]:
    """Coverage and interval score in scope, beside constant widths around our means and around the baseline's."""
    data = found.data
    printed, error, half = data.observations.latency_ms, found.by_network.error, found.by_network.half_width
    record: dict[str, Any] = {}
    for name, off, widths in (
        ("ours", error, half),
        ("constant_relative", error, constant_log_widths(data, error)),
        ("constant_ms", error, constant_ms_widths(data, error)),
        ("macs_and_parameters_relative", baseline, constant_log_widths(data, baseline)),
        ("macs_and_parameters_ms", baseline, constant_ms_widths(data, baseline)),
    ):
        mean = printed * np.exp(off)
        absolute = name.endswith("_ms")
        low, high = (mean - widths, mean + widths) if absolute else (mean * np.exp(-widths), mean * np.exp(widths))
        inside = ((low <= printed) & (printed <= high))[data.in_scope]
        score = interval_scores_ms(data, low, high)[data.in_scope]
        record[name] = {"coverage": float(inside.mean()), "score_ms": float(score.mean())}
    near_one = data.in_scope & (np.abs(error + data.log_latency) < np.log(1.1))
    record["rows"], record["median_half_width"] = int(data.in_scope.sum()), float(np.median(half[data.in_scope]))
    if near_one.any():
        record["half_width_near_1ms"] = float(np.median(half[near_one]))
    return record


def _order(found: Verification, order: HeldOut) -> dict[str, Any]:
    data, walk = found.data, found.walk
    steps: Sequence[int] = np.flatnonzero(walk).tolist()
    printed = data.observations.latency_ms
    predicted = printed * np.exp(order.error)
    return {
        "source": found.plan.order_source,
        "without": list(found.plan.order_without),
        "form": next(iter(order.forms)),
        "tau_b": kendall_tau_b(np.round(predicted[walk], 9), printed[walk]),
        "worst": float(relative(order.error[walk]).max()),
        "steps": [
            {"network": data.rows[i].network, "published_ms": float(printed[i]), "predicted_ms": float(predicted[i])}
            for i in steps
        ],
    }
