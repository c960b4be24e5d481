"""A data set that is ready to be trained on: pixels of one size, labels, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Images and labels in one order: `images` uint8 of shape (n, height, width, channels), perhaps a memory map;
    `labels` of shape (n,), positions in the classes; `names` says where each image comes from, for messages."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Three splits of one data set, no image in two of them. `digest` names pixels, labels, splits and classes: the
    same data give the same digest on every machine. `contents` names the data set whatever the size of the pixels;
    empty where there is none behind them."""

    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    digest: str
    contents: str = ""
