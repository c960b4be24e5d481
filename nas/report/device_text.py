"""Devices as text: their list, and all that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.report.lut_text import left_out_line
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual


def devices_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The records of devices, a line each; threads are "-" where the runtime decides."""
    columns = [
        textual("device"), textual("chip", 2, wrap=True), textual("runtime", wrap=True), textual("unit"),
        numeric("threads"), textual("precision"), textual("measured", 1), textual("source", 3, wrap=True),
    ]  # fmt: skip
    rows = [
        (
            r["name"], r["chip"], r["runtime"], r["compute_unit"], r["threads"] or None, r["precision"],
            "here" if r["reach"] else "elsewhere", r["source"],
        )
        for r in records
    ]  # fmt: skip
    return table(columns, rows, page)


def device_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """Every fact of one device that is known, a paragraph each."""
    return "\n".join(
        page.filled(_fact(key, value), indent=f"{key.replace('_', ' '):13} ", hanging=" " * 14)
        for key, value in record.items()
        if value != ""
    )


def _fact(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return left_out_line(value)
    return "as the runtime decides" if key == "threads" and value == 0 else str(value)
