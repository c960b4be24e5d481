"""Our askers as an Optuna sampler."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.accuracy import load_accuracy
from nas.errors import TargetError
from nas.latency import LatencyModel
from nas.resources import runs_folder
from nas.space import CodeSpace, SearchSpace
from nas.strategies import Goal, Reward
from nas.trials.asker import Asker
from nas.trials.askers import asker_named
from nas.trials.askers.ground import Code, Ground
from nas.trials.domain import CodeDomain, HasLatency, NetworkDomain
from nas.trials.question import Domain, Question
from nas.trials.records import State, Trial

_CODE = "nas:code"
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "pending",
}
_AGAIN = 3


class SurrogateSampler(BaseSampler):
    """Suggests the genes of a space as `nas.search(evaluate=…)` would, in any Optuna study.

    The objective calls `trial.suggest_categorical(gene, space.genes[gene])` for the genes of `space`, and returns the
    accuracy as a fraction (in a study that minimises: the share of errors). `latency`, anything with
    `latency_ms(points)`, is free: with the hard `reward` nothing above `target_ms` is suggested. The study's trials are
    all that it knows, so a study may be shared by processes and go on later; what others are working on counts as
    pending. Parameters that are no genes are drawn at random. Where the whole space was tried, points come again.

    `asker` is a name, or a function that makes one from a question; `budget` is about how many trials are meant; where
    not `noisy`, an objective says the same of a point every time. `InputError` for what a search refuses as well,
    `TargetError` (when a trial asks) where no point meets the target.
    """

    def __init__(
        self,
        space: SearchSpace | CodeSpace,
        *,
        latency: HasLatency,
        target_ms: float,
        reward: str = "hard",
        budget: int = 100,
        seed: int = 0,
        noisy: bool = True,
        asker: str | Callable[[Question], Asker] = "surrogate",
    ) -> None:
        domain = _domain(space, latency)
        goal = Goal(target_ms=target_ms, reward=Reward.parse(reward))
        question = Question(domain=domain, goal=goal, budget=budget, seed=seed, noisy=noisy)
        self._question, self._ground = question, Ground(question)
        self._asker = asker_named(asker, question) if isinstance(asker, str) else asker(question)
        self._genes = {name: CategoricalDistribution(list(choices)) for name, choices in space.genes.items()}
        self._others = RandomSampler(seed=seed)
        self._digests: dict[Code, str] = {}
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Only what is drawn at random has a state."""
        self._others.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The genes."""
        return dict(self._genes)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A value for each gene; `ValueError` in a study of several objectives."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        for _ in range(_AGAIN):
            with self._lock:
                code = self._next(study, trial)
            # As Optuna's own samplers do: suggested parameters are written one by one, and others have to see this now.
            study._storage.set_trial_system_attr(trial._trial_id, _CODE, json.dumps(code))
            if not self._taken_by_another(study, trial, code):
                break
        chosen = zip(self._genes.items(), code, strict=True)
        return {name: gene.choices[place] for (name, gene), place in chosen if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value of what is no gene."""
        self._raise_error_if_multi_objective(study)
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def _next(self, study: Study, trial: FrozenTrial) -> Code:
        """What to try in `trial`."""
        known, silent = [], 0
        for other in study.get_trials(deepcopy=False):
            if other.number == trial.number:
                continue
            code = self._code(other)
            if code is not None and other.state in _STATES:
                known.append((other, code))
            elif other.state == TrialState.RUNNING and other.number < trial.number and not other.params:
                # It has not said what it took: it would take the best, and leaves the next ones to us.
                silent += 1
        trials = self._records(study, known)
        for proposals in (self._asker.ask(trials, silent + 1), self._asker.confirm(trials, 1)):
            if allowed := [one.codes for one in proposals if self._allowed(one.codes)]:
                return allowed[-1]
        trials = [one for one in trials if self._allowed(one.codes)]
        if not trials:
            raise TargetError(
                f"a study needs points that meet the target, but none has at most {self._question.goal.limit_ms:g} ms;"
                " give a larger target_ms."
            )
        times = Counter(one.codes for one in trials)
        return min(times, key=lambda code: times[code])

    def _allowed(self, code: Code) -> bool:
        """Whether a point may be an answer: an asker may propose others where nothing else is left."""
        return bool(self._ground.goal.feasible(self._ground.standing(np.array([code])))[0])

    def _records(self, study: Study, known: Sequence[tuple[FrozenTrial, Code]]) -> list[Trial]:
        if not known:
            return []
        latency_ms = self._question.domain.latency_ms(np.array([code for _, code in known]))
        repeats: dict[Code, int] = {}
        records = []
        for (trial, code), ms in zip(known, latency_ms.tolist(), strict=True):
            repeats[code] = repeats.get(code, -1) + 1
            records.append(
                Trial(
                    number=trial.number,
                    codes=code,
                    digest=self._digest(code),
                    state=_STATES[trial.state],
                    repeat=repeats[code],
                    curve=self._curve(study, trial),
                    latency_ms=ms,
                    reason="the objective failed" if trial.state == TrialState.FAIL else None,
                )
            )
        return records

    @staticmethod
    def _curve(study: Study, trial: FrozenTrial) -> tuple[tuple[int, float], ...]:
        rungs = sorted(trial.intermediate_values.items())
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            rungs = [*(rung for rung in rungs[:-1]), (rungs[-1][0] if rungs else 0, trial.value)]
        if trial.state in (TrialState.FAIL, TrialState.RUNNING):
            rungs = []
        errors = study.direction == StudyDirection.MINIMIZE
        return tuple((step, 1.0 - value if errors else value) for step, value in rungs)

    def _digest(self, code: Code) -> str:
        if code not in self._digests:
            self._digests[code] = self._question.domain.digest(code)
        return self._digests[code]

    def _code(self, trial: FrozenTrial) -> Code | None:
        """The canonical code of a trial, by its parameters, and by what was suggested where it has not asked for them;
        None where genes that mean something are unknown."""
        suggested = json.loads(trial.system_attrs.get(_CODE, "null"))
        if suggested is None and not trial.params.keys() & self._genes.keys():
            return None
        last = [len(gene.choices) - 1 for gene in self._genes.values()]
        filled = [_places(self._genes, trial.params, suggested or missing) for missing in ([0] * len(last), last)]
        if None in filled:
            return None
        lowest, highest = self._question.domain.canonical(np.array(filled, dtype=np.int64)).tolist()
        return tuple(lowest) if lowest == highest else None

    def _taken_by_another(self, study: Study, trial: FrozenTrial, code: Code) -> bool:
        """Whether another running trial says the same, which it may have begun to while this one asked."""
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(other.number != trial.number and self._code(other) == code for other in running)


def _domain(space: SearchSpace | CodeSpace, latency: HasLatency) -> Domain:
    """The points of the space; networks on a device's own model are compiled, with the published prior."""
    if isinstance(space, CodeSpace):
        return CodeDomain(space, latency)
    if not isinstance(latency, LatencyModel):
        return NetworkDomain(space, latency)
    return NetworkDomain(space, latency, accuracy=load_accuracy("imagenet"), kept=runs_folder() / "compiled")


def _places(
    genes: Mapping[str, CategoricalDistribution], params: Mapping[str, Any], missing: Sequence[int]
) -> list[int] | None:
    """The place of each parameter among the choices of its gene, that of `missing` where there is none; None where a
    value is no choice."""
    places = []
    for (name, gene), otherwise in zip(genes.items(), missing, strict=True):
        if name not in params:
            places.append(otherwise)
        elif params[name] in gene.choices:
            places.append(gene.choices.index(params[name]))
        else:
            return None
    return places
