"""Decoded images on the disk: arrays in a folder that is complete, or not there."""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nas.data.memory import free_memory, refuse_without_room
from nas.files import sha256, writing

_MANIFEST = "manifest.json"
_MEMORY_SHARE = 4
"""Arrays that take less than one part in so many of the free memory are read into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayPlan:
    """An array to be kept: its shape (n, height, width, channels), and its images in order, made when asked for."""

    shape: tuple[int, int, int, int]
    images: Iterable[NDArray[np.uint8]]

    @property
    def size_bytes(self) -> int:
        """Of its numbers."""
        return int(np.prod(self.shape, dtype=np.int64))


@contextmanager
def alone(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time into the block, for `folder`, which is made; `waiting` is called where one is in it.

    A process that ends, in whatever way, is no longer in it.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    with file:
        with writing(folder):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_cache(folder: Path, *, shared: bool = False) -> dict[str, NDArray[np.uint8]] | None:
    """The arrays in `folder` by name, each compared with its checksum; None where it is absent or damaged.

    What fits the memory well is read into it, the rest is mapped; `shared` with other processes all of it is, so that
    it is in memory once.
    """
    try:
        manifest: Any = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        checksums = {str(name): str(checksum) for name, checksum in manifest["arrays"].items()}
        if any(sha256(_file(folder, name)) != checksum for name, checksum in checksums.items()):
            return None
        total = sum(_file(folder, name).stat().st_size for name in checksums)
        mode: Literal["r"] | None = "r" if shared or total * _MEMORY_SHARE > free_memory() else None
        return {name: np.load(_file(folder, name), mmap_mode=mode, allow_pickle=False) for name in checksums}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_cache(folder: Path, plans: Mapping[str, ArrayPlan]) -> None:
    """Write the arrays of `plans` to `folder`, which afterwards holds all of them, or is as it was.

    Raises `NasError` where the disk has no room, before or while it is written; what was begun is taken away, also what
    killed processes have left. The caller is `alone` in the folder above.
    """
    refuse_without_room(folder, sum(plan.size_bytes for plan in plans.values()))
    part = folder.parent / f".{folder.name}.part"
    for left in folder.parent.glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    with writing(folder):
        part.mkdir()
    try:
        checksums = {name: _write(_file(part, name), plan, folder) for name, plan in plans.items()}
        manifest = {"schema": 1, "arrays": checksums}
        with writing(folder):
            (part / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _write(path: Path, plan: ArrayPlan, place: Path) -> str:
    """Write an array, image by image; its checksum."""
    # Not through a map: a full disk ends a write with an error, and a process that writes to a map with a signal.
    header, form = io.BytesIO(), cast("Any", np.lib.format)  # has no types
    form.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": plan.shape})
    checksum = hashlib.sha256()
    with writing(place):
        file = path.open("wb")
    try:
        for part in itertools.chain([header.getvalue()], (image.tobytes() for image in plan.images)):
            checksum.update(part)
            with writing(place):
                file.write(part)
    finally:
        with writing(place):
            file.close()
    return checksum.hexdigest()
