"""Networks that may be the answer of a search, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluate import Figures, Simplicity, simplicity
from nas.latency.published.cost_model import Floats
from nas.space import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Networks that may be the answer, at least one of which is one (`meets`): `num_own` that were found, then others.

    `score` (n,) is what they are ranked by at one latency, `value` (n,) its reward.
    """

    networks: Sequence[Architecture]
    num_own: int
    figures: Figures
    score: Floats
    value: Floats
    meets: NDArray[np.bool_]

    @property
    def best(self) -> int:
        """The one with the best value; of equal ones one that was found, then the faster one."""
        answers: list[int] = np.flatnonzero(self.meets).tolist()
        return min(answers, key=self._order)

    def simplest(self, alike: float) -> tuple[int, Simplicity]:
        """The simplest of those whose value lies at most `alike` below the best; of equally simple ones the best."""
        near = np.flatnonzero(self.meets & (self.value >= self.value[self.best] - alike)).tolist()
        counted = {i: simplicity(self.networks[i]) for i in near}
        first = min(near, key=lambda i: (counted[i], *self._order(i)))
        return first, counted[first]

    def best_of(self, networks: Sequence[Architecture]) -> float | None:
        """The score of the best of `networks` by value; None where none is among these."""
        at = {network.digest: i for i, network in enumerate(self.networks)}
        places = [at[network.digest] for network in networks if network.digest in at]
        return float(self.score[max(places, key=lambda i: self.value[i])]) if places else None

    def _order(self, i: int) -> tuple[float, bool, float, str]:
        given = i >= self.num_own
        return -float(self.value[i]), given, float(self.figures.latency_ms[i]), self.networks[i].digest
