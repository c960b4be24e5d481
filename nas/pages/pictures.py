"""The figures of a page as pictures for a paper, drawn from the same records. Matplotlib is imported when used."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.files import write_bytes
from nas.pages.parts import Figure, Page, Role, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("svg", "png")
_COLOURS: Mapping[Role, str] = {
    "answer": "#0b5cad",
    "front": "#6b7684",
    "known": "#a35200",
    "published": "#7b3fa0",
    "start": "#0f766e",
    "done": "#0b5cad",
    "stopped": "#8a8f98",
    "failed": "#b3261e",
    "best": "#0f766e",
    "other": "#8a8f98",
}
_MARKS: Mapping[Role, str] = {
    "answer": "*",
    "front": "o",
    "known": "D",
    "published": "s",
    "start": "^",
    "done": "o",
    "stopped": "o",
    "failed": "x",
    "best": "o",
    "other": "o",
}


def write_pictures(page: Page, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write each figure of the page as `STEM-NAME.FORMAT`; their paths."""
    found = []
    for figure in page.figures:
        for form in formats:
            path = stem.with_name(f"{stem.name}-{figure.name}.{form}")
            write_bytes(path, picture(figure, form))
            found.append(path)
    return found


def picture(figure: Figure, form: str) -> bytes:
    """A figure as SVG or PNG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    is_bars = any(series.form == "bars" for series in figure.series)
    names = list(dict.fromkeys(name for series in figure.series if series.form == "bars" for name in series.y))
    # The same figure gives the same file; $ in a name is no mathematics.
    with rc_context({"svg.hashsalt": figure.name, "text.parse_math": False, "svg.fonttype": "none"}):
        drawing = Drawing(figsize=(7.2, 1.2 + 0.27 * len(names) if is_bars else 4.6), dpi=150, layout="constrained")
        FigureCanvasAgg(drawing)
        axes = drawing.add_subplot()
        for place, series in enumerate(figure.series):
            if series.form == "bars":
                _bars(axes, series, names, place, len(figure.series))
            else:
                _points(axes, series, many=figure.count > 600)
        _frame(axes, figure, names)
        content = io.BytesIO()
        drawing.savefig(content, format=form, metadata={"Date": None} if form == "svg" else None)
    return content.getvalue()


def _points(axes: Axes, series: Series, *, many: bool) -> None:
    colour = _COLOURS[series.role]
    x, y = _numbers(series.x), _numbers(series.y)
    if series.form == "line":
        style = "steps-post" if series.step else "default"
        axes.plot(x, y, color=colour, lw=1.2, drawstyle=style, label=series.name)
        return
    yerr, xerr = _ends(y, series.low, series.high), _ends(x, series.left, series.right)
    axes.errorbar(
        x,
        y,
        yerr=yerr,
        xerr=xerr,
        fmt=_MARKS[series.role],
        color=colour,
        label=series.name,
        lw=0.6,
        alpha=0.85,
        ms=11 if series.role == "answer" and len(x) < 20 else 2.5 if many else 4,
        mfc="none" if series.role == "published" else colour,
        zorder=4 if series.role == "answer" else 2,
    )


def _bars(axes: Axes, series: Series, names: Sequence[str], place: int, count: int) -> None:
    height = 0.8 / count
    y = [names.index(name) - 0.4 + (place + 0.5) * height for name in series.y]
    x = _numbers(series.x)
    xerr = _ends(x, series.left, series.right)
    axes.barh(y, x, height, color=_COLOURS[series.role], xerr=xerr, label=series.name, error_kw={"lw": 0.8})


def _frame(axes: Axes, figure: Figure, names: Sequence[str]) -> None:
    """Axes, target lines, bands and the legend."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(title=figure.title, xlabel=figure.x.title, ylabel=figure.y.title)
    for axis, own in ((axes.xaxis, figure.x), (axes.yaxis, figure.y)):
        if own.log:
            axes.set_xscale("log") if axis is axes.xaxis else axes.set_yscale("log")
            axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    if names:
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.invert_yaxis()
    for low, high, label in figure.bands:
        axes.axhspan(low, high, color=_COLOURS["answer"], alpha=0.1, lw=0, label=label)
    for x, label in figure.lines:
        axes.axvline(x, color="0.4", lw=0.8, ls=":", label=label)
    if figure.diagonal:
        values = [value for one in figure.series for value in (*_numbers(one.x), *_numbers(one.y)) if value == value]
        axes.plot([min(values), max(values)], [min(values), max(values)], color="0.4", lw=0.8)
    axes.grid(alpha=0.25, axis="x" if names else "both")
    if len(figure.series) > 1 or figure.lines or figure.bands:
        axes.legend(fontsize=8)


def _numbers(values: Sequence[Any]) -> list[float]:
    return [math.nan if value is None else value for value in values if not isinstance(value, str)]


def _ends(middle: Sequence[float], low: Sequence[Any], high: Sequence[Any]) -> list[list[float]] | None:
    """Ends of intervals as distances below and above."""
    if not low:
        return None
    below = [max(0.0, m - v) if v is not None else 0.0 for m, v in zip(middle, low, strict=True)]
    above = [max(0.0, v - m) if v is not None else 0.0 for m, v in zip(middle, high, strict=True)]
    return [below, above]
