"""Exported networks as text: their list, and how a check of them went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.data.words import shown
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.space.resolution import resolution_text


def entries_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The manifests of exported networks, a line each."""
    columns = [
        textual("network"), numeric("px", 3), numeric("params M", 4), numeric("MACs M", 5),
        numeric("ms"), textual("ms interval", 2), textual("on"), textual("latency is", 6),
        numeric("top-1 %"), textual("top-1 interval", 2), textual("accuracy is", 6), textual("formats", 1),
    ]  # fmt: skip
    rows = [
        (
            r["name"], resolution_text(r["resolution"]), f"{r['params'] / 1e6:.2f}", f"{r['macs'] / 1e6:.1f}",
            *_latency(r["latency"], r["device"]), *_accuracy(r["accuracy"]), ", ".join(r["formats"]),
        )
        for r in records
    ]  # fmt: skip
    return table(columns, rows, page)


def _latency(latency: Mapping[str, Any] | None, device: str | None) -> tuple[str | None, ...]:
    if latency is None:
        return (None, None, None, None)
    interval = f"{latency['low_ms']:.3f}–{latency['high_ms']:.3f}"
    return (f"{latency['mean_ms']:.3f}", interval, device, latency["source"])


def _accuracy(accuracy: Mapping[str, Any] | None) -> tuple[str | None, ...]:
    if accuracy is None:
        return (None, None, None)
    mean, low, high = (f"{100 * accuracy[key]:.1f}" for key in ("mean", "low", "high"))
    return (mean, f"{low}–{high}", accuracy["source"])


def verified_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """What checking exported networks showed, a paragraph each."""
    return "\n".join(page.filled(_verified(record), hanging="  ") for record in records)


def _verified(record: Mapping[str, Any]) -> str:
    if not record["ok"]:
        return f"{record['name']}: failed: {record['error']}"
    checks = "; ".join(_checked(name, facts["max_relative_error"]) for name, facts in record["checks"].items())
    right = "".join(
        f"; {name}: {one['correct']:,} of {one['count']:,} held-out images right ({100 * one['mean']:.2f} %)"
        for name, one in record.get("held_out", {}).items()
    )
    return f"{record['name']}: ok; {checks}{right}"


def _checked(name: str, error: float | None) -> str:
    return f"{name}: read, but not run" if error is None else f"{name}: differs from torch by {error:.1e}"


def predictions_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """What images are taken for, a line for each, the likeliest class first."""
    return "\n".join(page.filled(_predicted(record), hanging="  ") for record in records)


def _predicted(record: Mapping[str, Any]) -> str:
    said = ", ".join(f"{shown(one['class'])} {100 * one['probability']:.1f} %" for one in record["predictions"])
    return f"{shown(record['image'])}: {said}"
