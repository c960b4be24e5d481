"""What a latency model says of segments, printed as rows of a table for people to read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.figures import MOST
from nas.latency.estimate import SOURCES
from nas.latency.model import HasSegments, LatencyModel
from nas.latency.table.rows import TableRow


def segment_rows(model: LatencyModel, segments: Sequence[HasSegments]) -> list[TableRow]:
    """A row of a table for each segment as `model` sees it, with its interval; sorted by key. Of what it is so unsure
    that a bound is no number that a table may hold there is none."""
    costs = model.segment_costs([s.key for s in segments], [s.operators for s in segments])
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = model.segment_bounds(costs)
    date = str(model.operators.manifest.get("date", "")) if model.operators else ""
    rows = [
        TableRow(
            segment=segment.key,
            mean_ms=float(costs.mean_ms[i]),
            low_ms=float(low[i]),
            high_ms=float(high[i]),
            count=0,
            source=SOURCES[int(costs.source[i])],
            date=date,
        )
        for i, segment in enumerate(segments)
        if 0.0 < low[i] <= costs.mean_ms[i] <= high[i] <= MOST
    ]
    return sorted(rows, key=lambda row: row.segment)
