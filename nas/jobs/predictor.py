"""Predictors of accuracy as a user handles them: train, evaluate."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nas.accuracy.artifact import (
    ARRAYS_FILE,
    OPERATORS_FILE,
    ROWS_FILE,
    check_file,
    read_manifest,
    write_prior,
)
from nas.accuracy.features import network_features
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.one_space import ACCEL_FILE, OFA_FILE, SpaceRows, fit_one_space, read_accel, read_ofa
from nas.accuracy.prior import Prior
from nas.accuracy.published import PublishedRows, fit_prior, read_published_rows
from nas.accuracy.recipe import DEFAULT_RECIPE
from nas.accuracy.validate import HeldOut, Scores, hold_out_families, partial_spearman, scores, size_features, size_only
from nas.errors import InputError, unknown_name
from nas.figures import leaving
from nas.files import sha256, write_bytes
from nas.progress import OnProgress, Step, counted, silent
from nas.resources import check_name, names, rooms, workspace

WITHOUT = "OFA"
"""The family that the prior must not have seen when it orders the networks of one space."""
TRAINED_ON, DRAWS = 100, 10
SPLIT = "each family left out with all its rows; scaling and hyper-parameters from the rest; its effects zero"


def predictor_folder(name: str) -> Path:
    """The folder of the predictor `name`, the user's own before the shipped one. Raises `InputError` with the nearest
    names for one that is not known."""
    check_name(name, what="predictor")
    for room in rooms("predictors"):
        if (room / name / ROWS_FILE).is_file():
            return room / name
    raise unknown_name("predictor", name, names("predictors", f"*/{ROWS_FILE}"))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One BLAS thread: with several, sums round differently from machine to machine."""
    import scipy.linalg  # brings a BLAS of its own, which can be limited once it is loaded

    assert scipy.linalg
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def fit_predictor(folder: Path) -> tuple[PublishedRows, Prior]:
    """The rows in `folder`, and the prior fitted to them: the same rows give the same bytes on the same machine."""
    with _one_thread():
        published = _published(folder)
        return published, fit_prior(published)


