"""An accuracy is a record with an interval, a recipe and a source, never a bare number."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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

    def as_json(self) -> dict[str, object]:
        """The record of the contract: mean, low, high, metric, recipe, source; and data."""
        return asdict(self)
