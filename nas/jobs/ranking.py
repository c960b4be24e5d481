"""Networks that may be the answer of a search, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluate import Figures, Simplicity, simplicity
from nas.latency.published.cost_model import Floats
from nas.space import Architecture

ALIKE_LATENCY = 0.95
"""Networks are not alike where one takes less than this part of the other's latency."""


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

    def simplest(self, alike: float, told_apart: Callable[[Architecture], bool]) -> tuple[int, Simplicity]:
        """The simplest of those that are as good as the best; of equally simple ones the best.

        As good are those whose value lies at most `alike` below the best's and whose latency at `ALIKE_LATENCY` of its
        own or above, and that are told apart from what is known if it is: simplicity is not bought with a target that
        was not used, nor with a gain that could be told.
        """
        best = self.best
        latency_ms = self.figures.latency_ms
        near = np.flatnonzero(
            self.meets & (self.value >= self.value[best] - alike) & (latency_ms >= ALIKE_LATENCY * latency_ms[best])
        ).tolist()
        counted = {i: simplicity(self.networks[i]) for i in near}
        near.sort(key=lambda i: (counted[i], *self._order(i)))
        if near[0] != best and told_apart(self.networks[best]):
            near = [next(i for i in near if i == best or told_apart(self.networks[i]))]
        return near[0], counted[near[0]]

    def best_of(self, networks: Sequence[Architecture]) -> float | None:
        """The score of the best of `networks` by value; None where none is among these."""
        at = {network.digest: i for i, network in enumerate(self.networks)}
        places = [at[network.digest] for network in networks if network.digest in at]
        return float(self.score[max(places, key=lambda i: self.value[i])]) if places else None

    def _order(self, i: int) -> tuple[float, bool, float, str]:
        given = i >= self.num_own
        return -float(self.value[i]), given, float(self.figures.latency_ms[i]), self.networks[i].digest
