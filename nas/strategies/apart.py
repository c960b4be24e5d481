"""Good points that are no near-copies of one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.strategies.goal import Goal
from nas.strategies.points import Points

_ENTRANTS = 32
"""The most points of one batch that are looked at: the best of a batch are mostly near-copies."""

_WAITING = 4096


class Apart:
    """Keeps up to `count` good points by `Goal.value`, of which any two differ in at least `distance` genes.

    Of two that are nearer the better one stays.
    """

    def __init__(self, num_genes: int, goal: Goal, *, count: int) -> None:
        self.distance = max(2, num_genes // 8)
        self._goal, self._count = goal, count
        self._kept = Points.none(num_genes)
        self._waiting: list[Points] = []
        self._num_waiting = 0

    def add(self, points: Points, eligible: NDArray[np.bool_]) -> None:
        """Remember the best of those `points` that are `eligible`, a mask of shape (n,)."""
        value = self._goal.value(points)
        if len(self._kept) == self._count:
            eligible = eligible & (value >= self._goal.value(self._kept)[-1])
        rows = np.flatnonzero(eligible)
        if not len(rows):
            return
        if len(rows) > _ENTRANTS:
            rows = rows[np.argpartition(-value[rows], _ENTRANTS)[:_ENTRANTS]]
        points = points.select(rows)
        self._waiting.append(points)
        self._num_waiting += len(points)
        if self._num_waiting >= _WAITING:
            self._settle()

    def points(self) -> Points:
        """The points kept, best first; of equal ones the faster."""
        self._settle()
        return self._kept

    def _settle(self) -> None:
        left = self._kept
        for points in self._waiting:
            left = left.join(points)
        self._waiting, self._num_waiting = [], 0
        left = left.ranked(self._goal.value(left))
        kept = left.select(slice(0, 0))
        while len(left) and len(kept) < self._count:
            best = left.select(slice(0, 1))
            kept = kept.join(best)
            left = left.select((left.codes != best.codes).sum(axis=1) >= self.distance)
        self._kept = kept
