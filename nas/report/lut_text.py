"""What an import of tables did, and what stands behind a table, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from nas.jobs.lut_import import Choice, Imported
from nas.latency.table import TableRow, shortened

_LISTED = 12
"""Choices that are shown one by one."""


def imported_text(device: str, found: Imported) -> str:
    """A line on the rows, then on every kind of choice that was made between two of them."""
    read = sum(len(file.rows) for file in found.files)
    files = "1 file" if len(found.files) == 1 else f"{len(found.files)} files"
    did = (
        f"{found.added} are new, {len(found.replaced)} replace rows of the table, {found.unchanged} were there already"
    )
    text = [f"{device}: {read} segments read from {files}; {did}; wrote {found.rows} to {found.folder}"]
    if found.sizes:
        text.append(
            f"{len(found.sizes)} segments are in tables of several image sizes: the largest size was taken, the others"
            f" differ by at most {100 * max(map(_difference, found.sizes)):.1f} %"
        )
    if found.replaced:
        text += ["replaced:", *_choices(found.replaced)]
    if found.kept:
        text += ["not replaced, as the imported rows are of a weaker source:", *_choices(found.kept)]
    return "\n".join(text)


def _difference(choice: Choice) -> float:
    return abs(choice.left.mean_ms / choice.taken.mean_ms - 1.0)


def _choices(choices: Sequence[Choice]) -> list[str]:
    lines = [
        f"  {_row(choice.taken)} for {_row(choice.left)}: {shortened(choice.taken.segment, 80)}"
        for choice in choices[:_LISTED]
    ]
    return lines + ([f"  and {len(choices) - _LISTED} more"] if len(choices) > _LISTED else [])


def _row(row: TableRow) -> str:
    return f"{row.mean_ms:.4g} ms ({row.source})"


def coverage_text(parts: Sequence[Mapping[str, Any]]) -> str:
    """The records of `nas.latency.coverage` as a table; half widths of the 90 % intervals in per cent."""
    rows = [
        (
            part["source"],
            part["rows"],
            part["timings"],
            _span(part["fewest"], part["most"]),
            f"{100 * part['median_half_width']:.1f} %",
            f"{100 * part['widest_half_width']:.1f} %",
            _span(*part["dates"]),
        )
        for part in parts
    ]
    header = ("source", "rows", "timings", "timings a row", "half of the 90 % interval", "widest", "date")
    return tabulate(rows, header, disable_numparse=True)


def _span(first: object, last: object) -> str:
    return str(first) if first == last else f"{first}–{last}"
