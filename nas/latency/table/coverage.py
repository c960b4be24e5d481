"""What stands behind the rows of a table: how many there are of each source, their timings, their spread."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import median

from nas.latency.estimate import SOURCES, Source
from nas.latency.table.rows import TableRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The rows of one source: how many, the timings behind them (in all, fewest and most a row), the half widths of
    their 90 % intervals (in logarithms, so 0.05 is about 5 %), and the first and last date."""

    source: Source
    rows: int
    timings: int
    fewest: int
    most: int
    median_half_width: float
    widest_half_width: float
    dates: tuple[str, str]

    def as_json(self) -> dict[str, object]:
        """The record as a mapping."""
        return asdict(self)


def coverage(rows: Iterable[TableRow]) -> list[Coverage]:
    """One record a source that has rows, from strong to weak as `SOURCES` has them."""
    by_source: dict[Source, list[TableRow]] = {source: [] for source in SOURCES}
    for row in rows:
        by_source[row.source].append(row)
    return [_coverage(source, found) for source, found in by_source.items() if found]


def _coverage(source: Source, rows: list[TableRow]) -> Coverage:
    counts, dates = [row.count for row in rows], [row.date for row in rows]
    half_widths = [math.log(row.high_ms / row.low_ms) / 2.0 for row in rows]
    return Coverage(
        source=source,
        rows=len(rows),
        timings=sum(counts),
        fewest=min(counts),
        most=max(counts),
        median_half_width=median(half_widths),
        widest_half_width=max(half_widths),
        dates=(min(dates), max(dates)),
    )
