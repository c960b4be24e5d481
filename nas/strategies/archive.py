"""What a search remembers of all the points that it has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.strategies.apart import Apart
from nas.strategies.front import pareto_front
from nas.strategies.points import Points
from nas.strategies.reward import Reward
from nas.strategies.task import Candidate, Progress, SearchResult

START_LIMIT = 1.3
"""NetAdapt starts from points up to this multiple of the target."""

_BANDS = 6


class Archive:
    """The best points of a search so far: those of the answer, of the bands above the target, and of the front.

    Expects each point once.
    """

    def __init__(self, num_genes: int, *, target_ms: float, num_top: int = 32, num_starts: int = 32) -> None:
        nothing = Points.none(num_genes)
        self._target_ms = target_ms
        self._num_top = num_top
        self._num_starts = num_starts
        self._edges_ms = target_ms * np.linspace(1.0, START_LIMIT, _BANDS + 1)
        self._bands = [nothing] * _BANDS
        self._top = nothing
        self._apart = Apart(num_genes, count=num_top)
        self._front = nothing
        self._fastest = nothing
        self.num_points = 0

    @property
    def top(self) -> Points:
        """The best feasible points, best first: by score, of equal ones the faster."""
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
        feasible = points.feasible(self._target_ms)
        self._apart.add(points, feasible)
        self._top = _best(self._top, points, feasible, self._num_top)
        for i in range(_BANDS):
            inside = (points.bounded_ms > self._edges_ms[i]) & (points.bounded_ms <= self._edges_ms[i + 1])
            self._bands[i] = _best(self._bands[i], points, inside, self._num_starts)
        self._front = self._joined_front(points)

    def result(self, reward: Reward, *, exact: bool) -> SearchResult:
        """The records of what was found."""
        # So that of equally good points the fastest comes first in both.
        self._apart.add(self._top, np.ones(len(self._top), dtype=np.bool_))
        top = self._candidates(self._top, reward)
        fastest = self._candidates(self._fastest, reward)
        return SearchResult(
            target_ms=self._target_ms,
            best=top[0] if top else None,
            fastest=fastest[0] if fastest else None,
            top=top,
            apart=self._candidates(self._apart.points(), reward),
            starts=self._candidates(self._spread_starts(), reward),
            front=self._candidates(self._front, reward),
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

    def _spread_starts(self) -> Points:
        """Up to `num_starts` points above the target, in turn from each band, in which near-copies come last."""
        num_genes = self._top.codes.shape[1]
        far = max(2, num_genes // 20)
        chosen: list[Points] = []
        spare: list[Points] = []
        for rank in range(self._num_starts):
            for band in self._bands:
                if rank >= len(band):
                    continue
                point = band.select(slice(rank, rank + 1))
                near = any(int((point.codes != other.codes).sum()) < far for other in chosen)
                (spare if near else chosen).append(point)
        starts = Points.none(num_genes)
        for point in (chosen + spare)[: self._num_starts]:
            starts = starts.join(point)
        return starts

    def _candidates(self, points: Points, reward: Reward) -> tuple[Candidate, ...]:
        rewards = reward.reward(points.score, points.bounded_ms, self._target_ms)
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


def _best(old: Points, new: Points, eligible: NDArray[np.bool_], count: int) -> Points:
    if len(old) == count:
        eligible = eligible & (new.score >= old.score[-1])
    if not eligible.any():
        return old
    joined = old.join(new.select(eligible))
    return joined.by_score().select(slice(0, count))
