"""Optuna's own samplers as askers: a study in memory is made of the trials at every ask.

The latency is free: what a sampler suggests above the limit is answered at once, as an infeasible trial of that study
(`Trial.set_constraint`), and the sampler is asked again. So is one that suggests what was tried; after some attempts
the nearest points are taken. Optuna is imported when used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes
from nas.trials.askers.ground import Code, Untried
from nas.trials.askers.model_free import ModelFree
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial, said

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study

_LIMIT = "latency"


class OptunaAsker(ModelFree):
    """Asks one of Optuna's samplers, made anew with a seed of its own for each number of trials."""

    attempts: ClassVar[int]
    """Suggestions for one proposal, at least one."""
    learns_limits: ClassVar[bool] = True
    """Whether it is told of suggestions above the limit; otherwise they never were."""

    def _sampler(self, seed: int) -> BaseSampler:
        raise NotImplementedError

    def _attributes(self, sampler: BaseSampler, place: int) -> dict[str, Any]:
        """What else a sampler needs to know of the finished trial at this place."""
        return {}

    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        import optuna

        sampler = self._sampler(int(untried.rng.integers(2**32)))
        genes = _distributions(self.question)
        proposals = []
        with _quiet():
            study = optuna.create_study(direction="maximize", sampler=sampler)
            filler = self._fill(study, trials, genes)
            for _ in range(count):
                found, last = self._suggested(study, genes, untried, filler)
                if found is not None:
                    proposals.append(Proposal(codes=found, why=f"Optuna's {self.name}"))
                elif (near := untried.near(last)) is not None:
                    proposals.append(Proposal(codes=near, why=f"near what Optuna's {self.name} suggested"))
        return iter(proposals)

    def _suggested(
        self, study: Study, genes: dict[str, BaseDistribution], untried: Untried, filler: float
    ) -> tuple[Code | None, Code]:
        """The first suggestion that is allowed and untried, None after all attempts; and the last one."""
        from optuna.trial import TrialState

        for _ in range(self.attempts):
            trial = study.ask(genes)
            last = self._code(trial.params)
            beyond = float(self._beyond(np.array([last]))[0])
            trial.set_constraint(_LIMIT, beyond)
            if taken := untried.take(np.array([last]), 1):
                return taken[0], last
            if beyond > 0 and self.learns_limits:
                study.tell(trial, filler)
            else:
                study.tell(trial, state=TrialState.FAIL)
        return None, last

    def _fill(self, study: Study, trials: list[Trial], genes: dict[str, BaseDistribution]) -> float:
        """Add the trials that have `said` something or are pending; returns the mean value, which stands for that of
        infeasible ones."""
        from optuna.trial import TrialState, create_trial

        accuracies = {one.trial.number: one.accuracy for one in said(trials)}
        told = [trial for trial in trials if trial.state == "pending" or trial.number in accuracies]
        if not told:
            return 0.0
        codes = np.array([trial.codes for trial in told])
        value = self.ground.value(codes, np.array([accuracies.get(trial.number, 0.0) for trial in told]))
        beyond = self._beyond(codes)
        done = np.array([trial.number in accuracies for trial in told])
        place = np.cumsum(done) - 1
        for i, trial in enumerate(told):
            what: dict[str, Any] = {"state": TrialState.RUNNING}
            if done[i]:
                what = {"value": float(value[i]), "system_attrs": self._attributes(study.sampler, int(place[i]))}
            params = dict(zip(genes, trial.codes, strict=True))
            limits = {_LIMIT: float(beyond[i])}
            study.add_trial(create_trial(params=params, distributions=genes, constraints=limits, **what))
        return float(value[done].mean()) if done.any() else 0.0

    def _beyond(self, codes: Codes) -> NDArray[np.float64]:
        """How far points are above the limits, shape (n,), negative below that of the latency."""
        standing = self.ground.standing(self.ground.domain.canonical(codes))
        over = standing.bounded_ms / self.ground.goal.limit_ms - 1.0
        return np.where(standing.excess > 0, np.maximum(over, 0.0) + standing.excess, over)

    def _code(self, params: Mapping[str, Any]) -> Code:
        return tuple(int(params[f"gene{i}"]) for i in range(len(self.ground.cardinalities)))


class Tpe(OptunaAsker):
    """Optuna's multivariate TPE (arXiv:2304.11127); pending trials are no part of its model."""

    name = "tpe"
    attempts = 48

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, constant_liar=False)


class Gp(OptunaAsker):
    """Optuna's Gaussian process with expected improvement, the latency as a constraint that it learns."""

    name = "gp"
    attempts = 4

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed)


class Nsga2(OptunaAsker):
    """Optuna's NSGA-II on the reward alone, generations of a fifth of the budget, 10 to 50 trials."""

    name = "nsga2"
    attempts = 48
    learns_limits = False  # they would fill its generations

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=self._population)

    def _attributes(self, sampler: BaseSampler, place: int) -> dict[str, Any]:
        return {f"{type(sampler).__name__}:generation": place // self._population}

    @property
    def _population(self) -> int:
        return min(50, max(10, self.question.budget // 5))


def _distributions(question: Question) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution

    cardinalities = np.asarray(question.domain.cardinalities).tolist()
    return {f"gene{i}": CategoricalDistribution(list(range(choices))) for i, choices in enumerate(cardinalities)}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line for every study and trial."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
