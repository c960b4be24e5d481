"""A data set as an `.npz` file of arrays: `x_train`, `y_train`, perhaps those of val and test, and `classes`.

The arrays are read straight from the archive: what they are is known before any of them is unpacked, and objects, which
would be code, are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.listing import SPLITS, check_classes
from nas.data.memory import free_memory
from nas.data.words import few, shown
from nas.errors import InputError, NasError
from nas.units import bytes_text

KNOWN = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "classes")
_MOST_CLASSES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrays:
    """The images of all splits in one array (n, height, width, 1 or 3), with their labels, their splits (positions in
    `SPLITS`) and names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    names: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_npz(path: Path) -> Arrays:
    """The arrays of `path`. Raises `InputError` for what is not of the form above, or damaged, and `NasError` where the
    images do not fit the memory."""
    place = shown(str(path))
    with _damage_told(place), zipfile.ZipFile(path) as archive:
        headers = {name: _header(archive, name, place) for name in _names(archive, place)}
        splits = [i for i, split in enumerate(SPLITS) if f"x_{split}" in headers]
        _check(headers, splits, place)
        counts = [headers[f"x_{SPLITS[i]}"].shape[0] for i in splits]
        images = np.empty((sum(counts), *headers["x_train"].shape[1:]), np.uint8)
        labels = np.empty(len(images), np.int64)
        start = 0
        for i, count in zip(splits, counts, strict=True):
            _fill(archive, f"x_{SPLITS[i]}", images[start : start + count])
            labels[start : start + count] = _small(archive, headers, f"y_{SPLITS[i]}")
            start += count
        texts = [str(name) for name in _small(archive, headers, "classes")] if "classes" in headers else None
    most = _MOST_CLASSES if texts is None else len(texts)
    wrong = labels[(labels < 0) | (labels >= most)]
    if len(wrong):
        raise InputError(
            f"labels of {place} must be positions in its classes, from 0 to {most - 1}, but one is {wrong[0]}; number"
            " them from 0."
        )
    classes = check_classes([str(i) for i in range(labels.max() + 1)] if texts is None else texts, place)
    return Arrays(
        images=images,
        labels=labels,
        splits=np.repeat(np.array(splits, np.int8), counts),
        names=tuple(f"x_{SPLITS[i]}[{at}]" for i, count in zip(splits, counts, strict=True) for at in range(count)),
        classes=classes,
    )


@contextmanager
def _damage_told(place: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{place} must be a whole .npz file as numpy.savez writes it, but: {shown(str(error)) or 'it is cut off'};"
            " write or copy it again."
        ) from error


def _names(archive: zipfile.ZipFile, place: str) -> list[str]:
    """The names of the arrays, all known, with images and labels in pairs and those of training among them."""
    names = [entry.removesuffix(".npy") for entry in archive.namelist()]
    strange = [shown(name) for name in names if name not in KNOWN]
    if strange:
        raise InputError(f"arrays of {place} must be called {', '.join(KNOWN)}, but one is {few(strange)}; rename it.")
    wanted = {"x_train", "y_train"} | {f"{letter}_{name[2:]}" for name in names if name != "classes" for letter in "xy"}
    absent = sorted(wanted - set(names))
    if absent:
        raise InputError(
            f"{place} must hold x_train and y_train, and labels y_… for all images x_…, but {few(absent)} is absent."
        )
    return names


def _header(archive: zipfile.ZipFile, name: str, place: str) -> _Header:
    with archive.open(f"{name}.npy") as file:
        shape, fortran, dtype = _read_header(file)
    if dtype.hasobject:
        raise InputError(
            f"arrays of {place} must hold numbers or texts, but {name} holds Python objects, which are not read: they"
            " can run code; save it again with a plain dtype."
        )
    if fortran and len(shape) > 1:
        raise InputError(
            f"arrays of {place} must be in C order, but {name} is not; save numpy.ascontiguousarray of it."
        )
    return _Header(shape=shape, dtype=dtype)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    form: Any = np.lib.format  # has no types
    version = form.read_magic(file)
    shape, fortran, dtype = (form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0)(file)
    if any(size < 0 for size in shape):
        raise ValueError("a shape is negative")
    return shape, fortran, dtype


def _check(headers: dict[str, _Header], splits: list[int], place: str) -> None:
    """Refuse wrong dtypes and shapes, and what is too much for the memory."""
    size = headers["x_train"].shape[1:]
    for split in (SPLITS[i] for i in splits):
        images, labels = headers[f"x_{split}"], headers[f"y_{split}"]
        if images.dtype != np.uint8 or len(images.shape) != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
            raise InputError(
                f"x_{split} of {place} must be uint8 of shape (n, height, width, 1 or 3), but is {images.dtype} of"
                f" shape {images.shape}; convert it (fractions: round 255 times them; gray images: [..., None])."
            )
        if images.shape[1:] != size:
            raise InputError(
                f"all images of {place} must have one shape, but x_train has {size} and x_{split} {images.shape[1:]}."
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise InputError(
                f"y_{split} of {place} must be integers of shape ({images.shape[0]},), one for each image, but is"
                f" {labels.dtype} of shape {labels.shape}."
            )
    classes = headers.get("classes")
    if classes and (classes.dtype.kind != "U" or len(classes.shape) != 1 or classes.shape[0] > _MOST_CLASSES):
        raise InputError(
            f"classes of {place} must be a list of texts, but is {classes.dtype} of shape {classes.shape}."
        )
    needed, free = sum(int(np.prod(h.shape, dtype=object)) * h.dtype.itemsize for h in headers.values()), free_memory()
    if needed > free:
        raise NasError(
            f"the arrays of {place} take {bytes_text(needed)}, which must fit the memory, but {bytes_text(free)} are"
            " free; give the images as a folder."
        )


def _fill(archive: zipfile.ZipFile, name: str, into: NDArray[np.uint8]) -> None:
    """Unpack the array `name` into `into`, which has its shape."""
    view = into.reshape(-1).data
    with archive.open(f"{name}.npy") as file:
        _read_header(file)
        done = 0
        while done < len(view):
            part = file.read(2**20)
            if not part:
                raise EOFError
            view[done : done + len(part)] = part
            done += len(part)
        if file.read(1):  # reads to the end, where the checksum is compared
            raise ValueError(f"{name} is longer than it says")


def _small(archive: zipfile.ZipFile, headers: dict[str, _Header], name: str) -> NDArray[Any]:
    """The array `name`, which is as its header says."""
    header = headers[name]
    raw = np.empty(int(np.prod(header.shape)) * header.dtype.itemsize, np.uint8)
    _fill(archive, name, raw)
    return raw.view(header.dtype).reshape(header.shape)
