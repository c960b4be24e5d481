"""Latency of operators that were timed inside whole networks: a non-negative roofline and a learned residual.

    t(operator) = terms(operator) · roofline(group) · (1 + g(operator)),     g ~ Gaussian process for each group

g is written in the basis of its centres, so a prediction is one product of matrices; its variance is the prior's, less
what the timed networks tell. Everything is a sum over operators. The interval of a network is its mean times exp(±h):
h² is a floor, what networks left out of the fit stray by where all their segments have rows of the table, and the
square of `factor` times what is unsure about the other operators: fully correlated within a group, independent
between groups (`operator_shapes.groups`). What was never timed is a guess, and widens the interval as one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.graph.words import kinds_words
from nas.latency.estimate import Source
from nas.latency.published.cost_model import Floats
from nas.latency.timed.operator_shapes import (
    NUM_COORDINATES,
    NUM_TERMS,
    TERMS,
    coordinates,
    distinct,
    group_numbers,
    roofline_terms,
)

SCHEMA, _WITHOUT_STALLS = 5, 4
FORM = "regression"
_LEAST_SHARE = 0.2
"""No operator costs less than this part of its roofline."""
_UNSEEN = 0.25
"""Variance of the logarithm of what an operator of a kind that was never timed costs."""
_HALF = 1.645
"""Half of a normal distribution's 90 % interval, in its deviations."""
_UNKNOWN_SHARE = 0.03


def kernel(first: Floats, second: Floats, scale: float, length: float) -> Floats:
    """The prior covariance of g between points (n, d) and (m, d), shape (n, m): smooth, and a constant of the group."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :] - 2.0 * first @ second.T
    return np.asarray(scale**2 * (np.exp(-0.5 * np.maximum(squares, 0.0) / length**2) + CONSTANT_SHARE))


CONSTANT_SHARE = 0.5
"""Variance of a group's constant against that of its smooth part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResidual:
    """g of one group: `centres` (m, d), `weights` (m,) so that g = kernel · weights, and `certainty` (m, r), whose
    squared projections are the variance that the timings took away."""

    centres: Floats
    weights: Floats
    certainty: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRegressor:
    """The fitted model; `groups` are those of the timed networks, `roofline` has shape (groups + 1, NUM_TERMS), in ms a
    term; its last row is for operators of other kinds."""

    source: ClassVar[Source] = "predicted"

    fixed_ms: float
    groups: tuple[str, ...]
    roofline: Floats
    residuals: Mapping[str, GroupResidual]
    scale: float
    length: float
    floor: float
    factor: float
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_features(self) -> int:
        """One uncertainty a group, and one for kinds without timings."""
        return len(self.groups) + 1

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """Milliseconds of each operator, shape (n,), and its standard deviation in ms in the column of its group, shape
        (n, num_features); see `nas.latency.operator_model.OperatorModel`."""
        first, inverse = distinct(table)
        found = table.select(first)
        group, points = group_numbers(found, self.groups), coordinates(found)
        prior = self.scale**2 * (1.0 + CONSTANT_SHARE)
        share, variance = np.ones(len(found)), np.full(len(found), _UNSEEN)
        for rows, residual in self._by_group(group):
            near = kernel(points[rows], residual.centres, self.scale, self.length)
            share[rows] += near @ residual.weights
            variance[rows] = np.maximum(prior - ((near @ residual.certainty) ** 2).sum(axis=1), 0.0)
        roofline = (roofline_terms(found) * self.roofline[group]).sum(axis=1)
        features = np.zeros((len(found), self.num_features))
        features[np.arange(len(found)), group] = np.sqrt(variance) * roofline
        return np.asarray((roofline * np.maximum(share, _LEAST_SHARE))[inverse]), features[inverse]

    def _by_group(self, group: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], GroupResidual]]:
        found = []
        for position, name in enumerate(self.groups):
            rows = np.flatnonzero(group == position)
            if len(rows) and name in self.residuals:
                found.append((rows, self.residuals[name]))
        return found

    def half_width(
        self,
        mean_ms: Floats,
        sums: Floats,
        rows_ms: Floats,
        *,
        large: NDArray[np.bool_] | bool = False,
        whole: bool = True,
    ) -> Floats:
        """See `nas.latency.operator_model.OperatorModel`. Only `mean_ms` and `sums` change it: the floor is what rows
        stray by together, inputs of all sizes were timed, and the fixed time is as sure as the rows."""
        scale = np.append(np.full(len(self.groups), self.factor), _HALF)
        return np.asarray(np.hypot(self.floor, np.linalg.norm(sums * scale, axis=1) / mean_ms))

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """A sentence where much of the time is in operators of kinds that were never timed."""
        cost, _ = self.costs(table)
        unknown = group_numbers(table, self.groups) < 0
        share = float(cost[unknown].sum() / (self.fixed_ms + cost.sum()))
        if share < _UNKNOWN_SHARE and not any(kind.startswith("other:") for kind in table.kind[unknown]):
            return ()
        names = kinds_words(table.kind[unknown].tolist())
        return (f"{share:.0%} of the time is in {names}, which no timed network has: a guess",)

    def as_json(self) -> dict[str, Any]:
        """The document that `regressor_of_json` reads."""
        names = (*self.groups, "any other")
        return {
            "schema": SCHEMA,
            "form": FORM,
            "coefficients": {
                f"{name}.{term}": float(self.roofline[i, j])
                for i, name in enumerate(names)
                for j, term in enumerate(TERMS)
            }
            | {"fixed": self.fixed_ms},
            "meaning": {
                f"{name}.{term}": meaning for name in names for term, meaning in zip(TERMS, _MEANINGS, strict=True)
            }
            | {"fixed": "ms a network"},
            "groups": list(self.groups),
            "roofline": self.roofline.tolist(),
            "residual": {"scale": self.scale, "length": self.length, "groups": _residual_lists(self.residuals)},
            "interval": {"floor": self.floor, "factor": self.factor},
            "manifest": dict(self.manifest),
        }

    def to_json(self) -> str:
        """The document as text; the same model gives the same text."""
        return json.dumps(self.as_json(), ensure_ascii=False, allow_nan=False) + "\n"


