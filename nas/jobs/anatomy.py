"""Where a network's time goes: by layer and by kind of operator, as the page of a result shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.graph import OperatorTable
from nas.graph.rows import Shape
from nas.graph.words import kind_words
from nas.latency import LatencyModel
from nas.latency.estimate import SOURCES, Source
from nas.latency.model import HasSegments, SegmentCosts
from nas.space import Architecture
from nas.space.architecture import build_layer

SCHEMA = 1
"""The version of the document of an anatomy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """A layer: the shape of its output, its learned numbers and multiply-adds, its milliseconds and their source."""

    output: Shape
    params: int
    macs: int
    ms: float
    source: Source

    def as_json(self) -> dict[str, Any]:
        """The record of the contract."""
        return {
            "output": list(self.output),
            "params": self.params,
            "macs": self.macs,
            "ms": self.ms,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The parts of a latency in milliseconds: `fixed_ms` once a run, the layers in order, and the same by kind of
    operator (in words), the slowest first. Either of the two sums up to the network's mean without `fixed_ms`."""

    fixed_ms: float
    layers: tuple[LayerTime, ...]
    kinds: tuple[tuple[str, float], ...]

    def as_json(self) -> dict[str, Any]:
        """The record "anatomy" of a NETWORK of the contract."""
        return {
            "schema": SCHEMA,
            "fixed_ms": self.fixed_ms,
            "layers": [layer.as_json() for layer in self.layers],
            "kinds": [{"kind": kind, "ms": ms} for kind, ms in self.kinds],
        }


def anatomy(network: Architecture, latency: LatencyModel) -> Anatomy:
    """The anatomy of a network that has a latency by the model.

    A layer with a row of the table has no times of its operators: they share the row as the device's costs of operators
    price them, or by their multiply-adds on a device that has rows alone.
    """
    segments = latency.segments(network)
    costs = latency.segment_costs([one.key for one in segments], [one.operators for one in segments])
    own = network.segments()
    places = zip(network.layers, network.layer_inputs(), strict=True)
    outputs = [build_layer(layer, shape, network.num_classes).output for layer, shape in places]
    layers = tuple(
        LayerTime(
            output=outputs[i],
            params=own[i].params,
            macs=own[i].macs,
            ms=float(costs.mean_ms[i]),
            source=SOURCES[int(costs.source[i])],
        )
        for i in range(len(own))
    )
    return Anatomy(fixed_ms=latency.fixed_ms, layers=layers, kinds=_kinds(latency, segments, costs))


def _kinds(
    latency: LatencyModel, segments: Sequence[HasSegments], costs: SegmentCosts
) -> tuple[tuple[str, float], ...]:
    tables = [one.operators for one in segments]
    operators = OperatorTable.concatenate(tables)
    owner = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    weights = operators.macs if latency.operators is None else latency.operators.costs(operators)[0]
    totals = np.bincount(owner, weights, len(tables))
    counts = np.bincount(owner, minlength=len(tables))
    # Operators of which nothing is known but that they are there share a layer evenly.
    shares = np.where(totals[owner] > 0.0, weights / np.where(totals > 0.0, totals, 1.0)[owner], 1.0 / counts[owner])
    found: dict[str, float] = {}
    for kind, ms in zip(operators.kind.tolist(), (shares * costs.mean_ms[owner]).tolist(), strict=True):
        words = kind_words(kind)
        found[words] = found.get(words, 0.0) + ms
    times = [(words, ms) for words, ms in found.items() if ms > 0.0]
    return tuple(sorted(times, key=lambda one: -one[1]))
