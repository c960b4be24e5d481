"""Latencies as text: what a device's model says of one network, and how well its calibration predicts unseen ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.jobs.lut import Facts, Prediction
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual


def predicted_text(network: str, device: str, found: Prediction, page: Page = PLAIN) -> str:
    """The latency of a network with its interval and source, what it is of, and what others published of it."""
    estimate = found.estimate
    digits = 5 if estimate.source == "measured" else 3
    interval = f"[{estimate.low_ms:.{digits}g}, {estimate.high_ms:.{digits}g}]"
    lines = [f"{network} on {device}: {estimate.mean_ms:.{digits}g} ms {interval} ({estimate.source}, 90 % interval)"]
    lines.append(_facts_text(found.facts))
    lines += [found.model] if found.model else []
    lines += [f"published: {row.latency_ms:g} ms ({row.source}, protocol {row.protocol})" for row in found.published]
    return "\n".join(page.filled(line, hanging="  ") for line in lines)


def _facts_text(facts: Facts) -> str:
    """Multiply-adds, parameters, precision and batch in words."""
    least = "at least " if facts.uncounted else ""
    return (
        f"batch {facts.batch}: {least}{count_text(facts.macs)} multiply-adds, {count_text(facts.params)} parameters,"
        f" {facts.precision}"
    )


def count_text(count: int) -> str:
    """A count in millions, or as it is where it is small."""
    return f"{count / 1e6:,.1f} million" if count >= 10**5 else f"{count:,}"


def left_out_text(device: str, record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The record of `nas.latency.published.scores.summary`: errors, intervals, the order of like networks."""
    intervals = record["intervals"]
    widths = [
        (_INTERVALS.get(name, name.replace("_", " ")), f"{100 * part['coverage']:.0f} %", f"{part['score_ms']:.3f}")
        for name, part in intervals.items()
        if isinstance(part, dict)
    ]
    near = "half_width_near_1ms" in intervals
    half = 100 * intervals["half_width_near_1ms" if near else "median_half_width"]
    parts = [
        page.filled(f"{device}: {record['rows']['scored']} rows scored, each predicted without its network or family"),
        _errors(record, page),
        table(
            [
                textual("90 % interval", wrap=True),
                numeric("coverage"),
                numeric("interval score, ms (less is better)", 1),
            ],
            widths,
            page,
        ),
        page.filled(f"half of the 90 % interval, {'near 1 ms' if near else 'in the median'}: {half:.1f} %"),
    ]
    if "order" in record:
        parts.append(_order(record["order"], page))
    return "\n\n".join(parts)


_INTERVALS = {"ours": "this model's"}


def _errors(record: Mapping[str, Any], page: Page) -> str:
    aside = record.get("aside")
    names = ", ".join(aside["families"]) if aside else ""
    parts = {"networks left out": record["network_out"]}
    parts[f"families left out (without {names})" if aside else "families left out"] = record["family_out"]
    if aside:
        parts[f"families left out: {names}"] = aside["family_out"]
    parts["MACs + parameters, networks left out"] = record["macs_and_parameters"]
    rows = [
        (name, *(f"{100 * part[key]:.1f} %" for key in ("median", "mean", "worst"))) for name, part in parts.items()
    ]
    columns = [textual("error of the latency", wrap=True), numeric("median"), numeric("mean"), numeric("worst")]
    return table(columns, rows, page)


def _order(order: Mapping[str, Any], page: Page) -> str:
    text = (
        f"{order['source']}, fitted without {', '.join(order['without'])}: Kendall tau-b {order['tau_b']:.2f},"
        f" worst error {100 * order['worst']:.1f} %"
    )
    rows = [(step["network"], f"{step['published_ms']:g}", f"{step['predicted_ms']:.3f}") for step in order["steps"]]
    columns = [textual("network"), numeric("published ms"), numeric("predicted ms")]
    return f"{page.filled(text)}\n{table(columns, rows, page)}"
