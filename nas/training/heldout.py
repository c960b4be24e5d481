"""How often a network is right on images that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.prepared import Split

Z90 = 1.6448536269514722
"""The normal distribution's 95 % point: a central 90 % interval."""

Predict = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""Pixels (n, h, w, c) → the class of each image (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Predictions on held-out images, in their order: what each is (`labels`) and what was `said` of it, (n,) each, as
    numbers of `classes` classes."""

    labels: NDArray[np.int64]
    said: NDArray[np.int64]
    classes: int

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often (classes, classes), true classes in rows, predicted in columns."""
        found = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(found, (self.labels, self.said), 1)
        return found

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.labels)

    @property
    def correct(self) -> int:
        """How many of them were right."""
        return int((self.labels == self.said).sum())

    @property
    def accuracy(self) -> float:
        """The share that was right, in [0, 1]; nan without images."""
        return self.correct / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The central 90 % interval of the accuracy by the number of images (Wilson 1927, equation for p)."""
        return wilson(self.correct, self.count)

    def as_json(self) -> dict[str, Any]:
        """The accuracy of the contract: mean, low, high, metric, source."""
        low, high = self.interval
        return {"mean": self.accuracy, "low": low, "high": high, "metric": "top1", "source": "measured"}


def wilson(correct: int, count: int, z: float = Z90) -> tuple[float, float]:
    """Wilson's interval for a share of which `correct` of `count` were seen; (0, 1) without any."""
    if count == 0:
        return 0.0, 1.0
    share = correct / count
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (max(0.0, (middle - half) / (1 + z**2 / count)), min(1.0, (middle + half) / (1 + z**2 / count)))


def held_out(predict: Predict, split: Split, classes: int, *, batch: int = 250) -> HeldOut:
    """What `predict` says of every image of `split`, `batch` at a time."""
    labels, said = split.labels.astype(np.int64), np.zeros(len(split), np.int64)
    for begin in range(0, len(split), batch):
        places = slice(begin, begin + batch)
        said[places] = predict(np.array(split.images[places]))
    return HeldOut(labels=labels, said=said, classes=classes)
