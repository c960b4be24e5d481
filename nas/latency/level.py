"""A latency model at the speed that a device has at some time, rather than at the one that its table is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy import bool_
from numpy.typing import NDArray

from nas.graph.operators import OperatorTable
from nas.latency.estimate import Source
from nas.latency.model import LatencyModel
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats


def at_level(model: LatencyModel, level: float) -> LatencyModel:
    """`model` of a device on which everything takes `level` times as long; intervals keep their relative width."""
    rows = {
        key: replace(row, mean_ms=level * row.mean_ms, low_ms=level * row.low_ms, high_ms=level * row.high_ms)
        for key, row in model.rows.items()
    }
    operators = None if model.operators is None else _Slowed(model=model.operators, level=level)
    return replace(model, rows=rows, operators=operators)


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
