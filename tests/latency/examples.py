"""Operator rows, models and rows of published networks for the tests of this folder."""

from __future__ import annotations

import numpy as np

from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel
from nas.latency.published.fit import Workload
from nas.latency.published.rows import Calibration, PublishedRow

KINDS = (
    "dense", "grp", "dw", "pw", "lin", "mm", "act:relu", "act:relu6", "act:prelu", "act:leaky_relu", "act:gelu",
    "act:silu", "act:hswish", "act:sigmoid", "act:hsigmoid", "act:tanh", "act:pow", "gap", "pool", "add", "mul",
    "se_mul", "scale", "cat", "layout", "norm", "softmax", "resize", "other:Foo",
)  # fmt: skip


def row(
    kind: str, *, channels: int = 8, side: int = 4, kernel: int = 1, weights: int = 0, macs: int = 0
) -> tuple[str | float, ...]:
    """An operator from a map to one of its size."""
    size = channels * side * side
    return (kind, kernel, 1, 1, channels if weights else 0, channels, side, side, macs, size, size, weights)


def pointwise(inputs: int, out: int, side: int) -> tuple[str | float, ...]:
    """A 1x1 convolution."""
    area = side * side
    return ("pw", 1, 1, 1, inputs, out, side, side, inputs * out * area, inputs * area, out * area, inputs * out)


def classifier(inputs: int, out: int = 1000) -> tuple[str | float, ...]:
    """A linear layer on a vector."""
    return ("lin", 1, 1, 1, inputs, out, 1, 1, inputs * out, inputs, out, inputs * out)


def table(*rows: tuple[str | float, ...]) -> OperatorTable:
    """A table of rows."""
    return OperatorTable.from_rows(rows)


def model(**values: float) -> CostModel:
    """A model at the centres of the priors, but for `values`."""
    return CostModel(values=np.array([values.get(name, COEFFICIENTS[name].prior) for name in NAMES]))


def networks(count: int, rng: np.random.Generator) -> list[OperatorTable]:
    """Plain convolutional networks of different width, depth and classifier."""
    found = []
    for _ in range(count):
        width, depth = int(rng.integers(8, 64)) * 8, int(rng.integers(4, 20))
        side = int(rng.choice([7, 14, 28, 56]))
        body = [
            op
            for _ in range(depth)
            for op in (pointwise(width, width, side), row("act:relu", channels=width, side=side))
        ]
        found.append(table(*body, classifier(int(rng.integers(16, 160)) * 8)))
    return found


def calibration(count: int, truth: CostModel, *, noise: float, seed: int = 0) -> Calibration:
    """Rows of `count` networks timed by two sources with the latencies of `truth`, with log-normal errors."""
    rng = np.random.default_rng(seed)
    tables = {f"n{i}": operators for i, operators in enumerate(networks(count, rng))}
    exact = Workload.of(list(tables.values())).network_ms(truth)
    rows = [
        PublishedRow(
            network=name, family=f"f{i % 4}", resolution=224, head="yes", scope="convolutional",
            latency_ms=float(ms * np.exp(rng.normal(0.0, noise))), rounding_ms=1e-4, protocol="AB"[i % 2],
            source="here", date="2024",
        )
        for i, (name, ms) in enumerate(zip(tables, exact, strict=True))
    ]  # fmt: skip
    return Calibration(rows=rows, tables=tables)
