"""What askers without a model of accuracy have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np

from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.askers.ground import Code, Ground, Untried, by_number
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial, measured

_UNKNOWN = (0.5, 12**-0.5)
"""Mean and standard deviation of a number in [0, 1] of which nothing is known."""


class ModelFree(ABC):
    """An asker that chooses by trials alone; subclasses say how (`_choose`), random points make up for what is missing.

    It believes of a point what its own trials said on average, and of any other the mean of all.
    """

    name: ClassVar[str]

    def __init__(self, question: Question) -> None:
        self.question = question
        self.ground = Ground(question)

    @abstractmethod
    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        """Proposals that were taken from `untried`, as many as there are, by `trials` in the order of their numbers."""

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """As `nas.trials.asker.Asker` says; its chance is made of the seed and the number of trials."""
        trials = by_number(trials)
        untried = Untried(self.ground, trials, np.random.default_rng([self.question.seed, len(trials)]))
        if untried.exhausted:
            return []
        proposals = list(islice(self._choose(trials, untried, count), max(count, 0)))
        return proposals + [Proposal(codes=code, why="random") for code in untried.draw(count - len(proposals))]

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """The points with the best averages under the limit, of those that nobody is evaluating just now."""
        if not self.question.noisy:
            return []
        pending = {trial.codes for trial in trials if trial.state == "pending"}
        averages = [(code, mean) for code, mean, _ in self._averages(trials) if code not in pending]
        if not averages:
            return []
        codes = np.array([code for code, _ in averages])
        allowed = self.ground.goal.feasible(self.ground.standing(codes))
        value = np.where(allowed, self.ground.value(codes, np.array([mean for _, mean in averages])), -np.inf)
        order = np.argsort(-value, kind="stable")[: min(max(count, 0), int(allowed.sum()))]
        return [Proposal(codes=averages[i][0], why="confirming") for i in order]

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        """Averages, and standard errors by the spread of repeated trials (of all trials where none was repeated)."""
        _, accuracies = measured(trials)
        mean, deviation = _UNKNOWN
        if len(accuracies):
            mean = float(accuracies.mean())
        if len(accuracies) > 1:
            deviation = float(accuracies.std(ddof=1))
        averages = {code: (own, number) for code, own, number in self._averages(trials)}
        noise = self._noise(trials, deviation)
        known = [averages.get(tuple(code)) for code in self.ground.domain.canonical(codes).tolist()]
        return Belief(
            mean=np.array([mean if own is None else own[0] for own in known], dtype=np.float64),
            deviation=np.array(
                [deviation if own is None else noise / own[1] ** 0.5 for own in known], dtype=np.float64
            ),
        )

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        """None: it has no model that could say."""
        return None

    def _averages(self, trials: Sequence[Trial]) -> list[tuple[Code, float, int]]:
        """Each point that trials have `said` something of, with its mean accuracy and their number, by first trials."""
        found: dict[Code, list[float]] = {}
        for code, accuracy in zip(*measured(trials), strict=True):
            found.setdefault(tuple(code.tolist()), []).append(float(accuracy))
        return [(code, float(np.mean(own)), len(own)) for code, own in found.items()]

    def _noise(self, trials: Sequence[Trial], otherwise: float) -> float:
        """The standard deviation of one trial about its point's mean; 0 where the question has none."""
        if not self.question.noisy:
            return 0.0
        codes, accuracies = measured(trials)
        if not len(codes):
            return otherwise
        _, owner, number = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        owner = owner.reshape(-1)
        if not (free := len(codes) - len(number)):
            return otherwise
        off = accuracies - (np.bincount(owner, accuracies) / number)[owner]
        return float(np.sqrt((off**2).sum() / free))
