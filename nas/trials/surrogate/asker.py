"""The asker that models accuracy apart from latency, and looks at the whole space before it asks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.strategies import Candidate, Evolution, Exhaustive, SearchTask, Strategy
from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial
from nas.trials.surrogate.acquisition import Improvement, Listed, values
from nas.trials.surrogate.embedding import Embedding
from nas.trials.surrogate.first import near_target, spread
from nas.trials.surrogate.model import CodeModel, Model, Posterior
from nas.trials.surrogate.observed import Observed, observed

FIRST, ACQUISITION, CONFIRMING, LEFT = "first samples", "expected improvement", "confirming", "nothing else is left"

_LISTED = 20_000
"""Spaces of at most so many codes are listed, and every point is looked at before each ask."""
_EVOLUTION = Evolution(
    evaluations=12_000,
    population=128,
    offspring=1024,
    stagnation=8,
    rounds=1,
    climbers=1,
    pairs=512,
    caps=(),
    num_top=128,
)
_FEWEST = 3
"""With fewer results than this nothing is modelled: more first samples are asked for."""
_CONDITIONED = 600
"""Models are conditioned on about so many points at most, those that tell most: time grows with their square."""
_USUAL = 512
_DRAWS = 4000
_RIVALS = 256
_UNKNOWN = 0.5, 0.25
"""Mean and deviation of what is believed of any accuracy before the first result."""


class Surrogate:
    """Expected improvement under a Gaussian process, its maximum over the whole space, exact where that is small.

    `model` takes the place of the Gaussian process. `listed` are the only points there are, shape (n, genes), where not
    every code is one. `strategy` takes the place of the search for the acquisition's maximum on spaces that are not
    listed.
    """

    name = "surrogate"

    def __init__(
        self,
        question: Question,
        *,
        model: Model | None = None,
        listed: Codes | None = None,
        strategy: Strategy = _EVOLUTION,
    ) -> None:
        self._question, self._domain, self._goal = question, question.domain, question.goal
        self._listed = _listed(question) if listed is None else np.unique(self._domain.canonical(listed), axis=0)
        self._strategy = strategy
        self._embedding = Embedding(self._domain.choices)
        if self._listed is not None:
            self._feasible = self._listed[self._may_answer(self._listed)]
        rng = np.random.default_rng([question.seed, 3])
        self._near = near_target(self._domain, self._goal, rng, listed=self._listed)
        self._model: Model = model or CodeModel(self._domain, self._near.codes[:_USUAL], noisy=question.noisy)
        self._remembered: tuple[tuple[Trial, ...], Posterior] | None = None

    @property
    def num_first(self) -> int:
        """How many first samples there are: a tenth of the budget, at least 4 and at most 6."""
        return min(max(self._question.budget // 10, 4), 6)

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points to try next, as `Asker.ask` says; the best first."""
        with threadpool_limits(limits=1, user_api="blas"):
            return self._ask(sorted(trials, key=lambda t: t.number), count)

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """The points that may be the best: by the mean of the goal's value and one deviation of it."""
        known = self._observed(trials)
        if not (self._question.noisy and len(known)):
            return []
        with threadpool_limits(limits=1, user_api="blas"):
            mean, deviation = self._values(self._posterior(trials), known.codes)
        order = np.argsort(-(mean + deviation), kind="stable")
        order = order[np.isfinite(mean[order])][:count]
        return [Proposal(codes=tuple(known.codes[i].tolist()), why=CONFIRMING) for i in order]

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        """What the model believes, as `Asker.believe` says."""
        codes = self._domain.canonical(np.asarray(codes, dtype=np.int64))
        if not (len(self._observed(trials)) or self._model.guesses):
            return Belief(mean=np.full(len(codes), _UNKNOWN[0]), deviation=np.full(len(codes), _UNKNOWN[1]))
        with threadpool_limits(limits=1, user_api="blas"):
            return self._posterior(trials).believed(codes)

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        """The chance that an untried point beats `code`, by draws of the joint posterior of the point and those untried
        that are most likely to; None before the first result."""
        if not len(self._observed(trials)):
            return None
        own = self._domain.canonical(np.asarray([code], dtype=np.int64))
        with threadpool_limits(limits=1, user_api="blas"):
            posterior = self._posterior(trials)
            value = float(self._values(posterior, own)[0][0])
            rivals = self._best(posterior, value + margin, trials, _RIVALS, but=[tuple(own[0].tolist())])
            if not len(rivals):
                return 0.0
            together = np.concatenate((own, rivals))
            mean, covariance = posterior.together(together)
        rng = np.random.default_rng([self._question.seed, 1])
        lower = np.linalg.cholesky(covariance + np.eye(len(mean)) * (1e-15 + 1e-9 * np.trace(covariance)))
        draws = mean + rng.standard_normal((_DRAWS, len(mean))) @ lower.T
        worth = self._goal.reward.reward(draws, self._domain.latency_ms(together), self._goal.target_ms)
        return float((worth[:, 1:].max(axis=1) > worth[:, 0] + margin).mean())

    def _ask(self, trials: list[Trial], count: int) -> list[Proposal]:
        tried = {trial.codes for trial in trials}
        proposals: list[Proposal] = []
        known = self._observed(trials)
        guesses = self._model.guesses
        if not guesses and (len(known) < _FEWEST or len(tried) < self.num_first):
            # Whoever asks for many at once gets many: without results there is nothing better to go by.
            wanted = count if len(known) < _FEWEST else min(count, self.num_first - len(tried))
            proposals += self._first(tried, wanted)
        if len(proposals) < count and (len(known) or guesses):
            posterior = self._supposing(trials, proposals)
            proposals += self._improving(posterior, trials, proposals, count - len(proposals))
        if len(proposals) < count:
            proposals += self._left(tried | {one.codes for one in proposals}, count - len(proposals))
        return proposals

    def _first(self, tried: set[tuple[int, ...]], count: int) -> list[Proposal]:
        """First samples that were not tried; those of a smaller number of trials come first."""
        rng = np.random.default_rng([self._question.seed, 0])
        chosen = spread(self._embedding, self._near, rng, count + len(tried))
        codes = [code for code in map(tuple, chosen.tolist()) if code not in tried]
        return [Proposal(codes=code, why=FIRST) for code in codes[:count]]

    def _supposing(self, trials: list[Trial], proposals: list[Proposal]) -> Posterior:
        """The posterior, with what is pending or proposed taken as if it had come true."""
        known = {trial.codes for trial in trials if trial.state in ("done", "stopped")}
        pending = [t.codes for t in trials if t.state == "pending"] + [one.codes for one in proposals]
        new = [code for code in dict.fromkeys(pending) if code not in known]
        posterior = self._posterior(trials)
        return posterior.supposing(np.array(new, dtype=np.int64)) if new else posterior

    def _improving(
        self, posterior: Posterior, trials: list[Trial], before: list[Proposal], count: int
    ) -> list[Proposal]:
        """Points of the greatest improvement, one after the other, each as if those before had come true."""
        tried = [*(trial.codes for trial in trials), *(one.codes for one in before)]
        known = np.array([t.codes for t in trials if t.state in ("done", "stopped", "pending")], dtype=np.int64)
        best = self._best_value(posterior, known) if len(known) else 0.0
        rivals = self._best(posterior, best, trials, _RIVALS, but=[one.codes for one in before])
        chosen: list[tuple[int, ...]] = []
        while len(rivals) and len(chosen) < count:
            if chosen:
                # The rest of the space is looked at again where it is listed; else its best points are.
                best = max(best, self._best_value(posterior, np.array(chosen[-1:])))
                posterior = posterior.supposing(np.array(chosen[-1:], dtype=np.int64))
                rivals = self._again(posterior, best, rivals, {*tried, *chosen})
                if not len(rivals):
                    break
            chosen.append(tuple(rivals[0].tolist()))
        return [Proposal(codes=code, why=ACQUISITION) for code in chosen]

    def _again(self, posterior: Posterior, best: float, rivals: Codes, but: set[tuple[int, ...]]) -> Codes:
        points = self._feasible if self._listed is not None else rivals
        left = points[[tuple(code) not in but for code in points.tolist()]]
        if not len(left):
            return left
        score = self._improvement(posterior, best).evaluate(left).score
        return left[np.argsort(-score, kind="stable")[:_RIVALS]]

    def _best(
        self,
        posterior: Posterior,
        best: float,
        trials: Sequence[Trial],
        count: int,
        *,
        but: Sequence[tuple[int, ...]] = (),
    ) -> Codes:
        """Up to `count` untried points of the greatest expected improvement over `best`, the greatest first; of a space
        that is not listed also good ones far from these."""
        problem = self._improvement(posterior, best)
        tried = np.array([*(trial.codes for trial in trials), *but], dtype=np.int64)
        tried = tried.reshape(-1, len(self._domain.cardinalities))
        # What lies beyond the limit is no answer, whatever the acquisition says.
        task = SearchTask(
            target_ms=self._goal.limit_ms, rng=np.random.default_rng([self._question.seed, len(tried), 2])
        )
        if self._listed is None:
            task = replace(task, exclude=tried, initial=np.concatenate((tried, self._near.codes[:64])))
            found = self._strategy.search(problem, task)
            best_first = list(dict.fromkeys((*found.top, *found.apart)))
            return _codes(best_first[:count], len(self._domain.cardinalities))
        done = set(map(tuple, tried.tolist()))
        left = self._feasible[[tuple(code) not in done for code in self._feasible.tolist()]]
        if not len(left):
            return left
        found = Exhaustive(num_top=count).search(Listed(problem=problem, codes=left), task)
        return left[_codes(found.top, 1)[:, 0]]

    def _left(self, tried: set[tuple[int, ...]], count: int) -> list[Proposal]:
        """Points that may be no answer, those least beyond the limit first."""
        codes = self._near.codes if self._listed is None else self._listed
        beyond = np.maximum(self._domain.latency_ms(codes) / self._goal.limit_ms - 1.0, 0.0)
        beyond += self._domain.excess(codes)
        ordered = map(tuple, codes[np.argsort(beyond, kind="stable")].tolist())
        return [Proposal(codes=code, why=LEFT) for code in ordered if code not in tried][:count]

    def _improvement(self, posterior: Posterior, best: float) -> Improvement:
        return Improvement(domain=self._domain, goal=self._goal, posterior=posterior, best=best)

    def _values(self, posterior: Posterior, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of the goal's value of points; minus infinity of those that may be no answer."""
        belief, ms = posterior.believed(codes), self._domain.latency_ms(codes)
        mean, deviation = values(self._goal, belief.mean, belief.deviation, ms)
        return np.where(self._may_answer(codes), mean, -np.inf), deviation

    def _best_value(self, posterior: Posterior, codes: Codes) -> float:
        """The best mean value among `codes`; without one that may be an answer, the worst that there is."""
        mean, _ = self._values(posterior, codes)
        best = float(mean.max(initial=-math.inf))
        return best if math.isfinite(best) else 0.0

    def _may_answer(self, codes: Codes) -> NDArray[np.bool_]:
        in_time = self._domain.latency_ms(codes) <= self._goal.limit_ms
        return np.asarray(in_time & (self._domain.excess(codes) <= 0.0))

    def _posterior(self, trials: Sequence[Trial]) -> Posterior:
        """The model given what is finished, remembered for the same trials."""
        finished = tuple(sorted((t for t in trials if t.state in ("done", "stopped")), key=lambda trial: trial.number))
        if self._remembered is None or self._remembered[0] != finished:
            known = self._observed(finished)
            known = known.select(known.telling(_CONDITIONED))
            self._remembered = finished, self._model.posterior(known)
        return self._remembered[1]

    def _observed(self, trials: Sequence[Trial]) -> Observed:
        return observed(trials, len(self._domain.cardinalities))


def _listed(question: Question) -> Codes | None:
    """All canonical codes of a small space, in order; None of a large one."""
    cardinalities = question.domain.cardinalities
    size = math.prod(cardinalities.tolist())
    if size > _LISTED:
        return None
    codes = np.arange(size)[:, None] // (size // np.cumprod(cardinalities)) % cardinalities
    return np.asarray(codes[(question.domain.canonical(codes) == codes).all(axis=1)])


def _codes(candidates: Sequence[Candidate], num_genes: int) -> Codes:
    return np.array([one.codes for one in candidates], dtype=np.int64).reshape(-1, num_genes)
