"""One timed network as text."""

from __future__ import annotations

from nas.jobs.measure import Measurement
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table

_COLUMNS = {
    "mean_ms": numeric("mean ms"),
    "sd_ms": numeric("sd ms", 1),
    "median_ms": numeric("median ms"),
    "p90_ms": numeric("p90 ms", 2),
    "min_ms": numeric("least ms"),
    "cpu_min_ms": numeric("least ms by the thread's clock", 3),
}


def measured_text(found: Measurement, page: Page = PLAIN) -> str:
    """A table of the timings, where they were taken, and what the device's latency model says."""
    record = found.as_json()
    rows = [
        (row["threads"], *(f"{row[key]:.3f}" if key in row else None for key in _COLUMNS)) for row in record["timings"]
    ]
    images = {None: "", 1: " of one image"}.get(found.images, f" of {found.images} images")
    title = f"{found.network} on {found.device.name}: measured, {found.rounds} rounds, {record['runs']} runs{images}"
    parts = [
        page.filled(title),
        "",
        table([numeric("threads"), *_COLUMNS.values()], rows, page),
        "",
        *(page.filled(str(value), indent=f"{key:<9} ", hanging=" " * 10) for key, value in found.environment.items()),
    ]
    if found.predicted:
        estimate, threads = found.predicted, found.device.threads
        at = f", threads: {threads}" if threads else ""
        interval = f"[{estimate.low_ms:.3g}, {estimate.high_ms:.3g}]"
        predicted = f"predicted {estimate.mean_ms:.3g} ms {interval} ({estimate.source}, 90 % interval{at})"
        parts.append(page.filled(predicted))
    return "\n".join(parts)
