"""Models that can be worked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

import nas
from nas.accuracy import AccuracyDifferences, AccuracyEstimate, AccuracyFigures
from nas.graph.operators import OperatorTable
from nas.latency import LatencyModel
from nas.latency.table.rows import TableRow
from nas.space import Architecture, known_network

Floats = NDArray[np.float64]


class HandAccuracy:
    """Accuracy by the multiply-adds alone: 0.9 − 50 / √MACs, ± 0.02, as if networks of 224 px were known."""

    columns = ("macs",)

    def operator_columns(self, table: OperatorTable, side: Floats, classifier: NDArray[np.bool_]) -> Floats:
        return np.asarray(table.macs[:, None], dtype=np.float64)

    def figures(
        self, sums: NDArray[np.floating], resolution: NDArray[np.floating], *, quick: bool = False
    ) -> AccuracyFigures:
        mean = 0.9 - 50.0 / np.sqrt(np.maximum(sums[:, 0].astype(np.float64), 1e4))
        return AccuracyFigures(
            mean=mean,
            low=mean - (0.021 if quick else 0.02),
            high=mean + 0.02,
            novelty=np.abs(np.asarray(resolution, dtype=np.float64) / 224.0 - 1.0),
            recipe="by hand",
            source="predicted",
        )

    def differences(self, sums: Floats, resolution: Floats) -> AccuracyDifferences:
        mean = self.figures(sums, resolution).mean
        gain = mean[1:] - mean[0]
        return AccuracyDifferences(mean=gain, low=gain - 0.001, high=gain + 0.001)

    def estimate(self, architectures: Sequence[Architecture]) -> list[AccuracyEstimate]:
        sums = np.array([[network.graph().macs] for network in architectures], dtype=np.float64)
        return self.figures(sums, np.array([network.side for network in architectures])).records()


def three_layers() -> Architecture:
    """A network of three segments: the stem, one block and the head of MobileNetV1."""
    whole = known_network("mobilenetv1-1.0")
    layers = (*whole.layers[:2], whole.layers[-1])
    return Architecture(name="three", family="three", resolution=whole.resolution, layers=layers)


def rows_for(network: Architecture, bounds: Mapping[int, tuple[float, float, float]]) -> dict[str, TableRow]:
    """Measured rows (low, mean, high in ms) for some segments of a network, by their number."""
    segments = network.graph().segments
    return {
        segments[i].key: TableRow(
            segment=segments[i].key,
            low_ms=low,
            mean_ms=mean,
            high_ms=high,
            count=5,
            source="measured",
            date="2026-01-01",
        )
        for i, (low, mean, high) in bounds.items()
    }


def mixed_latency(rows: dict[str, TableRow]) -> LatencyModel:
    """iphone12's operator costs, and these rows."""
    shipped = nas.load_latency("iphone12")
    return LatencyModel(device=shipped.device, rows=rows, operators=shipped.operators)
