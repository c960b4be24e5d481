"""Rows of a user's own: what says yes or no is read as written, and what cannot be read is refused by its place."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from nas.accuracy.novelty import Novelty
from nas.accuracy.published import ROW_COLUMNS, fit_prior, read_published_rows
from nas.errors import InputError
from tests.accuracy.tables import SHIPPED, hyper, invented


def write_rows(path: Path, *changes: dict[str, str], families: tuple[str, ...] = ()) -> Path:
    """The first shipped rows, or the first two of each of `families`, one for each of `changes`."""
    with (SHIPPED / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if families:
        rows = [row for name in families for row in [one for one in rows if one["family"] == name][:2]]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ROW_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | change for row, change in zip(rows, changes, strict=False))
    return path


@pytest.mark.parametrize(
    ("written", "read"), [("TRUE", True), ("true", True), ("1", True), ("False", False), ("0", False)]
)
def test_what_a_spreadsheet_writes_for_true_is_true(tmp_path: Path, written: str, read: bool) -> None:
    flags = ("scored", "distilled", "adversarial")
    rows = read_published_rows(
        write_rows(tmp_path / "rows.csv", dict.fromkeys(flags, written)), SHIPPED / "operators.csv.gz"
    )
    assert rows.scored.tolist() == [read]
    assert (rows.recipes[0].distilled, rows.recipes[0].adversarial) == (read, read)


@pytest.mark.parametrize("column", ["scored", "distilled", "adversarial"])
@pytest.mark.parametrize("written", ["yes", ""])
def test_what_says_neither_yes_nor_no_is_refused(tmp_path: Path, column: str, written: str) -> None:
    path = write_rows(tmp_path / "rows.csv", {}, {column: written})
    with pytest.raises(InputError, match=f"row 3: {column} must be True, False, 1 or 0, but got '{written}'"):
        read_published_rows(path, SHIPPED / "operators.csv.gz")


def test_a_column_that_differs_by_rounding_is_constant() -> None:
    """The mean of 0.1, 0.1, 0.1 is not 0.1: so small a spread cannot be read again, and makes all that is new far."""
    rows = invented()
    rows.features[:, 1] = rows.shapes[:, 1] = 0.1 + 1e-17 * np.arange(len(rows))
    rows.features[0, 1] = rows.shapes[0, 1] = np.nextafter(0.1, 1)
    assert 0 < rows.features[:, 1].std() < 1e-15
    prior = fit_prior(rows, hyper=hyper())
    assert prior.spread[1] == 1
    beside = rows.shapes[:1] + np.eye(rows.shapes.shape[1])[1] * 1e-6
    assert Novelty(observed=rows.shapes).distance_of(beside)[0] == pytest.approx(0, abs=1e-3)
