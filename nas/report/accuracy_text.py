"""The scores of a predictor of accuracy as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.jobs.predictor import Trained
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual


def trained_text(name: str, found: Trained, page: Page = PLAIN) -> str:
    """Where a predictor was written, and how far off it is on families that it has not seen."""
    return page.filled(
        f"{name}: wrote {found.folder}; families left out: {found.scores.mean_error:.2f} points off"
        f" (median {found.scores.median_error:.2f}), {100 * found.scores.coverage:.0f} % of rows in their 90 % interval"
    )


def scores_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The record of `nas.jobs.predictor.Evaluation.as_json`: scores, the worst families, what else it was tried on."""
    columns = [
        textual("points of top-1"), numeric("mean"), numeric("median"), numeric("family mean", 1), numeric("in 90 %"),
        numeric("family in 90 %", 2), numeric("width", 3),
    ]  # fmt: skip
    rows = [
        (
            title,
            f"{part['mean_error']:.2f}",
            f"{part['median_error']:.2f}",
            f"{part['family_mean_error']:.2f}",
            f"{100 * part['coverage']:.0f} %",
            f"{100 * part['family_coverage']:.0f} %",
            f"{part['mean_width']:.1f}",
        )
        for title, part in ((record["predictor"], record["family_out"]), ("size alone", record["size_only"]))
    ]
    worst = ", ".join(f"{part['family']} {part['mean_error']:.2f}" for part in record["families"][:6])
    parts = [
        page.filled(
            f"{record['predictor']}: {record['family_out']['rows']} of {record['rows']} rows scored, families left out"
        ),
        "",
        table(columns, rows, page),
        "",
        page.filled(f"worst families: {worst}"),
    ]
    for space, part in record["order"].items():
        parts.append(
            page.filled(
                f"{space}, fitted without {part['fitted_without']}: Spearman beyond size"
                f" {part['spearman_beyond_size']:.2f} (size alone {part['size_only_spearman_beyond_size']:.2f})"
            )
        )
    for space, part in record["one_space"].items():
        parts.append(
            page.filled(
                f"{space}, trained on {part['trained_on']} of its {part['networks']} networks: {part['mean_error']:.3f}"
                f" points off (mean of {part['draws']} draws)"
            )
        )
    return "\n".join(parts)
