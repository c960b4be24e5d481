"""A study of a device as text, as a page, and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.files import write_bytes, writing
from nas.jobs.measure import count_text
from nas.jobs.study import Row, Study
from nas.report.page import PLAIN, Page
from nas.report.table import markdown, numeric, table, textual
from nas.runs import installed_versions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PIVOTS = {"threads": ("name", "threads"), "attention": ("resolution", "group")}
"""Studies whose table has a line for each value of the first attribute and a column for each of the second."""

Table = tuple[list[str], list[tuple[str, ...]]]
"""Headers and rows."""

_SIZES = {"macs": "MACs", "params": "parameters"}


def study_text(found: Study, page: Page = PLAIN) -> str:
    """What `nas study` prints: the table, below it how it was made. Of a correlation the scores alone."""
    headers, rows = _scores(found) if found.scores else _table(found)
    columns = [textual(headers[0], wrap=True), *map(numeric, headers[1:])]
    title = page.filled(f"{found.device.name}: {found.title}")
    return "\n".join((title, "", table(columns, rows, page), "", page.filled(_made(found))))


def write_report(found: Study, folder: Path) -> tuple[Path, Path]:
    """Write `STUDY-DEVICE.md` and `STUDY-DEVICE.png` to `folder`; their paths."""
    stem = f"{found.kind}-{found.device.name}"
    page, picture = folder / f"{stem}.md", folder / f"{stem}.png"
    write_bytes(page, _page(found, picture.name).encode())
    figure = _figure(found)
    with writing(picture):
        figure.savefig(picture)
    return page, picture


def _page(found: Study, picture: str) -> str:
    rounds = f" --rounds {found.rounds}" if found.rounds else ""
    command = f"nas study {found.kind} --device {found.device.name}{rounds} --report DIR"
    versions = ", ".join(f"{package} {version}" for package, version in installed_versions().items())
    parts = [
        f"# {found.device.name}: {found.title}",
        f"Written by `{command}` on {date.today().isoformat()}; {versions}.",
        _made(found),
        f"![{found.title}]({picture})",
    ]
    tables = [_scores(found), _table(found)] if found.scores else [_table(found)]
    parts += [markdown(headers, rows) for headers, rows in tables]
    parts += [f"Warning: {text}" for text in found.warnings]
    return "\n\n".join(parts) + "\n"


def _made(found: Study) -> str:
    """Where the latencies come from, in a sentence."""
    intervals = f"Brackets are 90 % intervals. {found.device.protocol.rstrip('.')}."
    if not found.environment:
        return f"{found.source.capitalize()}, not timed. {intervals}"
    where = "; ".join(f"{key}: {value}" for key, value in found.environment.items())
    clock = " Times are by the wall clock here." if found.kind == "threads" else ""
    return f"{found.source.capitalize()} in {found.rounds} rounds ({where}). {intervals}{clock}"


def _scores(found: Study) -> Table:
    rows: list[tuple[str, ...]] = [
        (_SIZES[size], str(len(found.rows)), f"{score.spearman:.2f} [{score.low:.2f}, {score.high:.2f}]")
        for size, score in found.scores.items()
    ]
    return ["latency with", "networks", "Spearman's rank correlation"], rows


def _table(found: Study) -> Table:
    if found.kind in _PIVOTS:
        return _pivot(found.rows, *_PIVOTS[found.kind])
    last = "ms / GMAC" if found.scores else "× the first"
    rows: list[tuple[str, ...]] = [
        (
            row.name,
            f"{row.params / 1e6:.2f}",
            f"{row.macs / 1e6:.0f}",
            _latency(row),
            f"{row.latency.mean_ms / row.macs * 1e9 if row.ratio is None else row.ratio:.2f}",
        )
        for row in found.rows
    ]
    return ["network", "params M", "MACs M", "latency ms", last], rows


def _pivot(rows: tuple[Row, ...], line: str, column: str) -> Table:
    columns = list(dict.fromkeys(getattr(row, column) for row in rows))
    lines: dict[Any, dict[Any, Row]] = {}
    for row in rows:
        lines.setdefault(getattr(row, line), {})[getattr(row, column)] = row
    titles = [count_text(value) if column == "threads" else str(value) for value in columns]
    headers = [line, *(f"{title}, ms" for title in titles), *(f"{title} / {titles[0]}" for title in titles[1:])]
    cells: list[tuple[str, ...]] = [
        (
            str(key),
            *(_latency(of[value]) if value in of else "-" for value in columns),
            *(f"{of[value].ratio or 0.0:.2f}" if value in of else "-" for value in columns[1:]),
        )
        for key, of in lines.items()
    ]
    return headers, cells


def _latency(row: Row) -> str:
    found = row.latency
    return f"{found.mean_ms:.2f} [{found.low_ms:.2f}, {found.high_ms:.2f}]"


def _figure(found: Study) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    draw = _DRAWN.get(found.kind)
    figure = Figure(figsize=(9.0, 5.0 if draw else 1.6 + 0.25 * len(found.rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    (draw or _draw_bars)(figure, found)
    made = f"{found.source}, {found.environment.get('runtime') or found.device.runtime}"
    figure.suptitle(f"{found.device.name}: {found.title} ({made})", fontsize=11)
    return figure


def _draw_bars(figure: Figure, found: Study) -> None:
    """A bar for each network, the fastest on top, with its interval and its ratio."""
    axes = figure.add_subplot()
    rows = sorted(found.rows, key=lambda row: -row.latency.mean_ms)
    groups = list(dict.fromkeys(row.group for row in found.rows))
    mean = np.array([row.latency.mean_ms for row in rows])
    colours = [f"C{groups.index(row.group)}" for row in rows]
    axes.barh(range(len(rows)), mean, xerr=_bars(rows), color=colours, height=0.7, error_kw={"lw": 1.0, "capsize": 2})
    for place, row in enumerate(rows):
        text = f"{row.latency.mean_ms:.2f} ms" + (f"  ×{row.ratio:.2f}" if row.ratio is not None else "")
        axes.annotate(
            text, (row.latency.high_ms, place), (6, 0), textcoords="offset points", va="center", fontsize=8
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set(xlabel="latency, ms", xlim=(0.0, 1.22 * max(row.latency.high_ms for row in rows)))
    if len(groups) > 1:
        _legend(axes, {group: f"C{number}" for number, group in enumerate(groups)})
    axes.grid(axis="x", alpha=0.25)


def _legend(axes: Axes, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
    axes.legend(handles=handles, fontsize=8, ncols=len(handles), loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _draw_threads(figure: Figure, found: Study) -> None:
    """For each network the bars of its numbers of threads."""
    axes = figure.add_subplot()
    names = list(dict.fromkeys(row.name for row in found.rows))[::-1]
    counts = list(dict.fromkeys(row.threads for row in found.rows))
    height = 0.8 / len(counts)
    for number, count in enumerate(counts):
        rows = sorted((row for row in found.rows if row.threads == count), key=lambda row: names.index(row.name))
        places = np.arange(len(rows)) + 0.4 - (number + 0.5) * height
        mean = [row.latency.mean_ms for row in rows]
        axes.barh(places, mean, height, xerr=_bars(rows), label=count_text(count), error_kw={"lw": 1.0, "capsize": 2})
        for place, row in zip(places.tolist(), rows, strict=True):
            text = f"{row.latency.mean_ms:.1f}" + (f"  ×{row.ratio:.2f}" if number else "")
            axes.annotate(
                text, (row.latency.high_ms, place), (5, 0), textcoords="offset points", va="center", fontsize=7
            )  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="latency by the wall clock, ms", xlim=(0.0, 1.15 * max(r.latency.high_ms for r in found.rows)))
    axes.legend(fontsize=8)
    axes.grid(axis="x", alpha=0.25)


def _draw_attention(figure: Figure, found: Study) -> None:
    """Latency by resolution, a line for each kind of attention; beside it their ratio."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    groups = list(dict.fromkeys(row.group for row in found.rows))
    for number, group in enumerate(groups):
        rows = [row for row in found.rows if row.group == group]
        pixels = [row.resolution for row in rows]
        mean = [row.latency.mean_ms for row in rows]
        left.errorbar(pixels, mean, yerr=_bars(rows), fmt="os"[number % 2] + "-", ms=5, lw=1.2, capsize=2, label=group)
        if number:
            right.plot(pixels, [row.ratio for row in rows], "s-", color=f"C{number}", ms=5, lw=1.2)
    for axes in (left, right):
        axes.set_xlabel("height of the image, px")
        axes.set_xticks(list(dict.fromkeys(row.resolution for row in found.rows)))
        axes.grid(alpha=0.25)
    left.set(ylabel="latency, ms", ylim=(0.0, None))
    right.set(ylabel="latency over that with its own attention", ylim=(0.0, 1.1))
    right.axhline(1.0, color="black", lw=0.8)
    left.legend(fontsize=8)


