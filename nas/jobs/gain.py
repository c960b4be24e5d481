"""What an answer gains over the known networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas.evaluate import Models
from nas.space import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """An answer minus the known network `over`: accuracies in fractions with a central 90 % interval, mean latencies in
    milliseconds. `told_apart` where the interval does not hold 0."""

    over: str
    mean: float
    low: float
    high: float
    ms: float
    told_apart: bool

    def as_json(self) -> dict[str, Any]:
        """The record of the contract."""
        return asdict(self)


def gain_over_known(
    models: Models, answer: Architecture, known: Sequence[Architecture], *, at_most: float
) -> Gain | None:
    """The gain of `answer` over the feasible one of `known` with the best mean accuracy; None where none is feasible.

    `at_most` is the target latency, or whatever else the models aim at (`nas.evaluate.limits.Aim`).

    What the answer claims is corrected for its having been chosen (`Models.gains`); nothing is, and the gain is that of
    two networks as they are, where it is one of `known` itself.
    """
    if not known:
        return None
    figures = models.figures(known)
    # Known networks are compared with, however little is known of their latency.
    feasible = np.flatnonzero(figures.standing_of_any_width.feasible(at_most))
    if not len(feasible):
        return None
    best = int(max(feasible, key=lambda i: figures.accuracy.mean[i]))
    ms = float(models.figures([answer]).latency_ms[0] - figures.latency_ms[best])
    if answer.digest == known[best].digest:
        return Gain(over=known[best].name, mean=0.0, low=0.0, high=0.0, ms=ms, told_apart=False)
    chosen = all(answer.digest != network.digest for network in known)
    found = models.gains(answer, [known[best]], chosen=chosen)
    return Gain(
        over=known[best].name,
        mean=float(found.mean[0]),
        low=float(found.low[0]),
        high=float(found.high[0]),
        ms=ms,
        told_apart=bool(found.told_apart[0]),
    )
