"""The points that may still be tried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nas.strategies import Standing
from nas.strategies.problem import Codes
from nas.strategies.variation import apply_moves, mutate, random_codes, single_moves
from nas.trials.question import Question
from nas.trials.records import Trial

Code = tuple[int, ...]

LISTED = 100_000
"""Spaces of at most so many codes are listed once: then drawing ends when they are exhausted."""

_DRAWN = 16_384
"""How many codes of a larger space are drawn at random before those are sought that are nearest to the limit."""

_DESCENTS = 64
_FASTEST = 128
_BATCH = 4096


class Ground:
    """What a question allows: points at or under the goal's limit that keep all other limits."""

    def __init__(self, question: Question) -> None:
        self.domain, self.goal = question.domain, question.goal
        self.cardinalities = np.asarray(question.domain.cardinalities, dtype=np.int64)
        self._size = math.prod(self.cardinalities.tolist())
        self._steps = self._size // np.cumprod(self.cardinalities) if self._size <= LISTED else None
        self._every: Codes | None = None

    def standing(self, codes: Codes) -> Standing:
        """How canonical codes stand against the limits."""
        return Standing(bounded_ms=self.domain.latency_ms(codes), excess=self.domain.excess(codes))

    def value(self, codes: Codes, accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rewards of points (n, genes) with these accuracies (n,)."""
        if not len(codes):
            return np.zeros(0)
        return self.goal.reward.reward(accuracies, self.domain.latency_ms(codes), self.goal.target_ms)

    def every(self) -> Codes | None:
        """All allowed points as canonical codes in the order of their genes; None for a space that is not `LISTED`."""
        if self._steps is None:
            return None
        if self._every is None:
            parts = []
            for start in range(0, self._size, _BATCH):
                numbers = np.arange(start, min(start + _BATCH, self._size))
                codes = numbers[:, None] // self._steps % self.cardinalities
                codes = codes[(self.domain.canonical(codes) == codes).all(axis=1)]
                if len(codes):
                    parts.append(codes[self.goal.feasible(self.standing(codes))])
            self._every = np.concatenate(parts)
        return self._every

    def neighbours(self, code: Code) -> Codes:
        """The allowed points that one changed gene leads to, each once, without the point itself."""
        genes, shifts = single_moves(self.cardinalities)
        centre = np.array(code, dtype=np.int64)
        codes = self.domain.canonical(apply_moves(centre, genes[:, None], shifts[:, None], self.cardinalities))
        codes = np.unique(codes[(codes != centre).any(axis=1)], axis=0)
        return codes[self.goal.feasible(self.standing(codes))] if len(codes) else codes


class Untried:
    """The points of a ground that no trial and no proposal of this ask has taken; `rng` is its chance."""

    def __init__(self, ground: Ground, trials: Iterable[Trial], rng: np.random.Generator) -> None:
        self.ground, self.rng = ground, rng
        self.taken: set[Code] = {trial.codes for trial in trials}

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left; known of a listed space alone."""
        every = self.ground.every()
        if every is None or len(every) > len(self.taken):
            return False
        return all(tuple(code) in self.taken for code in every.tolist())

    def take(self, codes: Codes, count: int) -> list[Code]:
        """Up to `count` points of `codes` (n, genes) that are allowed and untried, in their order; they are taken."""
        if not len(codes) or count <= 0:
            return []
        codes = self.ground.domain.canonical(codes)
        allowed = self.ground.goal.feasible(self.ground.standing(codes))
        found: list[Code] = []
        for code in codes[allowed].tolist():
            if tuple(code) not in self.taken:
                self.taken.add(tuple(code))
                found.append(tuple(code))
                if len(found) == count:
                    break
        return found

    def near(self, code: Code) -> Code | None:
        """A point that one changed gene leads to, drawn at random and taken; None where none is left."""
        codes = self.ground.neighbours(code)
        return next(iter(self.take(self.rng.permutation(codes), 1)), None)

    def draw(self, count: int) -> list[Code]:
        """Up to `count` random points, taken: uniformly drawn, fewer where a listed space has no more.

        In a larger space of which hardly anything is allowed they descend from the fastest that were drawn.
        """
        every = self.ground.every()
        if every is not None:
            order = iter(self.rng.permutation(len(every)).tolist())
            left = (code for code in (tuple(every[i].tolist()) for i in order) if code not in self.taken)
            listed = list(islice(left, max(count, 0)))
            self.taken.update(listed)
            return listed
        found: list[Code] = []
        drawn, batch = 0, 64
        fastest = np.zeros((0, len(self.ground.cardinalities)), dtype=np.int64)
        while len(found) < count and drawn < _DRAWN:
            codes = self.ground.domain.canonical(random_codes(self.ground.cardinalities, batch, self.rng))
            found += self.take(codes, count - len(found))
            fastest = self._fastest(np.concatenate([fastest, codes]))
            drawn, batch = drawn + batch, min(2 * batch, _BATCH)
        for _ in range(_DESCENTS):
            if len(found) >= count:
                break
            children = mutate(np.concatenate([fastest, fastest]), self.ground.cardinalities, self.rng)
            codes = self.ground.domain.canonical(children.astype(np.int64))
            found += self.take(codes, count - len(found))
            fastest = self._fastest(np.concatenate([fastest, codes]))
        return found

    def _fastest(self, codes: Codes) -> Codes:
        """The distinct codes that are nearest to being allowed, then the fastest."""
        codes = np.unique(codes, axis=0)
        standing = self.ground.standing(codes)
        order = np.lexsort((standing.bounded_ms, standing.beyond(self.ground.goal.limit_ms)))
        return np.asarray(codes[order[:_FASTEST]])


def by_number(trials: Sequence[Trial]) -> list[Trial]:
    """The trials in the order in which they were asked for, whatever the order in which they ended."""
    return sorted(trials, key=lambda trial: trial.number)
