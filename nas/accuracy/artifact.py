"""A fitted prior on disk: `manifest.json` and `prior.npz`, checked before anything is used.

Nothing in them is executed: JSON and arrays without pickles. The rows that the prior was fitted to lie beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.features import NETWORK_FEATURES
from nas.accuracy.gaussian_process import Hyperparameters, Rows
from nas.accuracy.novelty import LEAST_SPREAD, SHAPE_FEATURES, Novelty
from nas.accuracy.prior import Prior, to_target
from nas.accuracy.recipe import COVARIATES
from nas.contents import read_arrays, read_content, read_json
from nas.errors import InputError, NasError, unknown_name
from nas.resources import check_name, names, rooms

MANIFEST_FILE, ARRAYS_FILE, ROWS_FILE, OPERATORS_FILE = "manifest.json", "prior.npz", "rows.csv", "operators.csv.gz"
FORMAT = 1
_FARTHEST = 1e6
_RANGES: Mapping[str, tuple[float, float]] = {
    "hyperparameters": (-14.0, 14.0),
    "targets": (float(to_target(np.array(0.0))), float(to_target(np.array(99.5)))),
    "spread": (LEAST_SPREAD, 1e12),
    "centre": (-1e12, 1e12),
    "shapes": (-1e12, 1e12),
}
"""Between which numbers the arrays of a prior lie: logarithms of scales, accuracies from 0 to 99.5 %, features."""
_REMEDY = "restore the folder, or build it again with: nas predictor train"


def prior_folder(name: str) -> Path:
    """The folder of the fitted prior called `name`, the user's own before the shipped one.

    Raises `InputError` with the nearest names for one that is not known.
    """
    check_name(name, what="predictor")
    for folder in rooms("predictors"):
        if (folder / name / MANIFEST_FILE).is_file():
            return folder / name
    raise unknown_name("predictor", name, names("predictors", f"*/{MANIFEST_FILE}"))


def write_prior(folder: Path, prior: Prior, manifest: Mapping[str, Any]) -> None:
    """Write `prior.npz` and `manifest.json`; the same prior gives the same bytes. Raises `NasError` if it cannot."""
    stream = io.BytesIO()
    np.savez(
        stream,
        hyperparameters=prior.hyper.log_vector(),
        features=prior.rows.features,
        recipe=prior.rows.recipe,
        family=prior.rows.family,
        network=prior.rows.network,
        targets=prior.targets,
        centre=prior.centre,
        spread=prior.spread,
        shapes=prior.novelty.observed,
    )
    arrays = stream.getvalue()
    document = {
        "format": FORMAT,
        **manifest,
        "features": list(NETWORK_FEATURES),
        "recipe_covariates": list(COVARIATES),
        "sha256": {**dict(manifest.get("sha256", {})), ARRAYS_FILE: hashlib.sha256(arrays).hexdigest()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ARRAYS_FILE).write_bytes(arrays)
        (folder / MANIFEST_FILE).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise NasError(f"the predictor must be written to {folder}, but: {error.strerror}; choose --out.") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the predictor in `folder`; raises `InputError` naming the file and what is wrong."""
    path = folder / MANIFEST_FILE
    document = read_json(path, "the manifest of a predictor (JSON)", remedy=_REMEDY)
    sums = document.get("sha256") if isinstance(document, dict) else None
    if not isinstance(sums, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} must be the manifest of a predictor (format {FORMAT}), but is not; {_REMEDY}.")
    for key, expected in (("features", NETWORK_FEATURES), ("recipe_covariates", COVARIATES)):
        if document.get(key) != list(expected):
            raise InputError(f"{path}: {key} must be those of this version of nas, but differ; {_REMEDY}.")
    return dict(document)


def check_file(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a file of the predictor; raises `InputError` where its checksum is not the manifest's."""
    path = folder / name
    content = read_content(path, "a file of the predictor", remedy=_REMEDY)
    if hashlib.sha256(content).hexdigest() != manifest["sha256"].get(name):
        raise InputError(
            f"{path} must have the checksum in {MANIFEST_FILE}, but has another: it is damaged; {_REMEDY}."
        )
    return content


def read_prior(folder: Path) -> tuple[Prior, dict[str, Any]]:
    """The prior in `folder` and its manifest. Raises `InputError` for damaged, foreign or pickled content."""
    manifest = read_manifest(folder)
    path = folder / ARRAYS_FILE
    content = check_file(folder, ARRAYS_FILE, manifest)
    arrays = read_arrays(content, path, what="the arrays of a prior", remedy=_REMEDY)
    try:
        return _prior(arrays), manifest
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} must hold the arrays of a prior, but: {error}; {_REMEDY}.") from error


def _prior(arrays: Mapping[str, NDArray[Any]]) -> Prior:
    rows = Rows(
        features=arrays["features"], recipe=arrays["recipe"], family=arrays["family"], network=arrays["network"]
    )
    n, d, r = len(rows), len(NETWORK_FEATURES), len(COVARIATES)
    shapes = {
        "hyperparameters": (1 + d + r + 4,),
        "features": (n, d),
        "recipe": (n, r),
        "family": (n,),
        "network": (n,),
        "targets": (n,),
        "centre": (d,),
        "spread": (d,),
        "shapes": (len(arrays["shapes"]), len(SHAPE_FEATURES)),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must be {shape} numbers")
        low, high = _RANGES.get(name, (-_FARTHEST, _FARTHEST))
        if arrays[name].size and not (low <= arrays[name].min() and arrays[name].max() <= high):
            raise ValueError(f"{name} must be from {low:g} to {high:g}")
    return Prior(
        hyper=Hyperparameters.from_log_vector(arrays["hyperparameters"], d),
        rows=rows,
        targets=arrays["targets"],
        centre=arrays["centre"],
        spread=arrays["spread"],
        novelty=Novelty(observed=arrays["shapes"]),
    )