def _published(folder: Path) -> PublishedRows:
    """The rows in `folder`; raises `InputError` where they are too few to leave a family out and score the rest."""
    published = read_published_rows(folder / ROWS_FILE, folder / OPERATORS_FILE)
    families, networks = (len(np.unique(column, axis=0)) for column in (published.family, published.shapes))
    if families < 2 or networks < 2:
        raise InputError(
            f"{folder / ROWS_FILE} must hold two families or more, and two or more networks that differ in shape, but"
            f" has {families} and {networks}; add rows of others."
        )
    if not published.scored.any():
        raise InputError(
            f"{folder / ROWS_FILE} must have rows that errors are counted of, but none of its {len(published)} is"
            " scored; write True there, in all or in some."
        )
    return published


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What `train_predictor` wrote to `folder`; `scores` are nested, families left out."""

    folder: Path
    scores: Scores
    sha256: str


def train_predictor(name: str, out: Path | None = None, *, progress: OnProgress = silent) -> Trained:
    """Fit the predictor `name` to its rows, score it on families that it has not seen, and write both to `out`.

    By default `out` is the predictor's folder in the workspace. It gets a copy of the rows. The same rows give the
    same bytes on the same machine with the same versions.
    """
    source = predictor_folder(name)
    folder = out or workspace() / "predictors" / name
    progress(Step(doing="fitting"))
    published, prior = fit_predictor(source)
    found = _family_out(published, counted("families left out", progress))[1]
    inputs = (ROWS_FILE, OPERATORS_FILE)
    if folder.resolve() != source.resolve():
        for file in inputs:
            write_bytes(folder / file, (source / file).read_bytes())
    write_prior(folder, prior, _manifest(name, published, found, {file: sha256(folder / file) for file in inputs}))
    return Trained(folder=folder, scores=found, sha256=sha256(folder / ARRAYS_FILE))


def _manifest(name: str, published: PublishedRows, found: Scores, checksums: Mapping[str, str]) -> dict[str, Any]:
    import scipy

    return {
        "name": name,
        "data_set": "ImageNet-1k, top-1 of the validation set as published",
        "rows": len(published),
        "networks": len(np.unique(published.network)),
        "families": len(np.unique(published.family)),
        "default_recipe": str(DEFAULT_RECIPE),
        "split": SPLIT,
        "scores": {"unit": "points of top-1", **found.as_json()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "sha256": dict(checksums),
    }


def _family_out(published: PublishedRows, progress: Callable[[int, int], None]) -> tuple[HeldOut, Scores]:
    with _one_thread():
        held = hold_out_families(published, progress)
    found = scores(published, held)
    leaving("the scores of a predictor", found.as_json().values())
    return held, found


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderScore:
    """How the prior, fitted without a family, orders the networks of one space: Spearman's correlation after a
    quadratic in log MACs and log parameters is regressed out; beside it that of a prior of size alone."""

    networks: int
    without: str
    spearman: float
    size_only_spearman: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSpaceScore:
    """Mean absolute errors, in points, of models fitted to `trained_on` networks of one space, on the rest of it."""

    networks: int
    trained_on: int
    errors: tuple[float, ...]

    @property
    def mean_error(self) -> float:
        """The mean over the draws."""
        return float(np.mean(self.errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What `evaluate_predictor` found; `order` and `one_space` are empty where their data sets are absent."""

    name: str
    published: PublishedRows
    held: HeldOut
    scores: Scores
    size_only: Scores
    order: Mapping[str, OrderScore] = field(default_factory=dict)
    one_space: Mapping[str, OneSpaceScore] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One record; errors and widths in points of top-1, coverage as a fraction."""
        return {
            "predictor": self.name,
            "rows": len(self.published),
            "split": SPLIT,
            "family_out": self.scores.as_json(),
            "size_only": self.size_only.as_json(),
            "families": [
                {
                    "family": part.family,
                    "rows": part.rows,
                    "mean_error": round(part.mean_error, 4),
                    "bias": round(part.bias, 4),
                    "coverage": round(part.coverage, 4),
                }
                for part in self.scores.families
            ],
            "order": {
                name: {
                    "networks": part.networks,
                    "fitted_without": part.without,
                    "spearman_beyond_size": round(part.spearman, 4),
                    "size_only_spearman_beyond_size": round(part.size_only_spearman, 4),
                }
                for name, part in self.order.items()
            },
            "one_space": {
                name: {
                    "networks": part.networks,
                    "trained_on": part.trained_on,
                    "draws": len(part.errors),
                    "mean_error": round(part.mean_error, 4),
                    "worst_draw": round(max(part.errors), 4),
                }
                for name, part in self.one_space.items()
            },
        }


def evaluate_predictor(name: str, *, data: Path | None = None, progress: OnProgress = silent) -> Evaluation:
    """Score the predictor `name` by nested fits that leave out a family, beside one that knows only sizes.

    Where the folder `data` holds Accel-NASBench or the once-for-all networks, these are ordered and fitted too.
    """
    folder = predictor_folder(name)
    manifest = read_manifest(folder)
    for file in (ROWS_FILE, OPERATORS_FILE):
        check_file(folder, file, manifest)
    published = _published(folder)
    held, found = _family_out(published, counted("families left out", progress))
    _, plain = _family_out(size_only(published), counted("size alone", progress))
    spaces = _spaces(data)
    return Evaluation(
        name=name,
        published=published,
        held=held,
        scores=found,
        size_only=plain,
        order=_order(published, spaces, progress) if spaces else {},
        one_space={rows.name: _one_space(rows, progress) for rows in spaces if rows.name == "ofa_mobilenetv3"},
    )


def _spaces(data: Path | None) -> list[SpaceRows]:
    if data is None:
        return []
    readers = ((ACCEL_FILE, read_accel), (OFA_FILE, read_ofa))
    found = [read(data) for file, read in readers if (data / file).exists()]
    if not found:
        raise InputError(f"{data} must hold {ACCEL_FILE} or {OFA_FILE}, but holds neither; leave --data out.")
    return found


def _order(published: PublishedRows, spaces: list[SpaceRows], progress: OnProgress) -> dict[str, OrderScore]:
    progress(Step(doing=f"fitting without {WITHOUT}"))
    rows = published.select(published.family != WITHOUT)
    with _one_thread():
        prior, plain = fit_prior(rows), fit_prior(size_only(rows))
    found = {}
    for space in spaces:
        features = np.asarray(network_features(space.sums, space.resolution), dtype=np.float64)
        sizes = size_features(features)
        size = np.log(space.macs), np.log(space.params)
        found[space.name] = OrderScore(
            networks=len(space.top1),
            without=WITHOUT,
            spearman=partial_spearman(prior.predict_features(features)[0], space.top1, *size),
            size_only_spearman=partial_spearman(plain.predict_features(sizes)[0], space.top1, *size),
        )
    return found


def _one_space(space: SpaceRows, progress: OnProgress) -> OneSpaceScore:
    features: Floats = np.column_stack((space.codes, np.log(space.macs), np.log(space.params)))
    errors = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(space.top1))
        seen, rest = order[:TRAINED_ON], order[TRAINED_ON:]
        with _one_thread():
            predicted = fit_one_space(features[seen], space.top1[seen])(features[rest])
        errors.append(float(np.abs(predicted - space.top1[rest]).mean()))
        progress(Step(doing=f"{TRAINED_ON} of {space.name}", done=draw + 1, of=DRAWS))
    return OneSpaceScore(networks=len(space.top1), trained_on=TRAINED_ON, errors=tuple(errors))
