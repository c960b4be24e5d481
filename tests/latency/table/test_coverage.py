from __future__ import annotations

import math

import pytest

from nas.latency.estimate import Source
from nas.latency.table.coverage import coverage
from nas.latency.table.rows import TableRow


def row(segment: str, source: Source, *, spread: float, count: int, date: str = "2024") -> TableRow:
    return TableRow(
        segment=segment, mean_ms=1.0, low_ms=1 / spread, high_ms=spread, count=count, source=source, date=date
    )


def test_rows_are_counted_by_source_with_timings_and_spread() -> None:
    rows = [
        row("a", "modelled", spread=1.5, count=0),
        row("b", "measured", spread=1.1, count=30, date="2024-05-02"),
        row("c", "measured", spread=1.4, count=50, date="2024-05-01"),
        row("d", "measured", spread=1.2, count=10, date="2024-05-02"),
    ]
    measured, modelled = coverage(rows)
    assert (measured.source, measured.rows, measured.timings, measured.fewest, measured.most) == (
        "measured", 3, 90, 10, 50,
    )  # fmt: skip
    assert measured.median_half_width == pytest.approx(math.log(1.2))
    assert measured.widest_half_width == pytest.approx(math.log(1.4))
    assert measured.dates == ("2024-05-01", "2024-05-02")
    assert (modelled.source, modelled.rows, modelled.timings) == ("modelled", 1, 0)
    assert coverage([]) == []
