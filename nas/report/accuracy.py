"""The report of a predictor of accuracy: its scores on families it has not seen, and a picture of every row."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from nas.files import write_bytes, writing
from nas.jobs.predictor import DRAWS, TRAINED_ON, WITHOUT, Evaluation
from nas.report.table import markdown
from nas.runs import installed_versions

_INTRODUCTION = """\
{rows} published rows of {networks} networks in {families} families; {scored} of them are scored. Every prediction below
comes from a model that had not seen the family: scaling and hyper-parameters are fitted to the other rows, family and
network effects are zero, each row is predicted for its own training recipe. *Size alone* is the same Gaussian process
with the same recipe terms and effects, of whose networks only log MACs, log parameters and log resolution are known.
Features and kernel were chosen with such scores in view, so new families may turn out somewhat worse."""

_ORDER = """\
Fitted without the family {without} and asked for the default recipe. Spearman's correlation of predicted and published
top-1, after a quadratic in log MACs and log parameters is regressed out of both: what is known beyond size."""

_ONE_SPACE = """\
A Gaussian process on depth, kernels and expansions by stage, log MACs and log parameters, fitted to {trained_on}
networks chosen at random: mean absolute error on the rest, {draws} draws."""


def write_report(found: Evaluation, folder: Path, environment: str | None = None) -> tuple[Path, Path]:
    """Write `accuracy.md` and `accuracy.png` to `folder`; their paths; `environment` says how they were made."""
    page, picture = folder / "accuracy.md", folder / "accuracy.png"
    write_bytes(page, _page(found, picture.name, environment or _environment(found.name)).encode())
    _draw(found, picture)
    return page, picture


def _environment(name: str) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in installed_versions().items())
    return f"Written by `nas predictor eval {name} --report DIR` on {date.today().isoformat()}; {versions}."


def _page(found: Evaluation, picture: str, environment: str) -> str:
    published = found.published
    scores = [
        (
            title, f"{part.mean_error:.3f}", f"{part.median_error:.3f}", f"{part.family_mean_error:.3f}",
            f"{100 * part.coverage:.1f} %", f"{100 * part.family_coverage:.1f} %", f"{part.mean_width:.2f}",
        )
        for title, part in ((found.name, found.scores), ("size alone", found.size_only))
    ]  # fmt: skip
    plain = {part.family: part.mean_error for part in found.size_only.families}
    families = [
        (
            part.family, part.rows, f"{part.mean_error:.2f}", f"{plain[part.family]:.2f}", f"{part.bias:+.2f}",
            f"{100 * part.coverage:.0f} %",
        )
        for part in found.scores.families
    ]  # fmt: skip
    sections = [
        f"# Accuracy prior {found.name}: predicted against published",
        environment,
        _INTRODUCTION.format(
            rows=len(published),
            networks=len(np.unique(published.network)),
            families=len(np.unique(published.family)),
            scored=found.scores.rows,
        ),
        "## Errors and intervals",
        _table(
            scores,
            ("points of top-1", "mean error", "median", "mean of families", "in 90 % interval", "mean of families",
             "mean width"),
        ),
        f"![predicted against published]({picture})",
        *_elsewhere(found),
        "## Families, the worst first",
        _table(families, ("family", "rows", "mean error", "size alone", "mean of predicted − published",
                          "in 90 % interval")),
        "## The worst rows",
        _table(_worst(found), ("network", "family", "recipe", "published", "predicted", "90 % interval")),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _elsewhere(found: Evaluation) -> list[str]:
    sections = []
    if found.order:
        rows = [
            (name, part.networks, f"{part.spearman:.2f}", f"{part.size_only_spearman:.2f}")
            for name, part in found.order.items()
        ]
        sections += [
            "## Order of networks of one space, beyond size",
            _ORDER.format(without=WITHOUT),
            _table(rows, ("networks", "number", found.name, "size alone")),
        ]
    if found.one_space:
        errors = [
            (name, part.networks, f"{part.mean_error:.3f}", f"{max(part.errors):.3f}")
            for name, part in found.one_space.items()
        ]
        sections += [
            "## Within one space",
            _ONE_SPACE.format(trained_on=TRAINED_ON, draws=DRAWS),
            _table(errors, ("networks", "number", "points off, mean of draws", "worst draw")),
        ]
    return sections


def _worst(found: Evaluation, count: int = 20) -> list[tuple[str, ...]]:
    published, held = found.published, found.held
    error = np.abs(held.mean - published.top1) * published.scored
    return [
        (
            str(published.network[i]), str(published.family[i]), str(published.recipes[i]), f"{published.top1[i]:.1f}",
            f"{held.mean[i]:.1f}", f"{held.low[i]:.1f} – {held.high[i]:.1f}",
        )
        for i in np.argsort(-error, kind="stable")[:count].tolist()
    ]  # fmt: skip


def _table(rows: list[Any], headers: tuple[str, ...]) -> str:
    return markdown(headers, rows)


def _draw(found: Evaluation, path: Path) -> None:
    """Predicted against published: the scored rows, the families with most of them in colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    published, held = found.published, found.held
    figure = Figure(figsize=(9.5, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    families = sorted(found.scores.families, key=lambda part: -part.rows)
    for number, part in enumerate(families):
        rows = published.scored & (published.family == part.family)
        mean = held.mean[rows]
        bars = np.stack((mean - held.low[rows], held.high[rows] - mean))
        axes.errorbar(
            published.top1[rows], mean, yerr=bars, fmt="osD^vPX*"[number % 8], ms=4, lw=0.4, alpha=0.8,
            color=f"C{number % 10}", label=f"{part.family} ({part.rows})",
        )  # fmt: skip
    top1 = published.top1[published.scored]
    ends = np.array([top1.min() - 1.0, top1.max() + 1.0])
    axes.plot(ends, ends, color="black", lw=1.0)
    for off in (-1.0, 1.0):
        axes.plot(ends, ends + off, color="grey", lw=0.7, ls="--")
    axes.set(xlabel="published top-1, %", ylabel="predicted with the family left out, %")
    axes.set_title(f"{found.name}: scored rows, 90 % intervals; dashed: ±1 point")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))
    with writing(path):
        figure.savefig(path)
