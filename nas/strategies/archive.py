"""What a search remembers of all the points that it has seen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nas.strategies.apart import Apart
from nas.strategies.front import pareto_front
from nas.strategies.goal import Goal
from nas.strategies.points import Points
from nas.strategies.reward import REACH
from nas.strategies.task import Candidate, Progress, SearchResult

_BANDS = 6

Value = Callable[[Points], NDArray[np.float64]]
"""What points are ranked by, shape (n,)."""


class Archive:
    """The best points of a search so far: those of the answer, of the bands above the target, and of the front.

    Expects each point once.
    """

    def __init__(self, num_genes: int, goal: Goal, *, num_top: int = 32, num_starts: int = 32) -> None:
        nothing = Points.none(num_genes)
        self._goal = goal
        self._num_top = num_top
        self._num_starts = num_starts
        self._edges = np.linspace(1.0, REACH, _BANDS + 1)
        self._bands = [nothing] * _BANDS
        self._top = nothing
        self._apart = Apart(num_genes, goal, count=num_top)
        self._front = nothing
        self._fastest = nothing
        self.num_points = 0

    @property
    def top(self) -> Points:
        """The best answers, best first: by `Goal.value`, of equal ones the faster."""
        return self._top

    @property
    def fastest(self) -> Points:
        """One point (none before the first `add`): the one that exceeds other limits least, then the fastest."""
        return self._fastest

    def progress(self, evaluated: int, limit: int) -> Progress:
        """How far a search is that has evaluated so many of about `limit` points."""
        best = self._top.select(slice(0, 1))
        return Progress(
            evaluated=evaluated,
            limit=limit,
            best_score=float(best.score[0]) if len(best) else None,
            best_accuracy=float(best.accuracy[0]) if len(best) else None,
        )

    def add(self, points: Points) -> None:
        """Remember `points`."""
        self.num_points += len(points)
        fastest = points.select(np.lexsort((points.bounded_ms, points.excess))[:1]).join(self._fastest)
        self._fastest = fastest.select(np.lexsort((fastest.bounded_ms, fastest.excess))[:1])
        within = points.within_limits
        if not within.all():
            points = points.select(within)
        feasible = self._goal.feasible(points)
        self._apart.add(points, feasible)
        self._top = _best(self._top, points, feasible, self._num_top, self._goal.value)
        for i, inside in enumerate(self._inside_bands(points, self._goal.target_ms)):
            self._bands[i] = _best(self._bands[i], points, inside, self._num_starts, _score)
        self._front = self._joined_front(points)

    def result(self, *, exact: bool) -> SearchResult:
        """The records of what was found."""
        # So that of equally good points the fastest comes first in both.
        self._apart.add(self._top, np.ones(len(self._top), dtype=np.bool_))
        top = self._candidates(self._top)
        fastest = self._candidates(self._fastest)
        return SearchResult(
            target_ms=self._goal.target_ms,
            aim_ms=self._aim_ms,
            best=top[0] if top else None,
            fastest=fastest[0] if fastest else None,
            top=top,
            apart=self._candidates(self._apart.points()),
            starts=self._candidates(self._spread_starts()),
            front=self._candidates(self._front),
            evaluated=self.num_points,
            exact=exact,
        )

    def _joined_front(self, points: Points) -> Points:
        # Most points lie below the front so far: those are dropped before the sort.
        if len(self._front):
            place = np.searchsorted(self._front.bounded_ms, points.bounded_ms, side="right") - 1
            beaten = (place >= 0) & (self._front.score[place] >= points.score)
            points = points.select(~beaten)
        joined = self._front.join(points)
        return joined.select(pareto_front(joined.bounded_ms, joined.score))

    @property
    def _aim_ms(self) -> float:
        if self._goal.reward.reach == 1.0:
            return self._goal.target_ms
        return float(self._top.bounded_ms[0]) if len(self._top) else self._goal.limit_ms

    def _inside_bands(self, points: Points, aim_ms: float) -> list[NDArray[np.bool_]]:
        """For each band of latencies above `aim_ms` which points lie in it, shape (n,)."""
        edges_ms = aim_ms * self._edges
        return [(points.bounded_ms > low) & (points.bounded_ms <= high) for low, high in pairwise(edges_ms)]

    def _spread_starts(self) -> Points:
        """Up to `num_starts` points slower than aimed at, in turn from each band, in which near-copies come last."""
        bands = self._bands
        if self._aim_ms != self._goal.target_ms:
            # Only now is known where those bands are: the front has the best of every latency.
            inside = self._inside_bands(self._front, self._aim_ms)
            bands = [self._front.select(rows) for rows in inside]
            bands = [band.ranked(band.score) for band in bands]
        num_genes = self._top.codes.shape[1]
        far = max(2, num_genes // 20)
        chosen: list[Points] = []
        spare: list[Points] = []
        for rank in range(self._num_starts):
            for band in bands:
                if rank >= len(band):
                    continue
                point = band.select(slice(rank, rank + 1))
                near = any(int((point.codes != other.codes).sum()) < far for other in chosen)
                (spare if near else chosen).append(point)
        starts = Points.none(num_genes)
        for point in (chosen + spare)[: self._num_starts]:
            starts = starts.join(point)
        return starts

    def _candidates(self, points: Points) -> tuple[Candidate, ...]:
        rewards = self._goal.value(points)
        return tuple(
            Candidate(
                codes=tuple(points.codes[i].tolist()),
                bounded_ms=float(points.bounded_ms[i]),
                accuracy=float(points.accuracy[i]),
                score=float(points.score[i]),
                reward=float(rewards[i]),
            )
            for i in range(len(points))
        )


def _best(old: Points, new: Points, eligible: NDArray[np.bool_], count: int, value: Value) -> Points:
    """The `count` best of `old` and of those of `new` that are `eligible`, best first by `value`."""
    if len(old) == count:
        eligible = eligible & (value(new) >= value(old)[-1])
    if not eligible.any():
        return old
    joined = old.join(new.select(eligible))
    return joined.ranked(value(joined)).select(slice(0, count))


def _score(points: Points) -> NDArray[np.float64]:
    return points.score
