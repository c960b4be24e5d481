"""Architectures as text: the list of known networks, one network layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.space.resolution import resolution_text

_SHOWN = ("input", "output", "params", "macs", "activations", "memory_bytes", "peak_memory_bytes", "block")


def known_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The records of `nas.jobs.arch.known_records`, a line a network."""
    columns = [
        textual("network"), numeric("px"), numeric("params M"), numeric("MACs M"), numeric("top-1 %"),
        textual("paper", 1),
    ]  # fmt: skip
    rows = [
        (
            r["name"],
            resolution_text(r["resolution"]),
            f"{r['params'] / 1e6:.2f}",
            f"{r['macs'] / 1e6:.1f}",
            figure(r["published"]["top1"], ".1f"),
            r["paper"],
        )
        for r in records
    ]
    return table(columns, rows, page)


def network_text(record: Mapping[str, Any], training: bool, page: Page = PLAIN) -> str:
    """A record of `nas.jobs.arch.describe_architecture`: facts, then the layers."""
    columns = [
        numeric("#"), textual("block"), textual("output"), numeric("params"), numeric("MACs M"),
        numeric("activations M", 3), numeric("traffic MB", 2), numeric("alive MB", 1), textual("parameters", wrap=True),
    ]  # fmt: skip
    rows = [
        (
            i, layer["block"], "x".join(map(str, layer["output"])), f"{layer['params']:,}",
            f"{layer['macs'] / 1e6:.2f}", f"{layer['activations'] / 1e6:.3f}", f"{layer['memory_bytes'] / 1e6:.3f}",
            f"{layer['peak_memory_bytes'] / 1e6:.3f}",
            " ".join(f"{k}={v}" for k, v in layer.items() if k not in _SHOWN),
        )
        for i, layer in enumerate(record["layers"], start=1)
    ]  # fmt: skip
    facts = [page.filled(fact, hanging="  ") for fact in _facts(record, training)]
    return "\n".join([*facts, "", table(columns, rows, page)])


def _facts(record: Mapping[str, Any], training: bool) -> list[str]:
    published = record["published"]
    form = "training form" if training else "inference form"
    facts = [
        (
            f"{record['name']}  (family {record['family']}, {resolution_text(record['resolution'])} px,"
            f" digest {record['digest']})"
        ),
        f"images {' x '.join(map(str, record['input']))}, {record['num_classes']} classes",
        f"params {record['params']:,}, MACs {record['macs']:,} ({form})",
        f"activations {record['activations']:,}, memory traffic {record['memory_bytes']:,} bytes at 2 bytes a number",
        f"memory {record['peak_memory_bytes']:,} bytes of maps alive at once, at 2 bytes a number",
    ]
    if record["paper"]:
        facts.append(f"paper: {record['paper']}")
    if published["source"]:
        facts.append(
            f"published: top-1 {figure(published['top1'])} %, params {figure(published['params_M'])} M,"
            f" MACs {figure(published['macs_M'])} M ({published['source']})"
        )
    return facts + [f"warning: {warning}" for warning in record["warnings"]]


def figure(value: float | None, form: str = "g") -> str:
    """A number, or "-" where nobody knows it."""
    return "-" if value is None else f"{value:{form}}"
