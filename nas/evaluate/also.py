"""Further devices, whose own targets an answer must meet as well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.evaluate.limits import Limits
from nas.latency.model import LatencyModel
from nas.runtimes import Runtime
from nas.space.compile.batch import LayerBatch

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Also:
    """A further device: its latency model, and the target in milliseconds that must be met on it.

    `InputError` for a target that is not positive and finite.
    """

    latency: LatencyModel
    target_ms: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_ms) and self.target_ms > 0):
            raise InputError(
                f"the target on {self.device} must be positive and finite, but got target_ms={self.target_ms}."
            )

    @property
    def device(self) -> str:
        """The device's name."""
        return self.latency.device.name

    def columns(self, limits: Limits) -> tuple[str, ...]:
        """The names of its additive columns: milliseconds; where `limits` ask for a confidence the features of
        `LatencyModel.bounds`; and where the device has a table alone how many segments have no latency."""
        features = () if limits.confidence is None else range(self.latency.num_features)
        names = ("ms", *(f"latency {i}" for i in features))
        return names if self.latency.operators is not None else (*names, "uncovered")

    def costs(self, batch: LayerBatch, limits: Limits) -> Floats:
        """The columns of a batch of layers that was lowered for the device, shape (layers, columns)."""
        keys = batch.keys or [""] * len(batch.params)
        costs = self.latency.packed_costs(keys, batch.operators, batch.owner)
        parts = [costs.mean_ms[:, None]]
        if limits.confidence is not None:
            parts.append(costs.features)
        if self.latency.operators is None:
            parts.append(np.where(self.latency.covers(keys), 0.0, 1.0)[:, None])
        return np.concatenate(parts, axis=1)

    def bounded_ms(self, sums: Floats, limits: Limits, *, large: NDArray[np.bool_]) -> Floats:
        """The latency that must meet the target, as `Figures.bounded_ms`: by the sums of `columns` (n, columns)."""
        mean_ms = self.latency.fixed_ms + sums[:, 0]
        if limits.confidence is None:
            return mean_ms
        high_ms = self.latency.bounds(mean_ms, sums[:, 1 : 1 + self.latency.num_features], large=large)[1]
        return limits.bounded_ms(mean_ms, high_ms)

    def uncovered(self, sums: Floats) -> Floats:
        """How many segments have no latency there, shape (n,)."""
        return sums[:, -1] if self.latency.operators is None else np.zeros(len(sums))


Targets = Mapping[LatencyModel, float] | Sequence[tuple[LatencyModel, float]]
"""Further devices as a caller names them: latency models with their targets in milliseconds."""


def further(targets: Targets, main: LatencyModel) -> tuple[Also, ...]:
    """The further devices beside that of `main`; `InputError` where one is named twice."""
    pairs = list(targets.items()) if isinstance(targets, Mapping) else list(targets)
    found = tuple(Also(latency=latency, target_ms=float(target_ms)) for latency, target_ms in pairs)
    seen = {main.device.name}
    for one in found:
        if one.device in seen:
            raise InputError(f"each device must have one target, but {one.device} has two; leave one of them out.")
        seen.add(one.device)
    return found


def by_runtime(devices: Sequence[Also]) -> dict[Runtime, list[int]]:
    """The positions of the devices of each runtime: these execute the same operators."""
    found: dict[Runtime, list[int]] = {}
    for position, one in enumerate(devices):
        found.setdefault(one.latency.runtime, []).append(position)
    return found
