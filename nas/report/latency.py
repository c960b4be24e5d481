"""The report of a device's calibration: its scores, every row predicted unseen, and a picture of both."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from nas.files import write_bytes, writing
from nas.latency.published.scores import Verification
from nas.latency.published.validate import relative
from nas.report.table import markdown

_INTRODUCTION = """\
{calibrating} rows of {networks} networks calibrate the operator costs; {scored} rows (convolutional, at most 300 px)
are scored. Every prediction below comes from a calibration that had not seen the network (networks are one where they
share every convolution, whatever their names, input size, classifier, activations or squeeze-and-excitation) or the
family: form, coefficients and interval are chosen on the other rows. Predictions are of the average source, as a user
gets them."""

_INTERVALS = """\
Central 90 %, over {rows} convolutional rows at 300 px and below, networks left out. The interval score is the width
plus 20 times the distance of a miss, less is better; constant widths and baselines get the width that scores best on
the other rows while covering 90 % of them."""

_VARIED = """\
The forms and priors that the procedure chooses among were written by people who had seen all rows, these among them;
only the choice is nested. How much hangs on the least identified prior:"""

_WIDTH = """\
Half widths: {median} (median of these rows){near}. Above 300 px a network's interval is at least its mean times
exp(±{beyond:.2f}): {why}."""


def write_report(device: str, found: Verification, record: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write `DEVICE.md` and `DEVICE.png` to `folder`; their paths."""
    page, picture = folder / f"{device}.md", folder / f"{device}.png"
    write_bytes(page, _page(device, found, record, picture.name).encode())
    _draw(device, found, picture)
    return page, picture


def _percent(value: float) -> str:
    return f"{100.0 * value:.1f} %"


def _errors(part: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_percent(part[key]) for key in ("median", "mean", "worst"))


def _page(device: str, found: Verification, record: dict[str, Any], picture: str) -> str:
    aside = ", ".join(found.plan.aside)
    without = f", without {aside}" if aside else ""
    errors = [("networks left out", *_errors(record["network_out"]))]
    errors.append(
        ("the same, with the offset of the row's source", *_errors(record["network_out"]["with_source_offset"]))
    )
    errors.append((f"families left out{without}", *_errors(record["family_out"])))
    if "aside" in record:
        errors.append((f"families left out: {aside}", *_errors(record["aside"]["family_out"])))
    errors.append(
        ("MACs + parameters (c0 + a·MACs + b·parameters), networks left out", *_errors(record["macs_and_parameters"]))
    )
    intervals = record["intervals"]
    widths = [
        (name.replace("_", " "), _percent(part["coverage"]), f"{part['score_ms']:.3f}")
        for name, part in intervals.items()
        if isinstance(part, dict)
    ]
    families = [
        (name, part["rows"], *_errors(part["network_out"])[:2], *_errors(part["family_out"])[:2])
        for name, part in record["families"].items()
    ]
    by_source = zip(found.data.sources, found.calibrated.fit.offsets.tolist(), strict=True)
    offsets = ", ".join(f"{name} {offset:+.3f}" for name, offset in by_source)
    forms = ", ".join(f"{name}: {count}" for name, count in record["network_out"]["forms"].items())
    rows, at_one = record["rows"], intervals.get("half_width_near_1ms")
    sections = [
        f"# Latency on {device}: predicted against published",
        f"{date.today().isoformat()}, {_machine()}. Written by `nas lut verify --device {device} --report benchmarks`.",
        _INTRODUCTION.format(**rows),
        "## Errors",
        _table(errors, ("|predicted / published - 1|", "median", "mean", "worst")),
        f"Forms chosen with networks left out: {forms}. Log offsets of the sources, all rows fitted: {offsets}.",
        f"![predicted against published]({picture})",
        "## Intervals",
        _INTERVALS.format(rows=intervals["rows"]),
        _table(widths, ("interval", "coverage", "mean score, ms")),
        _WIDTH.format(
            median=_percent(intervals["median_half_width"]),
            near=f", {_percent(at_one)} at 1 ms" if at_one else "",
            beyond=found.calibrated.spread.beyond,
            why="a guess, for want of rows there" if found.data.in_scope.all() else "so far the rows there strayed",
        ),
        "## Families",
        _table(families, ("family", "rows", "network out: median", "mean", "family out: median", "mean")),
        *(_order(record["order"]) if "order" in record else ()),
        "## Rows",
        _rows(found),
    ]
    return "\n\n".join(sections) + "\n"


