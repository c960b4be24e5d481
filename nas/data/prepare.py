"""From a data set that was checked to arrays of one size that are trained on: decoded once, kept under `runs/data`."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nas.data.cache import ArrayPlan, alone, read_cache, write_cache
from nas.data.dataset import DataSet, kept_folder
from nas.data.listing import SPLITS
from nas.data.prepared import Prepared, Split
from nas.data.threads import each
from nas.errors import InputError, NasError
from nas.progress import OnProgress, Step, silent

MARGIN = 8 / 7
"""Training images are kept so much larger than what is trained on (256 pixels for 224), for random crops."""


def prepare(
    dataset: DataSet,
    *,
    size: tuple[int, int],
    channels: int | None = None,
    seed: int = 0,
    validation: bool = True,
    shared: bool = False,
    progress: OnProgress = silent,
) -> Prepared:
    """The images of `dataset` at `size` (height, width) with `channels` (1 or 3; by default as the data set has).

    Of each image the greatest centred part of the wanted proportions is scaled to `size`, or for training to `MARGIN`
    times it, so that crops of `size` can be drawn. Where all training images have the size already they keep their
    pixels, and there is no margin. `seed` draws splits that are absent. Without `validation` the images of that split
    are among those that train, for a training that nothing is chosen by; the digest is the same. Decoded images are
    kept under `runs/data`, and made again when the data, the size or the splits are others; `shared` says that
    other processes of this machine read them too, and each is to take no memory of its own for them. Raises `NasError`
    where the disk has no room, and where a file changes while it is read.
    """
    channels = dataset.channels if channels is None else channels
    if min(size) < 1 or channels not in (1, 3):
        raise InputError(
            f"images must be prepared at a size from 1 × 1 on with 1 or 3 channels, but got {size} and {channels}."
        )
    splits = dataset.splits(seed)
    rows = {name: np.flatnonzero(splits == i) for i, name in enumerate(SPLITS)}
    digest, contents = _digest(dataset, rows, size, channels), _contents(dataset, rows)
    if not validation:
        rows |= {"train": np.flatnonzero(splits != SPLITS.index("test")), "val": rows["val"][:0]}
    sizes = {"train": _training_size(dataset, rows["train"], size), "val": size, "test": size}
    images = _stored(dataset, rows, sizes, channels)
    if images is None:
        # Another seed is not other data; each keeps its own.
        kind = f"{size[0]}x{size[1]}x{channels}" + (f"-seed{seed}" if dataset.findings.drawn else "")
        kind += "" if validation else "-all"
        images = _cached(dataset, rows, sizes, channels, (kind, digest), shared, progress)
    train, val, test = (
        Split(images=images[name], labels=dataset.labels[rows[name]], names=tuple(map(dataset.names.__getitem__, at)))
        for name, at in ((name, rows[name].tolist()) for name in SPLITS)
    )
    return Prepared(classes=dataset.classes, train=train, val=val, test=test, digest=digest, contents=contents)


def contents_digest(dataset: DataSet, *, seed: int = 0) -> str:
    """A digest of the contents, labels and splits of `dataset`, the same at whatever size its images are prepared."""
    splits = dataset.splits(seed)
    return _contents(dataset, {name: np.flatnonzero(splits == i) for i, name in enumerate(SPLITS)})


def _contents(dataset: DataSet, rows: dict[str, NDArray[np.int64]]) -> str:
    return _digest(dataset, rows, (0, 0), dataset.channels)


def _training_size(dataset: DataSet, rows: NDArray[np.int64], size: tuple[int, int]) -> tuple[int, int]:
    if (dataset.sizes[rows] == np.array(size)).all():
        return size
    return round(size[0] * MARGIN), round(size[1] * MARGIN)


def _digest(dataset: DataSet, rows: dict[str, NDArray[np.int64]], size: tuple[int, int], channels: int) -> str:
    """Of the contents, labels and splits in order, the classes and the size: what all pixels follow from."""
    content = {
        "form": 1,
        "size": size,
        "channels": channels,
        "classes": dataset.classes,
        "splits": {
            name: [(dataset.contents[i], int(dataset.labels[i])) for i in at.tolist()] for name, at in rows.items()
        },
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _stored(
    dataset: DataSet, rows: dict[str, NDArray[np.int64]], sizes: dict[str, tuple[int, int]], channels: int
) -> dict[str, NDArray[np.uint8]] | None:
    """The images where they are in memory already, in the form that is wanted."""
    found: dict[str, NDArray[np.uint8]] = {}
    for name in SPLITS:
        images = dataset.images.stored(rows[name], sizes[name], channels)
        if images is None:
            return None
        found[name] = images
    return found


def _cached(
    dataset: DataSet,
    rows: dict[str, NDArray[np.int64]],
    sizes: dict[str, tuple[int, int]],
    channels: int,
    name: tuple[str, str],
    shared: bool,
    progress: OnProgress,
) -> dict[str, NDArray[np.uint8]]:
    """The images from the cache called `name` (kind, digest), which is made where it is not there, or damaged; older
    ones of its kind are of data that have changed, and go."""
    kind, digest = name
    folder = kept_folder(dataset.path) / f"{kind}-{digest[:16]}"
    images = read_cache(folder, shared=shared)
    if images is not None:
        return images
    with alone(folder.parent, lambda: progress(Step(doing="waiting for another process that decodes these images"))):
        images = read_cache(folder, shared=shared)
        if images is not None:
            return images
        for old in folder.parent.glob(f"{kind}-*"):
            shutil.rmtree(old, ignore_errors=True)
        drawn = _drawn(dataset, rows, sizes, channels, progress)
        write_cache(
            folder,
            {name: ArrayPlan(shape=(len(rows[name]), *sizes[name], channels), images=drawn[name]) for name in SPLITS},
        )
        images = read_cache(folder, shared=shared)
    if images is None:
        raise NasError(
            f"{folder} must hold what was written to it, but does not; look after the disk, and start again."
        )
    return images


def _drawn(
    dataset: DataSet,
    rows: dict[str, NDArray[np.int64]],
    sizes: dict[str, tuple[int, int]],
    channels: int,
    progress: OnProgress,
) -> dict[str, Iterator[NDArray[np.uint8]]]:
    """The images of each split at its size, in order, decoded as they are asked for."""
    total, done = len(dataset), itertools.count(1)

    def images(name: str) -> Iterator[NDArray[np.uint8]]:
        for image in each(lambda at: dataset.images.draw(at, sizes[name], channels), rows[name].tolist()):
            yield image
            progress(Step(doing="decoding images", done=next(done), of=total))

    return {name: images(name) for name in SPLITS}