_MEANINGS = (
    "ms a 10^9 multiply-adds, whole blocks of channels",
    "ms a 10^6 elements read",
    "ms a 10^6 elements written",
    "ms a 10^6 weights",
    "ms a 10^3 operators",
    "ms a 10^9 multiply-adds for which there was time while others waited",
)


def _residual_lists(residuals: Mapping[str, GroupResidual]) -> dict[str, Any]:
    def rounded(values: Floats) -> Any:
        return np.round(values, 9).tolist()

    return {
        name: {"centres": rounded(r.centres), "weights": rounded(r.weights), "certainty": rounded(r.certainty)}
        for name, r in residuals.items()
    }


def regressor_of_json(record: Mapping[str, Any], path: Path) -> OperatorRegressor:
    """The model of a document written by `OperatorRegressor.as_json`.

    Raises `InputError` naming `path` for anything else.
    """
    try:
        if record["schema"] not in (SCHEMA, _WITHOUT_STALLS):
            raise InputError(f"{path}: schema must be {SCHEMA}, but got {record['schema']!r}; build it again.")
        roofline = np.array(record["roofline"], dtype=np.float64)
        if record["schema"] == _WITHOUT_STALLS:
            roofline = np.pad(roofline, ((0, 0), (0, NUM_TERMS - roofline.shape[1])))
        residual, interval = record["residual"], record["interval"]
        found = OperatorRegressor(
            fixed_ms=float(record["coefficients"]["fixed"]),
            groups=tuple(str(name) for name in record["groups"]),
            roofline=roofline,
            residuals={str(name): _residual(value) for name, value in residual["groups"].items()},
            scale=float(residual["scale"]),
            length=float(residual["length"]),
            floor=float(interval["floor"]),
            factor=float(interval["factor"]),
            manifest=dict(record["manifest"]),
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} must be a coefficients file written by `nas lut build`, but: {type(error).__name__}: {error};"
            " restore it, or build it again."
        ) from error
    if not _sound(found):
        raise InputError(f"{path}: coefficients must be finite, fit together and never be negative; build it again.")
    return found


def _residual(record: Mapping[str, Any]) -> GroupResidual:
    return GroupResidual(**{
        name: np.array(record[name], dtype=np.float64) for name in ("centres", "weights", "certainty")
    })  # fmt: skip


def _sound(model: OperatorRegressor) -> bool:
    numbers: Sequence[float] = (model.fixed_ms, model.scale, model.length, model.floor, model.factor)
    roofline = model.roofline
    sound = all(np.isfinite(number) and number >= 0 for number in numbers) and model.length > 0 and model.floor < 10
    sound = sound and roofline.shape == (len(model.groups) + 1, NUM_TERMS) and bool(np.isfinite(roofline).all())
    sound = sound and bool((roofline >= 0).all() and (roofline.sum(axis=1) > 0).all())
    for residual in model.residuals.values():
        count = residual.weights.size
        shapes = residual.weights.shape == (count,) and residual.centres.shape == (count, NUM_COORDINATES)
        shapes = shapes and residual.certainty.ndim == 2 and len(residual.certainty) == count
        parts = (residual.centres, residual.weights, residual.certainty)
        sound = sound and shapes and all(bool(np.isfinite(part).all()) for part in parts)
    return sound
