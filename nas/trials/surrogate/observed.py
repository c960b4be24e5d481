"""What trials say of points: one row a point, however often and how far it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes
from nas.trials.records import Trial, said

Floats = NDArray[np.float64]

_OUTLYING = 8.0
"""Accuracies so many median deviations under the median say that a point is bad, not how bad: a training that came to
nothing must not stretch the scale on which good points are told apart."""
_FEW = 8
"""With fewer points nothing is called outlying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Points that were tried, in the order of their first trial.

    `codes` (n, genes); `accuracy` (n,), the mean of a point's trials as a fraction; `repeats` (n,), how many these are;
    `scatter`, the sum over all trials of squared distances from their point's mean; `unsure` (n,), a further variance
    of points that were stopped early and whose last accuracy is a guess.
    """

    codes: Codes
    accuracy: Floats
    repeats: NDArray[np.int64]
    scatter: float
    unsure: Floats

    def __len__(self) -> int:
        return len(self.codes)

    def telling(self, most: int) -> NDArray[np.int64]:
        """Places of about `most` points, in order: half of them the most accurate, half spread over the rest; and all
        that were repeated, which tell noise from what is a point's own."""
        if len(self) <= most:
            return np.arange(len(self))
        by_accuracy = np.argsort(-self.accuracy, kind="stable")
        rest = by_accuracy[most // 2 :]
        spread = rest[np.linspace(0, len(rest) - 1, most - most // 2).round().astype(np.int64)]
        return np.union1d(np.concatenate((by_accuracy[: most // 2], spread)), np.flatnonzero(self.repeats > 1))

    def select(self, rows: NDArray[np.int64]) -> Observed:
        """The points at `rows`; `scatter` stays, so all that were repeated must be among them."""
        columns = {name: getattr(self, name)[rows] for name in ("codes", "accuracy", "repeats", "unsure")}
        return Observed(**columns, scatter=self.scatter)


def observed(trials: Sequence[Trial], num_genes: int) -> Observed:
    """What the trials that are done, or were stopped, say of their points."""
    by_point: dict[tuple[int, ...], list[float]] = {}
    unsure: dict[tuple[int, ...], float] = {}
    for one in said(trials):
        by_point.setdefault(one.trial.codes, []).append(one.accuracy)
        unsure[one.trial.codes] = one.variance
    accuracy = np.array([np.mean(found) for found in by_point.values()])
    scatter = sum(float(((np.array(found) - np.mean(found)) ** 2).sum()) for found in by_point.values())
    return Observed(
        codes=np.array(list(by_point), dtype=np.int64).reshape(len(by_point), num_genes),
        accuracy=_told_apart(accuracy),
        repeats=np.array([len(found) for found in by_point.values()], dtype=np.int64),
        scatter=scatter,
        unsure=np.array(list(unsure.values())),
    )


def _told_apart(accuracy: Floats) -> Floats:
    if len(accuracy) < _FEW:
        return accuracy
    median = np.median(accuracy)
    spread = np.median(np.abs(accuracy - median))
    return np.maximum(accuracy, median - _OUTLYING * spread) if spread > 0 else accuracy
