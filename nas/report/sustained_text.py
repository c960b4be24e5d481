"""A network that ran for minutes, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.jobs.measure_sustained import SustainedMeasurement
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual

_ROWS = 12


def sustained_text(found: SustainedMeasurement, page: Page = PLAIN) -> str:
    """How it started, all runs together, and how they changed; up to a dozen lines of the curve."""
    record = found.as_json()
    each = "" if found.runs_a_time == 1 else f", each the mean of {found.runs_a_time}"
    times = f"{record['runs']:,} times{each}, in {record['seconds']:.0f} s"
    start = f"loading {_ms(record['load_ms'])}, the first run {_ms(record['first_ms'])}"
    lines = [
        f"{found.network} on {found.device.name}: measured, {times}",
        f"{start}; all runs: p50 {_ms(record['p50_ms'])}, p90 {_ms(record['p90_ms'])}",
    ]
    if record["change"] is not None:
        lines.append(f"the last fifth of the time against the first: {100 * record['change']:+.1f} %")
    columns = [numeric("seconds"), numeric("p50 ms"), numeric("p90 ms"), textual("the device", wrap=True)]
    rows = [
        (f"{one['at_s']:.0f}", f"{one['p50_ms']:.3f}", f"{one['p90_ms']:.3f}", _state(one["state"]) or None)
        for one in _some(record["curve"])
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]  # type: ignore[misc]
    facts = [
        page.filled(value, indent=f"{key:<9} ", hanging=" " * 10) for key, value in record["environment"].items()
    ]  # fmt: skip
    return "\n".join([*map(page.filled, lines), "", table(columns, rows, page), "", *facts])


def _some(curve: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Up to `_ROWS` points, evenly apart, the first and the last among them."""
    if len(curve) <= _ROWS:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (_ROWS - 1))] for i in range(_ROWS)]


def _state(state: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in state.items())


def _ms(value: float | None) -> str:
    return "not told" if value is None else f"{value:.3f} ms"
