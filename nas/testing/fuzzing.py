"""Reading damaged files: what a reader may do with them, and how often it was asked."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import NasError
from nas.testing.mutation import mutated
from nas.testing.pace import pace_s

PACES = 100.0
"""The longest that a file may take (`pace_s`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """`write` a healthy example into a folder, and give the file to damage; `read` the folder: the numbers that come
    out. `kind` is how the file is damaged (`nas.testing.mutation`)."""

    name: str
    kind: str
    write: Callable[[Path], Path]
    read: Callable[[Path], Iterable[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How readings went: how many gave numbers and how many a `NasError`; the slowest, in seconds."""

    read: int
    refused: int
    slowest_s: float


class FuzzError(AssertionError):
    """A damaged file that its reader did not withstand; `content` is the file."""

    def __init__(self, text: str, content: bytes) -> None:
        super().__init__(text)
        self.content = content


def fuzz(reader: Reader, folder: Path, *, count: int, seed: int) -> Outcome:
    """Read `count` damaged files of `reader` in `folder`. Raises `FuzzError` with the first that is not withstood."""
    rng = random.Random(f"{reader.name} {seed}")
    path = reader.write(folder)
    healthy = path.read_bytes()
    _check(reader, folder, healthy)
    read = 0
    slowest = 0.0
    limit_s = PACES * pace_s()
    for _ in range(count):
        content = mutated(healthy, rng, reader.kind)
        write_anew(path, content)
        begin = time.process_time()
        read += _withstood(reader, folder, content)
        spent = time.process_time() - begin
        if spent > limit_s:
            raise FuzzError(f"{reader.name}: a file took {spent:.1f} s", content)
        slowest = max(slowest, spent)
    return Outcome(read=read, refused=count - read, slowest_s=slowest)


def write_anew(path: Path, content: bytes) -> None:
    """Write a file in the place of another: some disks wait for the old content where it is written over."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _check(reader: Reader, folder: Path, content: bytes) -> None:
    """The healthy file must be read: a reader that refuses everything withstands everything."""
    if not all(map(math.isfinite, reader.read(folder))):
        raise FuzzError(f"{reader.name}: the healthy file gives numbers that are not finite", content)


def _withstood(reader: Reader, folder: Path, content: bytes) -> bool:
    """Whether the file was read. Raises `FuzzError` for any error but a `NasError`, and for what is not finite."""
    try:
        with np.errstate(all="ignore"):
            numbers = [float(value) for value in reader.read(folder)]
    except NasError as error:
        if "\n" in str(error).strip() and len(str(error)) > 4000:
            raise FuzzError(f"{reader.name}: its error is no paragraph: {error}", content) from error
        return False
    except Exception as error:
        raise FuzzError(f"{reader.name}: {type(error).__name__}: {error}", content) from error
    if not all(map(math.isfinite, numbers)):
        raise FuzzError(f"{reader.name}: not finite: {[n for n in numbers if not math.isfinite(n)][:5]}", content)
    return True
