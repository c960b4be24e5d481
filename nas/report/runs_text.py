"""Runs as text: their list, and one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual


def runs_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """Records of runs, a line each."""
    columns = [textual("run"), textual("kind", 1), textual("status"), numeric("seconds"), textual("command", wrap=True)]
    rows = [(r["run"], r["kind"], r["status"], _seconds(r["seconds"]), r["command"]) for r in records]
    return table(columns, rows, page)


def run_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """One run: what it was asked, what it read, how it ended, what it wrote."""
    facts = [
        ("run", f"{record['run']}  ({record['kind']}, {record['status']})"),
        ("created", f"{record['created']} on {record['host']}"),
        ("seconds", _seconds(record["seconds"])),
        ("seed", "-" if record["seed"] is None else str(record["seed"])),
        ("repeat", record["command"]),
    ]
    if record["error"]:
        facts.append(("error", record["error"]))
    facts += [("input", f"{name}: {_inline(value)}") for name, value in record["inputs"].items()]
    facts += [("version", f"{name} {value}") for name, value in record["versions"].items()]
    facts += [("wrote", f"{artefact['kind']}: {artefact['path']}") for artefact in record["artefacts"]]
    best = (record["result"] or {}).get("best")
    if isinstance(best, dict) and "name" in best:
        facts.append(("answer", f"{best['name']}{_figures(best)}"))
    return "\n".join(page.filled(value, indent=f"{name:<9} ", hanging=" " * 10) for name, value in facts)


def _figures(best: Mapping[str, Any]) -> str:
    """Latency and accuracy of an answer, with their intervals and sources, where it has them."""
    texts = []
    if "latency" in best:
        found = best["latency"]
        texts.append(f"{found['mean_ms']:.3f} ms [{found['low_ms']:.3f}, {found['high_ms']:.3f}] {found['source']}")
    if "accuracy" in best:
        found = best["accuracy"]
        mean, low, high = (f"{100 * found[key]:.1f}" for key in ("mean", "low", "high"))
        texts.append(f"{found['metric']} {mean} % [{low}, {high}] {found['source']}")
    return "".join(f"; {text}" for text in texts)


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
