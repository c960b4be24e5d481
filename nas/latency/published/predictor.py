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
from nas.latency.published.blend import Blend, Costs
from nas.latency.published.calibrate import CONFLICTING, SIMPLE, Calibrated
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel, Floats
from nas.latency.published.counts import COUNTS, MEANINGS, CountsModel
from nas.latency.published.simple import MEANINGS as SIMPLE_MEANINGS
from nas.latency.published.simple import SimpleModel
from nas.latency.published.warnings import warnings_of

SCHEMA = 1
_BLIND = "which know nothing of kernels, activations and kinds of layers: a search may abuse that"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPredictor:
    """Latency of operators: a fixed time and a sum, with what the interval needs, all additive.

    `root`, shape (len(model.names), k), turns derivatives by the logarithms of the coefficients into k independent
    deviations, of half the width of a 90 % interval each.
    """

    source: ClassVar[Source] = "modelled"

    model: Costs
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
        each, gradient = self.model.with_gradient(table)
        return each, np.asarray(gradient @ self.root)

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
        fixed = self.model.fixed_gradient @ self.root if whole else 0.0
        own = np.hypot(self.floor, np.linalg.norm(sums + fixed, axis=1) / mean_ms)
        own = np.where(large, np.maximum(own, self.beyond), own)
        return np.asarray(np.hypot(rows_ms / mean_ms, own))

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """See `nas.latency.published.warnings.warnings_of`."""
        found = warnings_of(table, self.model, self.manifest.get("kinds", ()))
        linear = self.model.second if isinstance(self.model, Blend) else self.model
        share = f"{1.0 - _roofline_share(self.model):.0%} of the time is by"
        if isinstance(linear, SimpleModel):
            return (f"{share} {SIMPLE} alone, {_BLIND}", *found)
        if isinstance(linear, CountsModel) and not linear.knows_activations:
            return (f"{share} counts that know nothing of activations: a search may abuse that", *found)
        return found

    def as_json(self) -> dict[str, Any]:
        """The document that `predictor_of_json` reads."""
        meaning = {**{name: one.meaning for name, one in COEFFICIENTS.items()}, **MEANINGS}
        share = _roofline_share(self.model)
        return {
            "schema": SCHEMA,
            **({} if share == 1.0 else {"roofline_share": share}),
            "coefficients": dict(zip(self.model.names, self.model.values.tolist(), strict=True)),
            "meaning": {name: meaning[name] for name in self.model.names},
            "interval": {"floor": self.floor, "beyond": self.beyond, "root": self.root.tolist()},
            "manifest": dict(self.manifest),
        }

    def to_json(self) -> str:
        """The document as text; the same predictor gives the same text."""
        return json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def make_predictor(found: Calibrated, manifest: Mapping[str, Any]) -> OperatorPredictor:
    """The predictor of a calibrated fit."""
    conflict = np.array([[found.spread.conflict if name in CONFLICTING else 0.0] for name in found.fit.model.names])
    values, vectors = np.linalg.eigh(found.fit.covariance)
    return OperatorPredictor(
        model=found.fit.model,
        root=np.column_stack((found.spread.factor * vectors * np.sqrt(np.maximum(values, 0.0)), conflict)),
        floor=found.spread.floor,
        beyond=found.spread.beyond,
        manifest=manifest,
    )


def predictor_of_json(record: Any, path: Path) -> OperatorPredictor:
    """The predictor of a document written by `OperatorPredictor.as_json`; anything else is an `InputError` naming
    `path`."""
    try:
        if record["schema"] != SCHEMA:
            raise InputError(f"{path}: schema must be {SCHEMA}, but got {record['schema']!r}; fit it again.")
        share = float(record.get("roofline_share", 1.0))
        model = _model(record["coefficients"], share)
        interval = record["interval"]
        root = np.array(interval["root"], dtype=np.float64)
        floor, beyond = float(interval["floor"]), float(interval["beyond"])
        manifest = dict(record["manifest"])
        kinds = manifest.get("kinds", ())
        if not isinstance(kinds, list | tuple) or not all(isinstance(kind, str) for kind in kinds):
            raise TypeError("manifest.kinds must be a list of names")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} must be a coefficients file written by `nas lut fit`, but: {type(error).__name__}: {error};"
            " restore it, or fit it again."
        ) from error
    fits = root.ndim == 2 and len(root) == len(model.names) and bool(np.isfinite(root).all())
    finite = bool((model.values >= 0).all() and np.isfinite(model.values).all())
    # A roofline divides by its rates and takes logarithms; MACs or parameters may cost nothing.
    positive = finite and bool((model.values[: len(NAMES)] > 0).all() if share else model.values.any())
    if not (fits and positive and 0.0 <= share <= 1.0 and 0 < floor < 10 and 0 < beyond < 10):
        raise InputError(f"{path}: coefficients must be positive and finite with a matching interval; fit it again.")
    return OperatorPredictor(model=model, root=root, floor=floor, beyond=beyond, manifest=manifest)


def _roofline_share(model: Costs) -> float:
    """How much of the latency a roofline says."""
    if isinstance(model, Blend):
        return model.share
    return 1.0 if isinstance(model, CostModel) else 0.0


def _model(coefficients: Mapping[str, Any], share: float) -> Costs:
    """The model whose coefficients these are, `share` of it a roofline."""
    roofline = CostModel(values=np.array([float(coefficients[name]) for name in NAMES])) if share else None
    if roofline and share == 1.0:
        return roofline
    counted = any(name in coefficients for name in COUNTS)
    values = np.array([float(coefficients[name]) for name in (MEANINGS if counted else SIMPLE_MEANINGS)])
    linear = CountsModel(values=values) if counted else SimpleModel(values=values)
    return Blend(first=roofline, second=linear, share=share) if roofline else linear
