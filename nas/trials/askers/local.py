"""Local search (White et al. 2021, arXiv:2005.02960)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nas.strategies.problem import Codes
from nas.trials.askers.ground import Code, Untried
from nas.trials.askers.model_free import ModelFree
from nas.trials.records import Proposal, Trial, measured, said

STARTS = 10
"""Random points of which the best is climbed from first; later climbs begin at one random point each."""


class Local(ModelFree):
    """Asks for the neighbours of the best point of a climb, and goes to a better one at once; where none of them is
    better another climb begins at a random point.

    Which climb a trial belongs to follows from the trials before it.
    """

    name = "local"

    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        for code in untried.take(untried.rng.permutation(self._around(trials)), count):
            yield Proposal(codes=code, why="neighbour of the best of a climb")

    def _around(self, trials: list[Trial]) -> Codes:
        """The neighbours of the present climb's best point that were not asked for, shape (n, genes)."""
        seen: set[Code] = set()
        left: set[Code] = set()
        best = -np.inf
        for place, (trial, value) in enumerate(zip(trials, self._values(trials), strict=True), start=1):
            seen.add(trial.codes)
            left.discard(trial.codes)
            if value > best:
                best = value
                left = {tuple(code) for code in self.ground.neighbours(trial.codes).tolist()} - seen
            if not left and place >= STARTS:
                best = -np.inf
        if len(trials) < STARTS:
            left = set()
        return np.array(sorted(left), dtype=np.int64).reshape(len(left), len(self.ground.cardinalities))

    def _values(self, trials: list[Trial]) -> list[float]:
        """The reward of each trial that has `said` something, minus infinity of any other."""
        codes, accuracies = measured(trials)
        value = self.ground.value(codes, accuracies).tolist()
        found = {one.trial.number: worth for one, worth in zip(said(trials), value, strict=True)}
        return [found.get(trial.number, -np.inf) for trial in trials]
