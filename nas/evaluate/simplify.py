"""Networks as simple as they come: the simplest among those that are as good, and searches of simple ones alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.evaluate.part import Property, SpacePart, Uniform
from nas.evaluate.problem import SpaceProblem
from nas.evaluate.simplicity import Simplicity, families, named_activations, simplicity
from nas.space.narrow import fixed_activations
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import Evolution, Progress, RandomSearch, SearchResult, SearchTask, Strategy, Sweep, pareto_front
from nas.strategies.local_search import climb
from nas.strategies.points import Points
from nas.strategies.problem import checked_evaluation

_MOST = 12
"""The most selections of the values of a property that are tried."""

Fitness = Callable[[Points], NDArray[np.float64]]


def properties(space: SearchSpace) -> dict[Property, list[Any]]:
    """What the networks of a space may be made of: the values of each field of `Uniform` that is a set."""
    kinds = [space.kinds[name] for stage in space.stages for name in stage.kinds]
    chains = [layer for chain in (*space.stems, *space.heads) for layer in chain]
    blocks = [t.block for kind in kinds for t in (kind.block, kind.transition) if t is not None]
    acts = {act for stage in space.stages for act in stage.act}
    acts |= {act for kind in kinds for act in fixed_activations(kind)}
    acts |= {act for layer in chains for act in named_activations(layer) or ()}
    return {
        "families": sorted(families([*blocks, *(layer.block for layer in chains)])),
        "activations": sorted(acts - {"none"}),
        "kernels": sorted({kernel for stage in space.stages for kernel in stage.kernel}),
    }


@dataclass(frozen=True, kw_only=True)
class Simplifier:
    """Looks for points that are simpler than others and hardly worse.

    From given points it climbs in ever simpler parts of the space: first of as few families of blocks as reach `floor`
    in `fitness` (higher is better), of these of as few activations, then kernel sizes, then of regular widths.
    """

    problem: SpaceProblem
    fitness: Fitness
    floor: float
    rng: np.random.Generator

    def simpler(self, begin: Codes) -> Codes:
        """Codes of points that reach the floor, simpler from property to property; perhaps none."""
        kept, near, found = Uniform(), begin, [begin[:0]]
        for name, values in properties(self.problem.space).items():
            used = getattr(Uniform.of(self.problem.space.decode(near[0])), name)
            for count in range(1, len(used)):
                parts = [kept.but(name, frozenset(some)) for some in itertools.combinations(values, count)]
                if len(parts) > _MOST:
                    continue
                better = self._best(parts, near)
                if better is not None:
                    kept, near = better[0], np.concatenate((better[1], near))
                    found.append(better[1])
                    break
            else:
                kept = kept.but(name, used)
        better = self._best([replace(kept, regular=True)], near)
        return np.concatenate(found if better is None else [*found, better[1]])

    def _simplicity(self, code: Codes) -> Simplicity:
        return simplicity(self.problem.space.decode(code))

    def _best(self, parts: Sequence[Uniform], begin: Codes) -> tuple[Uniform, Codes] | None:
        """The part where climbing leads to the simplest point, of equal ones the best, and what it leads to; None where
        none reaches the floor."""
        reached: list[tuple[tuple[Simplicity, float], Uniform, Codes]] = []
        for part in parts:
            points = self._climbed(part, begin)
            if points is not None and self.fitness(points)[0] >= self.floor:
                values = self.fitness(points)
                codes = points.codes[values >= self.floor]
                reached.append(((self._simplicity(codes[0]), -float(values[0])), part, codes))
        if not reached:
            return None
        _, part, codes = min(reached, key=lambda one: one[0])
        return part, codes

    def _climbed(self, kept: Uniform, begin: Codes) -> Points | None:
        """The best points that climbing within a part leads to, best first, with codes of the whole space."""
        part = _part(self.problem, kept)
        if part is None:
            return None

        def evaluate(codes: Codes) -> Points:
            codes = part.canonical(codes)
            return Points.of(codes, checked_evaluation(part, codes))

        near = evaluate(np.unique(part.nearest(begin), axis=0))
        best = climb(near, self.fitness, evaluate, part.cardinalities, self.rng, width=2, num_pairs=800, limit=8000)
        return Points.of(part.whole(best.codes), best)


def search_uniform(strategy: Strategy, problem: SpaceProblem, task: SearchTask) -> SearchResult:
    """What `strategy` finds of one family of blocks and one activation, all pairs of these together; each gets an equal
    share of the evaluations. `InputError` for a space without such networks."""
    values = properties(problem.space)
    pairs = itertools.product(values["families"] or [None], values["activations"] or [None])
    kept = (Uniform(families=_one(family), activations=_one(act)) for family, act in pairs)
    parts = [part for part in (_part(problem, one) for one in kept) if part is not None]
    if not parts:
        raise InputError(
            f"--simple needs networks of one kind of block and one activation, but {problem.space.name} has none; take"
            " another space, or leave --simple out."
        )
    strategy, results = _share(strategy, len(parts)), []
    done = reported = 0
    for number, part in enumerate(parts):

        def progress(state: Progress, done: int = done, left: int = len(parts) - number) -> None:
            nonlocal reported
            reported = done + state.evaluated
            task.progress(replace(state, evaluated=done + state.evaluated, limit=done + left * state.limit))

        own = replace(
            task,
            progress=progress,
            initial=None if task.initial is None else part.inside(problem.canonical(task.initial)),
            exclude=None if task.exclude is None else part.inside(problem.canonical(task.exclude)),
        )
        results.append(part.result(strategy.search(part, own)))
        done = reported
    return _together(results)


def _one(value: str | None) -> frozenset[str]:
    return frozenset([] if value is None else [value])


def _part(problem: SpaceProblem, kept: Uniform) -> SpacePart | None:
    choices = kept.choices(problem.space)
    return SpacePart(problem, choices) if all(choices.values()) else None


def _share(strategy: Strategy, count: int) -> Strategy:
    if isinstance(strategy, Evolution):
        offspring = max(strategy.offspring // count, 1)
        return replace(strategy, evaluations=max(strategy.evaluations // count, 1), offspring=offspring)
    if isinstance(strategy, RandomSearch | Sweep):
        return replace(strategy, evaluations=max(strategy.evaluations // count, 1))
    return strategy


def _together(results: Sequence[SearchResult]) -> SearchResult:
    """The best of several parts that have no point in common; NetAdapt's starts are those of the best part."""

    def ranked(name: str) -> Iterator[Any]:
        longest = max(len(getattr(result, name)) for result in results)
        each = [candidate for result in results for candidate in getattr(result, name)]
        return itertools.islice(sorted(each, key=lambda candidate: -candidate.reward), longest)

    # The part with the best answer first.
    results = sorted(results, key=lambda result: -result.best.reward if result.best else math.inf)
    top = tuple(ranked("top"))
    front = [candidate for result in results for candidate in result.front]
    first = pareto_front(np.array([c.bounded_ms for c in front]), np.array([c.score for c in front]))
    return replace(
        results[0],
        best=top[0] if top else None,
        fastest=min((r.fastest for r in results if r.fastest), key=lambda c: c.bounded_ms, default=None),
        top=top,
        apart=tuple(ranked("apart")),
        front=tuple(front[i] for i in first),
        evaluated=sum(result.evaluated for result in results),
        exact=all(result.exact for result in results),
    )
