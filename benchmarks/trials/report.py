"""The report of the searches that pay for each accuracy: tables side by side, and a picture of regret against calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tabulate import tabulate

from benchmarks.trials.runs import OURS

Floats = NDArray[np.float64]
Regrets = Mapping[str, Sequence[Sequence[float]]]
"""By name, of each seed the regret after each call (`runs.regrets`)."""

_RESAMPLES = 4000


def compared(found: Regrets, calls: Sequence[int], *, hit: float | None, median: bool = False) -> str:
    """One row a searcher: mean (or median) regret after so many calls, the share of seeds with at most `hit`, and ours
    less theirs on the same seeds, in the mean with its central 90 % interval by resampling seeds."""
    rows = []
    for name, regrets in found.items():
        if not regrets:
            continue
        row = [name, str(len(regrets))]
        for call in calls:
            column = _column(regrets, call)
            if column is None:
                row += ["–"] * (2 if hit is None else 3)
                continue
            row.append(f"{np.median(column) if median else column.mean():.3f}")
            if hit is not None:
                row.append(f"{np.mean(column <= hit):.0%}")
            row.append("" if name == OURS else _difference(found[OURS], column, call))
        rows.append(row)
    if not rows:
        return "Not worked out yet."
    headers = ["searcher", "runs"]
    for call in calls:
        headers += [f"{'median ' if median else ''}regret at {call}"]
        headers += ([] if hit is None else ["hits"]) + ["ours less theirs, mean"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _column(regrets: Sequence[Sequence[float]], call: int) -> Floats | None:
    return np.array([one[call - 1] for one in regrets]) if regrets and len(regrets[0]) >= call else None


def _difference(ours: Sequence[Sequence[float]], theirs: Floats, call: int) -> str:
    own = _column(ours, call)
    if own is None:
        return "–"
    both = min(len(own), len(theirs))
    paired = own[:both] - theirs[:both]
    drawn = np.random.default_rng(0).integers(0, len(paired), (_RESAMPLES, len(paired)))
    low, high = np.percentile(paired[drawn].mean(axis=1), (5, 95))
    return f"{paired.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def draw(found: Regrets, path: Path, title: str) -> None:
    """A picture of mean regret against calls, one line a searcher."""
    figure = Figure(figsize=(9.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, (name, regrets) in enumerate(found.items()):
        if not regrets:
            continue
        mean = np.array(regrets).mean(axis=0)
        style = "-" if i < 10 else "--"
        axes.plot(
            np.arange(1, len(mean) + 1), np.maximum(mean, 1e-3), style, label=name, lw=2.6 if name == OURS else 1.3
        )
    axes.set(yscale="log", xlabel="calls (networks trained)", ylabel="mean regret, points of top-1 (0.001: none)")
    axes.set_title(title)
    axes.set_xlim(1, None)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=110)
