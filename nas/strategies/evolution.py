"""Evolution over codes: thousands of points a generation, evaluated as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.strategies.archive import Archive
from nas.strategies.goal import Goal
from nas.strategies.local_search import climb
from nas.strategies.points import Points
from nas.strategies.problem import Codes, Problem, checked_cardinalities, checked_evaluation
from nas.strategies.reward import REACH
from nas.strategies.seen import SeenCodes
from nas.strategies.task import SearchResult, SearchTask
from nas.strategies.variation import cross, mutate, random_codes

_INFEASIBLE = -1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Niche:
    """What a part of the population is selected for: the score at up to `cap_ms`, or the value of a `goal`.

    Points beyond the cap, or that exceed other limits, rank below all others, by how far they are beyond.
    """

    cap_ms: float
    goal: Goal | None = None

    def fitness(self, points: Points) -> NDArray[np.float64]:
        """What the niche ranks by, shape (n,): higher is better."""
        value = points.score if self.goal is None else self.goal.value(points)
        beyond = points.beyond(self.cap_ms)
        return np.where(beyond > 0.0, _INFEASIBLE * (1.0 + beyond), value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """A vectorised evolution with niches by latency, and local searches.

    A niche keeps the best `population` of all points that a round has seen: one by the reward among answers, one by the
    reward at or under the target or up to `REACH` times it (whichever the answers' is not), one by score at or under
    each of `caps` (multiples of the target: they lead to it from both sides and hold NetAdapt's starts). A generation
    is `offspring` children; those seen before are not evaluated again. A round ends when the best point of the answers'
    niche has not improved for `stagnation` generations, or when its share of `evaluations` is used up; then a local
    search climbs from its `climbers` best points, trying `pairs` changes of two genes around each.

    Spaces of networks have many basins, and a round ends in one. So `rounds` begin anew from random points (the first
    from `initial` too), and a last one crosses the best of all of them, after which every niche is climbed.
    `evaluations` may be exceeded by one step of a climb.
    """

    evaluations: int = 1_500_000
    population: int = 512
    offspring: int = 8192
    stagnation: int = 20
    rounds: int = 4
    climbers: int = 4
    pairs: int = 3000
    caps: tuple[float, ...] = (0.6, 0.8, 0.9, 1.1, 1.2, REACH)
    num_top: int = 32
    num_starts: int = 32

    def __post_init__(self) -> None:
        whole = ("evaluations", "population", "offspring", "stagnation", "rounds", "climbers", "pairs")
        for name in (*whole, "num_top", "num_starts"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, but got {getattr(self, name)}.")

    def search(self, problem: Problem, task: SearchTask) -> SearchResult:
        """The best points found, as `Strategy.search` says."""
        run = _Run(self, problem, task)
        run.evolve()
        return run.archive.result(exact=False)


class _Run:
    """The state of one search."""

    def __init__(self, settings: Evolution, problem: Problem, task: SearchTask) -> None:
        self._cardinalities = checked_cardinalities(problem)
        self._num_genes = len(self._cardinalities)
        self._settings = settings
        self._problem = problem
        self._task = task
        self._rng = task.rng
        # The niche of the answers comes first: it is the one whose improvement counts.
        goal = task.goal
        other_ms = task.target_ms if goal.limit_ms > task.target_ms else REACH * task.target_ms
        self._niches = [Niche(cap_ms=goal.limit_ms, goal=goal), Niche(cap_ms=other_ms, goal=goal)]
        self._niches += [Niche(cap_ms=cap * task.target_ms) for cap in settings.caps]
        self._populations = self._nobody()
        self._seen = SeenCodes(self._num_genes, capacity=2 * settings.evaluations)
        # Counted as seen before anything is: excluded points may be climbed over, but nothing remembers them.
        self._seen.add(task.excluded_codes(problem, self._cardinalities))
        self._evaluated = 0
        self.archive = Archive(self._num_genes, goal, num_top=settings.num_top, num_starts=settings.num_starts)

    def evolve(self) -> None:
        """All rounds, each with an equal share of what the ones before it left."""
        champions = self._nobody()
        initial = self._task.initial_codes(self._cardinalities)
        for rounds_left in range(self._settings.rounds, 0, -1):
            self._populations = self._nobody()
            codes = random_codes(self._cardinalities, self._batch(), self._rng)
            if rounds_left == self._settings.rounds:
                codes = np.concatenate([initial, codes])
            self._evaluate(codes)
            if not len(self._populations[0]):  # all of a small space has been seen, or is excluded
                break
            self._generations(self._left() // (rounds_left + 2))
            self._climb(self._niches[0], self._populations[0])
            share = slice(0, self._settings.population // self._settings.rounds + 1)
            champions = [best.join(own.select(share)) for best, own in zip(champions, self._populations, strict=True)]
        if not len(champions[0]):
            return
        self._populations = champions
        self._generations(self._left() // 2)
        for niche, members in reversed(list(zip(self._niches, self._populations, strict=True))):
            self._climb(niche, members)
        if not len(self.archive.top):
            self._climb(Fastest(), self.archive.fastest)

    def _nobody(self) -> list[Points]:
        return [Points.none(self._num_genes)] * len(self._niches)

    def _left(self) -> int:
        return self._settings.evaluations - self._evaluated

    def _batch(self) -> int:
        return max(1, min(self._settings.offspring, self._left()))

    def _evaluate(self, codes: Codes, *, again: bool = False) -> Points:
        """The canonical points of `codes`, in order: the new ones, or all of them if `again`."""
        codes = self._problem.canonical(codes)
        new = self._seen.add(codes)
        if not again:
            codes, new = codes[new], np.arange(len(new))
        points = Points.of(codes, checked_evaluation(self._problem, codes))
        self._evaluated += len(points)
        if len(new):
            self._remember(points.select(new))
        self._task.progress(self.archive.progress(self._evaluated, self._settings.evaluations))
        return points

    def _remember(self, points: Points) -> None:
        self.archive.add(points)
        for i, niche in enumerate(self._niches):
            members = self._populations[i]
            entrants = points
            if len(members) == self._settings.population:
                entrants = points.select(niche.fitness(points) > niche.fitness(members)[-1])
            members = members.join(entrants)
            order = np.argsort(-niche.fitness(members), kind="stable")[: self._settings.population]
            self._populations[i] = members.select(order)

    def _generations(self, limit: int) -> None:
        goal, idle, best = self._niches[0], 0, -np.inf
        end = self._evaluated + limit
        while idle < self._settings.stagnation and self._evaluated < end:
            self._evaluate(self._children())
            value = float(goal.fitness(self._populations[0].select(slice(0, 1)))[0])
            idle = 0 if value > best else idle + 1
            best = max(best, value)

    def _children(self) -> Codes:
        """A batch of children, from the niche of the answers twice as many as from any other."""
        counts = np.full(len(self._niches), self._batch() // (len(self._niches) + 1))
        counts[0] = self._batch() - counts[1:].sum()
        narrow = np.min_scalar_type(-int(self._cardinalities.max()))  # small integers: less memory to move
        populations = [members.codes.astype(narrow) for members in self._populations]
        everyone = np.concatenate(populations)
        broods = []
        for members, count in zip(populations, counts, strict=True):
            # Members are sorted: the square prefers the best without losing the others.
            mothers, fathers = (
                members[(self._rng.random(count) ** 2 * len(members)).astype(np.int64)] for _ in range(2)
            )
            # Half of the fathers come from any niche: networks of other latencies are often built otherwise.
            abroad = self._rng.random(count) < 0.5
            fathers[abroad] = everyone[self._rng.integers(0, len(everyone), int(abroad.sum()))]
            broods.append(mutate(cross(mothers, fathers, self._rng), self._cardinalities, self._rng))
        return np.concatenate(broods).astype(np.int64)

    def _climb(self, niche: Niche | Fastest, members: Points) -> None:
        if self._left() > 0:
            climb(
                members,
                niche.fitness,
                lambda codes: self._evaluate(codes, again=True),
                self._cardinalities,
                self._rng,
                width=self._settings.climbers,
                num_pairs=self._settings.pairs,
                limit=self._left(),
            )


class Fastest:
    """Selects for what a search names when no point is feasible: other limits kept, then the lowest latency."""

    def fitness(self, points: Points) -> NDArray[np.float64]:
        """What it ranks by, shape (n,): higher is better."""
        return _INFEASIBLE * points.excess - points.bounded_ms
