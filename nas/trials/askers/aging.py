"""Regularised evolution (Real et al. 2019, arXiv:1802.01548)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nas.trials.askers.ground import Untried
from nas.trials.askers.model_free import ModelFree
from nas.trials.records import Proposal, Trial, measured


class Aging(ModelFree):
    """The population are the points that were asked for last; a child is a tournament's winner with one gene changed.

    A fifth of the budget, 10 to 50 points, is the population, all of them random at first; a fourth of it enters a
    tournament. Changes that lead to what was tried or misses the target are not drawn.
    """

    name = "aging"

    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        population = min(50, max(10, self.question.budget // 5))
        codes, accuracies = measured(trials)
        if len(codes) < population:
            return
        codes, accuracies = codes[-population:], accuracies[-population:]
        value = self.ground.value(codes, accuracies)
        for _ in range(count):
            rivals = untried.rng.choice(population, max(2, population // 4), replace=False)
            winner = codes[rivals[np.argmax(value[rivals])]]
            child = untried.near(tuple(winner.tolist()))
            if child is not None:
                yield Proposal(codes=child, why="mutation of a winner")
