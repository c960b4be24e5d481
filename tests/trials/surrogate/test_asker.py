from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nas.space.codes import CodeSpace
from nas.strategies import Goal
from nas.strategies.problem import Codes
from nas.testing.domains import AdditiveDomain
from nas.trials.domain import CodeDomain
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Surrogate
from nas.trials.surrogate.asker import ACQUISITION, FIRST
from nas.trials.surrogate.first import FARTHEST
from tests.trials.surrogate.made import made_trials

LARGE = CodeSpace(name="large", description="", genes={f"g{i}": (1, 2, 3, 4) for i in range(24)}, source="")


class Sum:
    """A latency that is the sum of a point's genes."""

    def codes_ms(self, codes: Codes) -> np.ndarray:
        return np.asarray(codes.sum(axis=1) + 24.0)

    def latency_ms(self, points: list) -> np.ndarray:
        return self.codes_ms(np.array([point.code for point in points]))


def _question(domain: AdditiveDomain, *, quantile: float = 0.5, budget: int = 30, noisy: bool = False) -> Question:
    goal = Goal(target_ms=float(np.quantile(domain.latency_ms(domain.every()), quantile)))
    return Question(domain=domain, goal=goal, budget=budget, noisy=noisy)


def large_trials() -> tuple[Question, list[Trial]]:
    """A question on a space of 4^24 codes, and thirty trials of it."""
    domain = CodeDomain(LARGE, Sum())
    question = Question(domain=domain, goal=Goal(target_ms=60.0), budget=100, seed=3, noisy=False)
    codes = LARGE.sample_codes(200, np.random.default_rng(0))
    codes = codes[domain.latency_ms(codes) <= 60.0][:30]
    accuracy = 0.5 + 0.01 * (codes * np.linspace(0.2, 1.0, 24)).sum(axis=1)
    return question, [
        Trial(number=i, codes=tuple(code), digest="", state="done", curve=((0, float(a)),), latency_ms=1.0)
        for i, (code, a) in enumerate(zip(codes.tolist(), accuracy, strict=True))
    ]


def test_first_samples_lie_near_the_target_then_the_acquisition_decides() -> None:
    domain = AdditiveDomain(0)
    question = _question(domain)
    asker = Surrogate(question)

    first = asker.ask([], 4)
    done = [replace(t, number=i) for i, t in enumerate(made_trials(domain, question.goal, count=10, seed=0))]

    assert [one.why for one in first] == [FIRST] * 4
    ratio = domain.latency_ms(np.array([one.codes for one in first])) / question.goal.target_ms
    assert ((ratio >= FARTHEST) & (ratio <= 1.0)).all()
    assert [one.why for one in asker.ask(done, 2)] == [ACQUISITION] * 2


def test_first_samples_of_one_ask_are_those_of_many() -> None:
    domain = AdditiveDomain(1)
    question = _question(domain)
    together = [one.codes for one in Surrogate(question).ask([], 3)]
    one_by_one: list[Trial] = []

    for number in range(3):
        (proposal,) = Surrogate(question).ask(one_by_one, 1)
        one_by_one.append(Trial(number=number, codes=proposal.codes, digest="", state="pending", latency_ms=1.0))

    assert [trial.codes for trial in one_by_one] == together