def _order(order: dict[str, Any]) -> tuple[str, ...]:
    steps = [
        (
            step["network"], f"{step['published_ms']:g}", f"{step['predicted_ms']:.3f}",
            f"{step['predicted_ms'] / step['published_ms'] - 1:+.1%}",
        )
        for step in order["steps"]
    ]  # fmt: skip
    text = (
        f"Fitted without {', '.join(order['without'])} (form chosen there: {order['form']}): Kendall τ-b"
        f" {order['tau_b']:.2f}, worst error {_percent(order['worst'])}."
    )
    shown = [f"## {order['source']}", text, _table(steps, ("network", "published ms", "predicted ms", "error"))]
    if order["varied"]:
        varied = [(name, f"{part['tau_b']:.2f}", _percent(part["worst"])) for name, part in order["varied"].items()]
        shown += [_VARIED, _table(varied, ("with", "tau-b", "worst error"))]
    return tuple(shown)


def _rows(found: Verification) -> str:
    data, held, family = found.data, found.by_network, found.by_family
    rows = []
    for i in np.argsort(-relative(np.where(data.in_scope, held.error, 0.0)), kind="stable").tolist():
        if data.in_scope[i]:
            row = data.rows[i]
            mean, spread = row.latency_ms * np.exp(held.error[i]), np.exp(held.half_width[i])
            interval = f"{mean / spread:.3f} – {mean * spread:.3f}"
            rows.append((
                row.network, row.source, f"{row.latency_ms:g}", f"{mean:.3f}", interval,
                f"{np.expm1(held.error[i]):+.1%}", f"{np.expm1(family.error[i]):+.1%}",
            ))  # fmt: skip
    headers = ("network", "source", "published ms", "network out", "90 % interval", "error", "error, family out")
    return _table(rows, headers)


def _table(rows: list[Any], headers: tuple[str, ...]) -> str:
    return markdown(headers, rows)


def _machine() -> str:
    return f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"


def _draw(device: str, found: Verification, path: Path) -> None:
    """Predicted against published, networks left out, one colour a family, with the intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    data, held = found.data, found.by_network
    printed = data.observations.latency_ms
    mean, spread = printed * np.exp(held.error), np.exp(held.half_width)
    figure = Figure(figsize=(8.0, 7.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    families = list(dict.fromkeys(data.family[data.in_scope].tolist()))
    for number, family in enumerate(families):
        rows = data.in_scope & (data.family == family)
        bars = np.stack((mean[rows] - mean[rows] / spread[rows], mean[rows] * spread[rows] - mean[rows]))
        axes.errorbar(
            printed[rows], mean[rows], yerr=bars, fmt="osD^vPX"[number % 7], ms=5, lw=0.8, alpha=0.85,
            color=f"C{number % 10}", label=family,
        )  # fmt: skip
    ends = np.array([printed[data.in_scope].min() * 0.9, printed[data.in_scope].max() * 1.1])
    axes.plot(ends, ends, color="black", lw=1.0, label="equal")
    axes.plot(ends, ends * 1.1, color="grey", lw=0.7, ls="--", label="±10 %")
    axes.plot(ends, ends / 1.1, color="grey", lw=0.7, ls="--")
    axes.set(xscale="log", yscale="log", xlabel="published, ms", ylabel="predicted with the network left out, ms")
    ticks = [t for t in (0.5, 0.6, 0.8, 1, 1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100, 200) if ends[0] < t < ends[1]]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_minor_locator(NullLocator())
    axes.set_title(f"{device}: whole networks, 90 % intervals")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    with writing(path):
        figure.savefig(path)
