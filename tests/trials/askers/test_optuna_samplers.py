from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nas.testing.askers import question_of, random_trials, tried
from nas.testing.domains import AdditiveDomain
from nas.trials.askers.optuna_samplers import Gp, Nsga2, OptunaAsker, Tpe


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> list[optuna.Study]:
    """The studies that askers make, in their order."""
    made: list[optuna.Study] = []
    create = optuna.create_study

    def remembering(**settings: object) -> optuna.Study:
        made.append(create(**settings))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(optuna, "create_study", remembering)
    return made


@pytest.mark.parametrize("asker", [Tpe, Nsga2, Gp])
def test_a_study_holds_the_trials(asker: type[OptunaAsker], studies: list[optuna.Study]) -> None:
    domain = AdditiveDomain(0)
    question = question_of(domain)
    trials = random_trials(question, 9)
    trials[2] = tried(domain, trials[2].codes, 2, state="failed")
    trials[8] = tried(domain, trials[8].codes, 8, state="pending")
    asker(question).ask(trials[::-1], 1)
    (study,) = studies
    told = study.trials[:8]
    assert [trial.state for trial in told] == [TrialState.COMPLETE] * 7 + [TrialState.RUNNING]
    known = [trial for number, trial in enumerate(trials) if number != 2]
    assert [tuple(trial.params.values()) for trial in told] == [trial.codes for trial in known]
    assert [trial.value for trial in told[:7]] == [trial.accuracy for trial in known[:7]]
    over = [trial.latency_ms / question.goal.target_ms - 1 for trial in known]
    assert [trial.constraints["latency"] for trial in told] == pytest.approx(over)
    assert study.direction.name == "MAXIMIZE"


def test_what_is_above_the_target_is_answered_free(studies: list[optuna.Study]) -> None:
    question = question_of(AdditiveDomain(1), share=0.05)
    trials = random_trials(question, 12)
    Tpe(question).ask(trials, 2)
    suggested = studies[0].trials[12:]
    answered = [trial for trial in suggested if trial.state == TrialState.COMPLETE]
    assert answered
    assert all(trial.constraints["latency"] > 0 for trial in answered)
    assert {trial.value for trial in answered} == {np.mean([trial.accuracy for trial in trials])}


def test_generations_are_those_of_the_order_of_trials(studies: list[optuna.Study]) -> None:
    question = question_of(AdditiveDomain(1), budget=50)  # generations of ten
    Nsga2(question).ask(random_trials(question, 25), 1)
    sampler = studies[0].sampler
    assert isinstance(sampler, optuna.samplers.NSGAIISampler)
    sizes = [len(sampler.get_population(studies[0], generation)) for generation in range(4)]
    assert sizes == [10, 10, 5, 0]


def test_optuna_is_as_talkative_as_before() -> None:
    level = optuna.logging.get_verbosity()
    Tpe(question_of(AdditiveDomain(0))).ask([], 1)
    assert optuna.logging.get_verbosity() == level
