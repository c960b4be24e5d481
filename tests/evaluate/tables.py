"""Devices that have a table of rows and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from nas.latency import LatencyModel
from nas.latency.table.rows import TableRow
from nas.runtimes import OWN, Runtime
from nas.space import Architecture, Codes
from nas.space.lowering import lower
from nas.space.search_space import SearchSpace
from tests.latency.test_model import DEVICE


def all_codes(space: SearchSpace) -> Codes:
    """All canonical codes of a small space."""
    codes = np.array(list(itertools.product(*(range(n) for n in space.cardinalities))))
    return np.unique(space.canonical(codes), axis=0)


def keys_of(networks: Iterable[Architecture]) -> list[str]:
    """The different layers of networks, in the order of their texts."""
    return sorted({segment.key for network in networks for segment in network.segments()})


def rows_alone(times_ms: dict[str, float]) -> LatencyModel:
    """A device whose table has these means, each with an interval of a tenth either way."""
    rows = {
        key: TableRow(
            segment=key, mean_ms=ms, low_ms=ms / 1.1, high_ms=1.1 * ms, count=1, source="measured", date="2024"
        )
        for key, ms in times_ms.items()
    }

    def resolve(item: object, runtime: Runtime) -> object:
        assert isinstance(item, Architecture) and runtime is OWN
        return lower(item, runtime)

    return LatencyModel(device=DEVICE, rows=rows, operators=None, resolve=resolve)  # type: ignore[arg-type]