def test_on_a_large_space_another_process_asks_for_the_same() -> None:
    question, trials = large_trials()
    program = (
        "from tests.trials.surrogate.test_asker import *\n"
        "question, trials = large_trials()\nprint([one.codes for one in Surrogate(question).ask(trials, 3)])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    asker = Surrogate(question)
    asker.ask(trials[:20], 2)

    assert str([one.codes for one in asker.ask(trials, 3)]) == other.stdout.strip()


def test_on_a_large_space_what_it_asks_for_is_better_than_what_it_knows() -> None:
    question, trials = large_trials()

    proposals = Surrogate(question).ask(trials, 4)

    codes = np.array([one.codes for one in proposals])
    assert len(np.unique(codes, axis=0)) == 4
    assert (question.domain.latency_ms(codes) <= 60.0).all()
    # Genes further back are worth more of the same latency; nobody said so but thirty trials.
    accuracy = 0.5 + 0.01 * (codes * np.linspace(0.2, 1.0, 24)).sum(axis=1)
    assert accuracy.min() > max(trial.curve[-1][1] for trial in trials)


def test_what_is_pending_counts_as_if_it_had_come_true() -> None:
    domain = AdditiveDomain(2)
    question = _question(domain)
    trials = made_trials(domain, question.goal, count=12, seed=0)
    asker = Surrogate(question)
    first, second, third = asker.ask(trials, 3)
    waiting = Trial(number=12, codes=first.codes, digest="", state="pending", latency_ms=1.0)

    assert asker.ask([*trials, waiting], 2) == [second, third]


def test_only_listed_points_are_asked_for() -> None:
    domain = AdditiveDomain(3)
    question = _question(domain)
    pool = domain.every()[::25]
    asker, trials = Surrogate(question, listed=pool), list[Trial]()
    listed = set(map(tuple, pool.tolist()))

    while proposals := asker.ask(trials, 5):
        for one in proposals:
            accuracy = float(domain.accuracy(np.array([one.codes]))[0])
            trials.append(
                Trial(
                    number=len(trials),
                    codes=one.codes,
                    digest="",
                    state="done",
                    curve=((0, accuracy),),
                    latency_ms=1.0,
                )
            )

    codes = [trial.codes for trial in trials]
    assert sorted(codes) == sorted(listed)
    # What meets the target was asked for before anything that does not.
    meets = domain.latency_ms(np.array(codes)) <= question.goal.target_ms
    assert meets[: meets.sum()].all()


def test_the_chance_of_better_falls_as_better_points_are_known() -> None:
    domain = AdditiveDomain(4)
    question = _question(domain)
    every = domain.every()
    under = every[domain.latency_ms(every) <= question.goal.target_ms]
    order = np.argsort(domain.accuracy(under))
    trials = made_trials(domain, question.goal, count=25, seed=0)
    asker = Surrogate(question)
    worst, best = under[order[0]].tolist(), under[order[-1]].tolist()

    of_worst = asker.chance_of_better(trials, worst, 0.001)
    of_best = asker.chance_of_better(trials, best, 0.001)
    far = asker.chance_of_better(trials, best, 0.5)

    assert of_worst is not None and of_best is not None
    assert of_worst > 0.99
    assert of_best < 0.6
    assert far == 0.0
    assert asker.chance_of_better([], best, 0.001) is None


def test_chances_come_true_as_often_as_they_say() -> None:
    # Of twenty domains: after 14 trials, does an untried point beat the best of them by half a point? The mean of the
    # chances is within 0.25 of the share in which it does: two and a half deviations of twenty draws of even odds.
    chances, outcomes = [], []
    for seed in range(20):
        domain = AdditiveDomain(seed)
        question = _question(domain)
        trials = made_trials(domain, question.goal, count=14, seed=seed)
        best = max(trials, key=lambda trial: trial.curve[-1][1])
        every = domain.every()
        under = every[domain.latency_ms(every) <= question.goal.target_ms]
        chance = Surrogate(question).chance_of_better(trials, best.codes, 0.005)
        assert chance is not None
        chances.append(chance)
        outcomes.append(float(domain.accuracy(under).max() > best.curve[-1][1] + 0.005))

    assert np.mean(chances) == pytest.approx(np.mean(outcomes), abs=0.25)


def test_the_best_believed_are_confirmed_and_those_confirmed_give_way() -> None:
    domain = AdditiveDomain(5)
    question = _question(domain, noisy=True)
    noise = np.random.default_rng(0).normal(0, 0.01, 40)
    trials = [
        replace(t, curve=((0, t.curve[-1][1] + noise[t.number]),))
        for t in made_trials(domain, question.goal, count=30, seed=0)
    ]
    asker = Surrogate(question)

    first = [one.codes for one in asker.confirm(trials, 3)]
    poor = [replace(trials[0], number=30 + i, codes=first[0], repeat=i + 1, curve=((0, 0.1),)) for i in range(3)]

    believed = asker.believe(trials, np.array([t.codes for t in trials])).mean
    assert trials[int(np.argmax(believed))].codes in first
    assert first[0] not in [one.codes for one in asker.confirm([*trials, *poor], 3)]
