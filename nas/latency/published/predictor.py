"""A calibrated operator cost model with its interval, as a JSON file with a manifest.

The interval of a network is its mean times exp(±h). h² is the sum of the squares of a floor (what any published figure
strays by, sources included), and of what the coefficients' uncertainty means for this network, which grows with the
share of time in what the calibrating rows hardly identify, or contradict each other on. Above `MAX_PIXELS` the two make
at least `beyond`. All three are chosen on networks left out of fits (`nas.latency.published.calibrate`). The widths of
rows of the device's table, which know nothing of the model, join in squares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.latency.estimate import Source
from nas.latency.published.calibrate import CONFLICTING, Calibrated
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel, Floats
from nas.latency.published.warnings import warnings_of

SCHEMA = 1
_FIXED = NAMES.index("fixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPredictor:
    """Latency of operators: a fixed time and a sum, with what the interval needs, all additive.

    `root`, shape (len(NAMES), k), turns derivatives by the logarithms of the coefficients into k independent
    deviations, of half the width of a 90 % interval each.
    """

    source: ClassVar[Source] = "modelled"

    model: CostModel
    root: Floats
    floor: float
    beyond: float
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return self.model.fixed_ms

    @property
    def num_features(self) -> int:
        """The number of uncertainty features of an operator."""
        return int(self.root.shape[1])

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """See `nas.latency.operator_model.OperatorModel`."""
        return self.model.operator_ms(table), np.asarray(self.model.gradient_ms(table) @ self.root)

    def half_width(
        self,
        mean_ms: Floats,
        sums: Floats,
        rows_ms: Floats,
        *,
        large: NDArray[np.bool_] | bool = False,
        whole: bool = True,
    ) -> Floats:
        """See `nas.latency.operator_model.OperatorModel`."""
        fixed = self.fixed_ms * self.root[_FIXED] if whole else 0.0
        own = np.hypot(self.floor, np.linalg.norm(sums + fixed, axis=1) / mean_ms)
        own = np.where(large, np.maximum(own, self.beyond), own)
        return np.asarray(np.hypot(rows_ms / mean_ms, own))

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """See `nas.latency.published.warnings.warnings_of`."""
        return warnings_of(table, self.model, self.manifest.get("kinds", ()))

    def as_json(self) -> dict[str, Any]:
        """The document that `read_predictor` reads."""
        return {
            "schema": SCHEMA,
            "coefficients": {name: self.model.value(name) for name in NAMES},
            "meaning": {name: coefficient.meaning for name, coefficient in COEFFICIENTS.items()},
            "interval": {"floor": self.floor, "beyond": self.beyond, "root": self.root.tolist()},
            "manifest": dict(self.manifest),
        }

    def to_json(self) -> str:
        """The document as text; the same predictor gives the same text."""
        return json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def make_predictor(found: Calibrated, manifest: Mapping[str, Any]) -> OperatorPredictor:
    """The predictor of a calibrated fit."""
    conflict = np.zeros((len(NAMES), 1))
    conflict[[NAMES.index(name) for name in CONFLICTING]] = found.spread.conflict
    values, vectors = np.linalg.eigh(found.fit.covariance)
    return OperatorPredictor(
        model=found.fit.model,
        root=np.column_stack((found.spread.factor * vectors * np.sqrt(np.maximum(values, 0.0)), conflict)),
        floor=found.spread.floor,
        beyond=found.spread.beyond,
        manifest=manifest,
    )


def read_predictor(path: Path) -> OperatorPredictor:
    """The predictor written to `path`; anything else is an `InputError` naming the file."""
    try:
        record = json.loads(path.read_text("utf-8"))
        if record["schema"] != SCHEMA:
            raise InputError(f"{path}: schema must be {SCHEMA}, but got {record['schema']!r}; fit it again.")
        values = np.array([float(record["coefficients"][name]) for name in NAMES])
        interval = record["interval"]
        root = np.array(interval["root"], dtype=np.float64)
        floor, beyond = float(interval["floor"]), float(interval["beyond"])
        manifest = dict(record["manifest"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path} must be a coefficients file written by `nas lut fit`, but: {type(error).__name__}: {error}."
        ) from error
    fits = root.ndim == 2 and len(root) == len(NAMES) and bool(np.isfinite(root).all())
    positive = bool((values > 0).all() and np.isfinite(values).all()) and 0 < floor < 10 and 0 < beyond < 10
    if not (fits and positive):
        raise InputError(f"{path}: coefficients must be positive and finite with a matching interval; fit it again.")
    return OperatorPredictor(model=CostModel(values=values), root=root, floor=floor, beyond=beyond, manifest=manifest)
