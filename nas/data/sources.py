"""Where the pixels of a data set come from: files, or an array in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.data.check import content_digest, read_file
from nas.data.image import draw, fitted
from nas.data.words import shown
from nas.errors import NasError


class Images(Protocol):
    """Where pixels come from."""

    def draw(self, at: int, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
        """The image at the position `at` as `nas.data.image.fitted`; may be called by several threads."""
        ...

    def stored(self, rows: NDArray[np.int64], size: tuple[int, int], channels: int) -> NDArray[np.uint8] | None:
        """The images at `rows` of shape (n, height, width, channels), where they are in memory in that very form."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImages:
    """Image files, and the digests of what they held when they were checked."""

    files: tuple[Path, ...]
    contents: tuple[str, ...]

    def draw(self, at: int, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
        """See `Images`. Raises `NasError` where the file is no longer what it was."""
        content = read_file(self.files[at])
        if content_digest(content) != self.contents[at]:
            raise NasError(
                f"images must stay as they are while they are read, but {shown(str(self.files[at]))} has changed;"
                " start again."
            )
        return draw(content, size, channels)

    def stored(self, rows: NDArray[np.int64], size: tuple[int, int], channels: int) -> None:
        """See `Images`: never."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayImages:
    """Images of one size in memory: (n, height, width, 1 or 3), and the positions in it."""

    array: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def draw(self, at: int, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
        """See `Images`."""
        return fitted(self.array[self.rows[at]], size, channels)

    def stored(self, rows: NDArray[np.int64], size: tuple[int, int], channels: int) -> NDArray[np.uint8] | None:
        """See `Images`."""
        return self.array[self.rows[rows]] if self.array.shape[1:] == (*size, channels) else None
