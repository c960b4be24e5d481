"""Searches that need no luck: every point of a small space; and the baseline of random points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.errors import InputError
from nas.strategies.archive import Archive
from nas.strategies.points import Points
from nas.strategies.problem import Problem, checked_cardinalities, checked_evaluation
from nas.strategies.seen import SeenCodes
from nas.strategies.task import SearchResult, SearchTask

_BATCH = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustive:
    """Evaluates every point of a space of at most `limit` codes: the exact answer and the exact front."""

    limit: int = 1_000_000
    num_top: int = 32
    num_starts: int = 32

    def search(self, problem: Problem, task: SearchTask) -> SearchResult:
        """The best points of the space; `initial` and `rng` change nothing. `InputError` for a space beyond `limit`."""
        cardinalities = checked_cardinalities(problem)
        size = math.prod(cardinalities.tolist())
        if size > self.limit:
            raise InputError(
                f"an exhaustive search takes at most {self.limit:,} points, but the space has {size:.3g};"
                " use the evolution strategy."
            )
        archive = Archive(len(cardinalities), task.goal, num_top=self.num_top, num_starts=self.num_starts)
        task.initial_codes(cardinalities)  # not needed, but refused where they are none
        # How far a step of each gene leads in the numbering of all codes, the last gene running fastest.
        steps = size // np.cumprod(cardinalities)
        excluded = task.excluded_codes(problem, cardinalities) @ steps
        for start in range(0, size, _BATCH):
            end = min(start + _BATCH, size)
            numbers = np.setdiff1d(np.arange(start, end), excluded)
            codes = numbers[:, None] // steps % cardinalities
            # Of the codes of one network only the canonical one counts.
            codes = codes[(problem.canonical(codes) == codes).all(axis=1)]
            archive.add(Points.of(codes, checked_evaluation(problem, codes)))
            task.progress(archive.progress(end, size))
        return archive.result(exact=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearch:
    """Evaluates `evaluations` uniformly drawn codes (fewer distinct ones): what any other strategy has to beat."""

    evaluations: int = 1_000_000
    num_top: int = 32
    num_starts: int = 32

    def search(self, problem: Problem, task: SearchTask) -> SearchResult:
        """The best of `initial` and the points drawn."""
        cardinalities = checked_cardinalities(problem)
        archive = Archive(len(cardinalities), task.goal, num_top=self.num_top, num_starts=self.num_starts)
        seen = SeenCodes(len(cardinalities), capacity=2 * self.evaluations)
        seen.add(task.excluded_codes(problem, cardinalities))
        drawn = 0
        while drawn < self.evaluations:
            count = min(_BATCH, self.evaluations - drawn)
            codes = task.rng.integers(0, cardinalities, (count, len(cardinalities)))
            if not drawn:
                codes = np.concatenate([task.initial_codes(cardinalities), codes])
            codes = problem.canonical(codes)
            codes = codes[seen.add(codes)]
            archive.add(Points.of(codes, checked_evaluation(problem, codes)))
            drawn += count
            task.progress(archive.progress(drawn, self.evaluations))
        return archive.result(exact=False)
