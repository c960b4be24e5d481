"""An accuracy is a record with an interval, a recipe and a source, never a bare number."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from nas.figures import leaving

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyEstimate:
    """An accuracy as a fraction in [0, 1] with its central 90 % interval, the training recipe it assumes, where it
    comes from, and the data set that it speaks of."""

    mean: float
    low: float
    high: float
    metric: str = "top1"
    recipe: str
    source: str
    data: str = "imagenet"

    def __post_init__(self) -> None:
        leaving("an accuracy", (self.mean, self.low, self.high))

    def as_json(self) -> dict[str, object]:
        """The record of the contract: mean, low, high, metric, recipe, source; and data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyFigures:
    """The accuracies of n networks as arrays (n,): fractions with their central 90 % interval, for one recipe.

    `novelty` is how far each lies from networks of known accuracy; 1 is typical between these.
    """

    mean: Floats
    low: Floats
    high: Floats
    novelty: Floats
    recipe: str
    source: str

    def __len__(self) -> int:
        return len(self.mean)

    def records(self) -> list[AccuracyEstimate]:
        """The same, a record each."""
        return [
            AccuracyEstimate(mean=mean, low=low, high=high, recipe=self.recipe, source=self.source)
            for mean, low, high in zip(self.mean.tolist(), self.low.tolist(), self.high.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDifferences:
    """How much better n networks are than another one, as arrays (n,): fractions with their central 90 % interval."""

    mean: Floats
    low: Floats
    high: Floats

    @property
    def told_apart(self) -> NDArray[np.bool_]:
        """For each whether its interval does not hold 0, shape (n,)."""
        return np.asarray((self.low > 0.0) | (self.high < 0.0))
