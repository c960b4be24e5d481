"""The published rows that the prior is fitted to."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.features import feature_groups, network_features, operator_sums
from nas.accuracy.fitting import fit_hyperparameters
from nas.accuracy.gaussian_process import Floats, Hyperparameters, Rows
from nas.accuracy.novelty import LEAST_SPREAD, Novelty, shape_features
from nas.accuracy.prior import Prior, to_target
from nas.accuracy.recipe import AUGMENTATIONS, Recipe
from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.graph.operators import read_operator_lists

ROW_COLUMNS = (
    "network",
    "family",
    "resolution",
    "top1",
    "epochs",
    "distilled",
    "recipe",
    "log_test_over_train_resolution",
    "adversarial",
    "source",
    "variant",
    "scored",
)


_RANGES = {
    "resolution": (1.0, 1e5), "top1": (0.0, 99.5), "epochs": (0.0, 1e6),
    "log_test_over_train_resolution": (-10.0, 10.0),
}  # fmt: skip
"""Between which numbers a column's lie."""
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
"""What a column that says yes or no holds, in any case: spreadsheets write TRUE for True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRows:
    """Published results: all of length n. `features` (n, D) as `network_features` gives them, `shapes` (n, S) as
    `shape_features` does, `top1` in percent."""

    network: NDArray[np.str_]
    family: NDArray[np.str_]
    features: Floats
    shapes: Floats
    recipes: tuple[Recipe, ...]
    top1: Floats
    scored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.network)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> PublishedRows:
        """The rows at `rows` (positions or a mask)."""
        positions = np.arange(len(self))[rows]
        return PublishedRows(
            network=self.network[positions],
            family=self.family[positions],
            features=self.features[positions],
            shapes=self.shapes[positions],
            recipes=tuple(self.recipes[i] for i in positions),
            top1=self.top1[positions],
            scored=self.scored[positions],
        )


def read_published_rows(rows_path: Path, operators_path: Path) -> PublishedRows:
    """The rows of a CSV file with `ROW_COLUMNS`, their features from a file of operator lists.

    Raises `InputError` naming file, row and column for a value that is none, or a network without operators.
    """
    lists = read_operator_lists(operators_path)
    text = text_of(read_content(rows_path, "a CSV file"), rows_path, "a CSV file")
    try:
        records = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{rows_path} must be a CSV file, but: {error}; get the whole file.") from error
    if not records or set(ROW_COLUMNS) - set(records[0]):
        raise InputError(f"{rows_path} must have rows with the columns {', '.join(ROW_COLUMNS)}.")
    recipes, numbers, scored = [], [], []
    for number, record in enumerate(records, start=2):
        where = f"{rows_path}, row {number}"
        if record["network"] not in lists:
            raise InputError(f"{where}: {record['network']!r} must have operators in {operators_path}, but has none.")
        numbers.append([_number(record, column, where) for column in ("resolution", "top1")])
        recipes.append(_recipe(record, where))
        scored.append(_flag(record, "scored", where))
    resolution, top1 = np.array(numbers).T
    names = np.array([record["network"] for record in records])
    distinct, first, owner = np.unique(names, return_index=True, return_inverse=True)
    sums = operator_sums([lists[name] for name in distinct], resolution[first].tolist())
    features = network_features(sums, resolution[first])[owner]
    return PublishedRows(
        network=names,
        family=np.array([record["family"] for record in records]),
        features=np.asarray(features, dtype=np.float64),
        shapes=np.asarray(shape_features(sums, resolution[first])[owner], dtype=np.float64),
        recipes=tuple(recipes),
        top1=top1,
        scored=np.array(scored),
    )


def _number(record: dict[str, str], column: str, where: str) -> float:
    value = entering(record[column])
    least, most = _RANGES[column]
    if not least <= value <= most:
        raise InputError(f"{where}: {column} must be a number from {least:g} to {most:g}, but got {record[column]!r}.")
    return value


def _flag(record: dict[str, str], column: str, where: str) -> bool:
    flag = _FLAGS.get(str(record[column]).lower())
    if flag is None:
        raise InputError(f"{where}: {column} must be True, False, 1 or 0, but got {record[column]!r}.")
    return flag


def _recipe(record: dict[str, str], where: str) -> Recipe:
    for name in AUGMENTATIONS:
        if record["recipe"] == name:
            return Recipe(
                augmentation=name,
                epochs=_number(record, "epochs", where),
                distilled=_flag(record, "distilled", where),
                adversarial=_flag(record, "adversarial", where),
                log_test_resolution=_number(record, "log_test_over_train_resolution", where),
            )
    raise InputError(f"{where}: recipe must be one of {', '.join(AUGMENTATIONS)}, but got {record['recipe']!r}.")


def fit_prior(published: PublishedRows, *, hyper: Hyperparameters | None = None) -> Prior:
    """The prior conditioned on `published`, hyper-parameters chosen on the same rows unless given."""
    centre, spread = published.features.mean(axis=0), published.features.std(axis=0)
    spread = np.where(spread > LEAST_SPREAD, spread, 1.0)
    rows = Rows(
        features=(published.features - centre) / spread,
        recipe=np.array([recipe.covariates() for recipe in published.recipes]),
        family=np.unique(published.family, return_inverse=True)[1].reshape(-1),
        network=np.unique(published.network, return_inverse=True)[1].reshape(-1),
    )
    targets = to_target(published.top1)
    chosen = hyper or fit_hyperparameters(rows, targets, feature_groups(published.features.shape[1]))
    novelty = Novelty(observed=np.unique(published.shapes, axis=0))
    return Prior(hyper=chosen, rows=rows, targets=targets, centre=centre, spread=spread, novelty=novelty)