def _draw_correlation(figure: Figure, found: Study) -> None:
    """Latency against MACs and against parameters, both logarithmic, a mark for each network."""
    from matplotlib.ticker import LogLocator, NullFormatter

    families = list(dict.fromkeys(row.group for row in found.rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (size, title) in zip(panels, _SIZES.items(), strict=True):
        for number, family in enumerate(families):
            rows = [row for row in found.rows if row.group == family]
            values = [getattr(row, size) / 1e6 for row in rows]
            mean = [row.latency.mean_ms for row in rows]
            marks = "osD^vPX*"[(number // 10 + number) % 8]
            axes.plot(values, mean, marks, ms=5, alpha=0.85, color=f"C{number % 10}", label=family)
        score = found.scores[size]
        axes.set(xscale="log", yscale="log", xlabel=f"{title}, millions")
        axes.set_title(f"Spearman {score.spearman:.2f} [{score.low:.2f}, {score.high:.2f}]", fontsize=10)
        axes.grid(alpha=0.25, which="both")
    panels[0].set_ylabel("latency, ms")
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    panels[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _bars(rows: list[Row]) -> np.ndarray[Any, Any]:
    """The intervals as distances below and above, shape (2, n)."""
    return np.array(
        [
            [row.latency.mean_ms - row.latency.low_ms for row in rows],
            [row.latency.high_ms - row.latency.mean_ms for row in rows],
        ]
    )


_DRAWN: Mapping[str, Callable[[Figure, Study], None]] = {
    "correlation": _draw_correlation,
    "threads": _draw_threads,
    "attention": _draw_attention,
}
