"""Models printed as tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.latency import load_latency
from nas.latency.model import LatencyModel, SegmentCosts
from nas.latency.printed import segment_rows
from nas.latency.published.cost_model import Floats
from nas.latency.table.rows import read_table, table_text
from nas.space import known_network


class Unsure(LatencyModel):
    """A model that knows next to nothing of the first segments that it is asked for."""

    __slots__ = ()

    def segment_bounds(self, costs: SegmentCosts) -> tuple[Floats, Floats]:
        half = np.full(len(costs.mean_ms), 0.1)
        half[:3] = (1e4, 400.0, 80.0)
        spread = np.exp(half)
        return costs.mean_ms / spread, costs.mean_ms * spread


def test_a_table_that_is_printed_can_be_read_however_unsure_its_model_is(tmp_path: Path) -> None:
    shipped = load_latency("pixel3-cpu")
    model = Unsure(device=shipped.device, rows={}, operators=shipped.operators)
    found = {segment.key: segment for segment in known_network("mobilenetv2-0.5").graph().segments}
    rows = segment_rows(model, list(found.values()))
    path = tmp_path / "table.csv"
    path.write_text(table_text(rows), encoding="utf-8")
    assert list(read_table(path).values()) == rows
    assert {row.segment for row in rows} == set(list(found)[3:])
