"""Further devices, whose own targets an answer must meet as well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.latency.model import LatencyModel, SegmentCosts
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

    @property
    def num_columns(self) -> int:
        """How many additive columns it has: milliseconds, and the features of `LatencyModel.bounds`."""
        return 1 + self.latency.num_features


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


def latency_columns(latency: LatencyModel, batch: LayerBatch) -> Floats:
    """Milliseconds and features of a batch of layers that was lowered for the device, shape (layers, 1 + features)."""
    keys = batch.keys or [""] * len(batch.params)
    costs: SegmentCosts = latency.packed_costs(keys, batch.operators, batch.owner)
    return np.concatenate((costs.mean_ms[:, None], costs.features), axis=1)
