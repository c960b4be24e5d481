from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.errors import InputError
from nas.strategies import Goal
from nas.testing.askers import question_of, random_trials, tried
from nas.testing.domains import AdditiveDomain
from nas.trials.askers import ASKERS, asker_named
from nas.trials.askers.uniform import Uniform
from nas.trials.question import Question
from nas.trials.records import Trial


def _of(accuracies: list[tuple[tuple[int, ...], float]], domain: AdditiveDomain) -> list[Trial]:
    trials = [tried(domain, codes, number) for number, (codes, _) in enumerate(accuracies)]
    return [replace(trial, curve=((0, accuracy),)) for trial, (_, accuracy) in zip(trials, accuracies, strict=True)]


def test_every_asker_has_the_name_that_it_is_known_by() -> None:
    question = question_of(AdditiveDomain(0))
    assert {name: asker_named(name, question).name for name in ASKERS} == {name: name for name in ASKERS}
    with pytest.raises(InputError, match="nearest: aging"):
        asker_named("agein", question)


def test_beliefs_are_averages() -> None:
    """Two trials of one point, 0.5 and 0.6, and one of another, 0.7: the noise is that of the two, whose standard
    deviation is 0.1 / √2; what was not tried has the mean and the standard deviation of the three."""
    domain = AdditiveDomain(0, num_genes=3, choices=3)
    question = Question(domain=domain, goal=Goal(target_ms=100.0), budget=9, noisy=True)
    trials = _of([((1, 1, 1), 0.5), ((1, 1, 1), 0.6), ((2, 0, 0), 0.7)], domain)
    belief = Uniform(question).believe(trials, np.array([[1, 1, 1], [2, 0, 0], [2, 2, 2], [0, 0, 2]]))
    assert belief.mean == pytest.approx([0.55, 0.7, 0.6, 0.6])
    assert belief.deviation == pytest.approx([0.05, 0.1 / 2**0.5, 0.1, 0.1])


def test_an_exact_trial_is_believed_without_doubt() -> None:
    domain = AdditiveDomain(0, num_genes=3, choices=3)
    question = Question(domain=domain, goal=Goal(target_ms=100.0), budget=9, noisy=False)
    belief = Uniform(question).believe(_of([((1, 1, 1), 0.5)], domain), np.array([[1, 1, 1]]))
    assert (belief.mean[0], belief.deviation[0]) == (0.5, 0.0)


def test_the_best_averages_are_confirmed_first() -> None:
    """Not the luckiest single trial of a point that did badly again, nor what is being evaluated, nor what is slow."""
    domain = AdditiveDomain(0, num_genes=3, choices=3)
    lucky, steady, busy, slow = (1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 2, 2)
    latency_ms = dict(
        zip((lucky, steady, busy, slow), domain.latency_ms(np.array([lucky, steady, busy, slow])), strict=True)
    )
    goal = Goal(target_ms=max(ms for code, ms in latency_ms.items() if code != slow))
    assert latency_ms[slow] > goal.target_ms
    trials = _of([(lucky, 0.9), (lucky, 0.5), (steady, 0.8), (busy, 0.95), (slow, 0.99)], domain)
    trials.append(tried(domain, busy, 5, state="pending", repeat=1))
    question = Question(domain=domain, goal=goal, budget=9, noisy=True)
    assert [one.codes for one in Uniform(question).confirm(trials, 5)] == [steady, lucky]


def test_asks_do_not_repeat_themselves_when_trials_fail() -> None:
    question = question_of(AdditiveDomain(0))
    trials = random_trials(question, 3)
    failed = [*trials, replace(trials[0], number=3, codes=(1, 1, 1, 1, 1, 1), state="failed", curve=())]
    assert Uniform(question).ask(trials, 1) != Uniform(question).ask(failed, 1)
