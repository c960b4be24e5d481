"""A latency model at the speed that a device has at some time, rather than at the one that its table is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy import bool_
from numpy.typing import NDArray

from nas.graph.operators import OperatorTable
from nas.latency.day import HALF
from nas.latency.estimate import Estimate, Source
from nas.latency.model import LatencyModel
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats


def at_table_speed(model: LatencyModel) -> LatencyModel:
    """`model` for what is measured at the very speed that it is for, or brought to that: its intervals hold nothing of
    how far the device's speed strays."""
    return replace(model, level_sd=0.0)


def without_days(estimate: Estimate, model: LatencyModel) -> Estimate:
    """An estimate of `model` as `at_table_speed` gives it."""
    half = math.log(estimate.high_ms / estimate.mean_ms)
    spread = math.exp(math.sqrt(max(half**2 - (HALF * model.level_sd) ** 2, 0.0)))
    return replace(estimate, low_ms=estimate.mean_ms / spread, high_ms=estimate.mean_ms * spread)


def at_level(model: LatencyModel, level: float, deviation: float = 0.0) -> LatencyModel:
    """`model` of a device on which everything takes `level` times as long, a figure whose logarithm has that
    `deviation`: intervals hold it in the place of what days are apart."""
    rows = {
        key: replace(row, mean_ms=level * row.mean_ms, low_ms=level * row.low_ms, high_ms=level * row.high_ms)
        for key, row in model.rows.items()
    }
    operators = None if model.operators is None else _Slowed(model=model.operators, level=level)
    return replace(model, rows=rows, operators=operators, level_sd=deviation)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slowed:
    """A model of operators (`OperatorModel`), all of whose times are `level` times as long."""

    model: OperatorModel
    level: float

    @property
    def source(self) -> Source:
        return self.model.source

    @property
    def fixed_ms(self) -> float:
        return self.level * self.model.fixed_ms

    @property
    def num_features(self) -> int:
        return self.model.num_features

    @property
    def manifest(self) -> Mapping[str, Any]:
        return {**self.model.manifest, "level": self.level}

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        each, features = self.model.costs(table)
        return self.level * each, features

    def half_width(
        self,
        mean_ms: Floats,
        sums: Floats,
        rows_ms: Floats,
        *,
        large: NDArray[bool_] | bool = False,
        whole: bool = True,
    ) -> Floats:
        """The model's own, of the times as they were."""
        return self.model.half_width(mean_ms / self.level, sums, rows_ms / self.level, large=large, whole=whole)

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        return self.model.warnings(table)

    def as_json(self) -> dict[str, Any]:
        return {**self.model.as_json(), "level": self.level}
