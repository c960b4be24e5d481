"""What every asker must do: inherit `AskerConformance` and give it one fixture, `make_asker`."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from nas.strategies import Goal, Reward
from nas.testing.domains import AdditiveDomain
from nas.testing.pace import pace_s
from nas.trials.asker import Asker
from nas.trials.question import Question
from nas.trials.records import Proposal, State, Trial

MakeAsker = Callable[[Question], Asker]


def question_of(
    domain: AdditiveDomain,
    *,
    share: float = 0.4,
    form: str = "hard",
    budget: int = 40,
    seed: int = 0,
    noisy: bool = False,
) -> Question:
    """The question for the best point of a domain at the latency that a `share` of its points keeps."""
    goal = Goal(target_ms=domain.target_ms(share), reward=Reward.parse(form))
    return Question(domain=domain, goal=goal, budget=budget, seed=seed, noisy=noisy)


def tried(
    domain: AdditiveDomain,
    codes: Sequence[int],
    number: int,
    *,
    state: State = "done",
    repeat: int = 0,
    noise: float = 0.0,
) -> Trial:
    """The trial of a point of a domain."""
    array = np.array([codes])
    accuracy = float(domain.accuracy(array)[0]) + noise
    return Trial(
        number=number,
        codes=tuple(codes),
        digest=domain.digest(codes),
        state=state,
        repeat=repeat,
        curve=((0, accuracy),) if state == "done" else (),
        latency_ms=float(domain.latency_ms(array)[0]),
        reason="made to fail" if state == "failed" else None,
    )


def run(asker: Asker, question: Question, calls: int, *, batch: int = 1) -> list[Trial]:
    """The trials that an asker makes of a question's domain, `batch` at a time; fewer where it asks for no more."""
    domain = question.domain
    assert isinstance(domain, AdditiveDomain)
    trials: list[Trial] = []
    while len(trials) < calls:
        proposals = asker.ask(trials, min(batch, calls - len(trials)))
        if not proposals:
            break
        trials += [tried(domain, one.codes, len(trials) + i) for i, one in enumerate(proposals)]
    return trials


def random_trials(question: Question, count: int, seed: int = 0) -> list[Trial]:
    """Trials of distinct random points under the limit."""
    domain, rng = question.domain, np.random.default_rng(seed)
    assert isinstance(domain, AdditiveDomain)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        codes = domain.canonical(rng.integers(0, domain.cardinalities, (4 * count, len(domain.cardinalities))))
        allowed = domain.latency_ms(codes) <= question.goal.limit_ms
        found |= dict.fromkeys(tuple(code) for code in codes[allowed].tolist())
    return [tried(domain, codes, i) for i, codes in enumerate(list(found)[:count])]


class AskerConformance:
    """The tests, on `AdditiveDomain`."""

    beats_random: ClassVar[bool] = True
    """Whether it learns from trials."""
    contest_calls: ClassVar[int] = 40
    """Trials of each contest against random points; an asker that takes long may have fewer."""
    many_paces: ClassVar[float] = 500.0
    """The longest that it may take to ask, with `many_trials` finished (`pace_s`)."""
    many_trials: ClassVar[int] = 2000

    @pytest.fixture
    @abstractmethod
    def make_asker(self) -> MakeAsker:
        """Makes the asker to test from a question."""

    @staticmethod
    def _mixed(question: Question, count: int = 14) -> list[Trial]:
        """Random trials, of which some failed and some are pending."""
        trials = random_trials(question, count)
        trials[3] = replace(trials[3], state="failed", curve=(), reason="made to fail")
        return trials[:-2] + [replace(trial, state="pending", curve=()) for trial in trials[-2:]]

    def _check(self, question: Question, trials: Sequence[Trial], proposals: Sequence[Proposal]) -> None:
        """Distinct, canonical, within the limit, and not tried."""
        domain = question.domain
        codes = [proposal.codes for proposal in proposals]
        assert len(set(codes)) == len(codes)
        assert not {trial.codes for trial in trials} & set(codes)
        if codes:
            array = np.array(codes)
            assert ((array >= 0) & (array < domain.cardinalities)).all()
            assert (domain.canonical(array) == array).all()
            assert (domain.latency_ms(array) <= question.goal.limit_ms).all()
        assert all(proposal.why for proposal in proposals)
        assert all(type(choice) is int for code in codes for choice in code)

    def test_ask_is_a_function_of_question_and_trials(self, make_asker: MakeAsker) -> None:
        """Whatever was asked before, in whatever order trials ended, and after all that it remembers is lost."""
        question = question_of(AdditiveDomain(0))
        trials = self._mixed(question)
        used = make_asker(question)
        for count in (0, 5, len(trials)):
            used.ask(trials[:count], 2)
        expected = make_asker(question).ask(trials, 3)
        assert used.ask(trials, 3) == expected
        assert used.ask(trials, 3) == expected
        shuffled = list(trials)
        random.Random(1).shuffle(shuffled)
        assert make_asker(question).ask(shuffled, 3) == expected
        assert make_asker(question_of(AdditiveDomain(0))).ask(tuple(trials), 3) == expected

    def test_another_seed_asks_elsewhere(self, make_asker: MakeAsker) -> None:
        domain = AdditiveDomain(0, num_genes=12)
        asked = {tuple(make_asker(question_of(domain, seed=seed)).ask([], 4)) for seed in range(4)}
        assert len(asked) > 1

    def test_it_changes_nothing_that_it_is_given(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(0))
        trials = self._mixed(question)
        kept = list(trials)
        asker = make_asker(question)
        asker.ask(trials, 2)
        asker.confirm(trials, 2)
        asker.believe(trials, np.array([trials[0].codes]))
        assert trials == kept

    @pytest.mark.parametrize("form", ["hard", "soft"])
    @pytest.mark.parametrize("batch", [1, 8])
    def test_proposals_are_new_and_meet_the_target(self, make_asker: MakeAsker, form: str, batch: int) -> None:
        question = question_of(AdditiveDomain(1), form=form)
        asker = make_asker(question)
        trials: list[Trial] = []
        while len(trials) < 24:
            proposals = asker.ask(trials, batch)
            assert len(proposals) == batch
            self._check(question, trials, proposals)
            domain = question.domain
            assert isinstance(domain, AdditiveDomain)
            for proposal in proposals:
                state: State = "failed" if len(trials) % 5 == 3 else "done"
                trials.append(tried(domain, proposal.codes, len(trials), state=state))

    def test_pending_points_are_not_asked_for_again(self, make_asker: MakeAsker) -> None:
        """Asks one at a time while nothing ends, after some trials have."""
        question = question_of(AdditiveDomain(2))
        domain = question.domain
        assert isinstance(domain, AdditiveDomain)
        asker = make_asker(question)
        trials = random_trials(question, 14)
        for _ in range(8):
            proposals = asker.ask(trials, 1)
            assert len(proposals) == 1
            self._check(question, trials, proposals)
            trials.append(tried(domain, proposals[0].codes, len(trials), state="pending"))

    def test_where_all_fail_it_goes_on(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(3))
        trials = [replace(one, state="failed", curve=(), reason="no") for one in random_trials(question, 12)]
        proposals = make_asker(question).ask(trials, 3)
        assert len(proposals) == 3
        self._check(question, trials, proposals)
        belief = make_asker(question).believe(trials, np.array([trials[0].codes]))
        assert np.isfinite(belief.mean).all()

    @pytest.mark.parametrize("batch", [1, 7])
    def test_a_small_space_is_exhausted(self, make_asker: MakeAsker, batch: int) -> None:
        """Every point under the limit is asked for before any other, and then there are fewer, and at last none."""
        domain = AdditiveDomain(4, num_genes=3, choices=3)
        question = question_of(domain, budget=100)
        every = domain.every()
        allowed = {tuple(code) for code in every[domain.latency_ms(every) <= question.goal.limit_ms].tolist()}
        trials = run(make_asker(question), question, 100, batch=batch)
        assert {trial.codes for trial in trials[: len(allowed)]} == allowed
        assert len({trial.codes for trial in trials}) == len(trials) <= len(every)
        assert make_asker(question).ask(trials, 3) == []

    def test_one_gene(self, make_asker: MakeAsker) -> None:
        domain = AdditiveDomain(5, num_genes=1, choices=5)
        question = question_of(domain, share=1.0)
        assert {trial.codes for trial in run(make_asker(question), question, 20)} == {(i,) for i in range(5)}

    def test_genes_of_one_choice(self, make_asker: MakeAsker) -> None:
        domain = AdditiveDomain(5, num_genes=2, choices=4)
        domain.cardinalities[0] = 1
        question = question_of(domain, share=1.0)
        assert {trial.codes for trial in run(make_asker(question), question, 20)} == {(0, i) for i in range(4)}

    def test_one_point_that_meets_the_target(self, make_asker: MakeAsker) -> None:
        domain = AdditiveDomain(6)
        question = question_of(domain, share=0.0)
        every = domain.every()
        fastest = tuple(every[np.argmin(domain.latency_ms(every))].tolist())
        assert [proposal.codes for proposal in make_asker(question).ask([], 3)][:1] == [fastest]

    def test_a_large_space_with_few_points_under_the_target(self, make_asker: MakeAsker) -> None:
        """Of 4^30 points those under a latency that none of some thousand random ones keeps."""
        domain = AdditiveDomain(7, num_genes=30)
        fastest = float(domain.latency_ms(np.zeros((1, 30), dtype=np.int64))[0])
        goal = Goal(target_ms=0.7 * fastest + 0.3 * domain.target_ms(0.0))
        question = Question(domain=domain, goal=goal, budget=40, noisy=False)
        proposals = make_asker(question).ask([], 2)
        assert len(proposals) == 2
        self._check(question, [], proposals)

    def test_nothing_is_confirmed_without_noise(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(0), noisy=False)
        assert make_asker(question).confirm(random_trials(question, 8), 3) == []

    def test_what_is_confirmed_is_done_and_meets_the_target(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(0), noisy=True)
        asker = make_asker(question)
        assert asker.confirm([], 3) == []
        trials = self._mixed(question)
        done = {trial.codes for trial in trials if trial.state == "done"}
        confirmed = asker.confirm(trials, 3)
        assert 1 <= len(confirmed) <= 3
        assert len({proposal.codes for proposal in confirmed}) == len(confirmed)
        assert {proposal.codes for proposal in confirmed} <= done
        assert len(asker.confirm(trials, 1000)) <= len(done)
        assert make_asker(question).confirm(trials[::-1], 3) == confirmed

    def test_beliefs_are_finite(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(0), noisy=True)
        domain = question.domain
        assert isinstance(domain, AdditiveDomain)
        asker = make_asker(question)
        trials = self._mixed(question)
        for known in ([], trials[:1], trials, [*trials, replace(trials[0], number=99, repeat=1)]):
            for codes in (domain.every()[:50], domain.every()[:0]):
                belief = asker.believe(known, codes)
                assert belief.mean.shape == belief.deviation.shape == (len(codes),)
                assert np.isfinite(belief.mean).all()
                assert np.isfinite(belief.deviation).all()
                assert (belief.deviation >= 0).all()

    def test_a_point_is_believed_by_its_trials(self, make_asker: MakeAsker) -> None:
        """Many repeats say what it is, within the spread of their noise (0.005) and what others pull it to."""
        question = question_of(AdditiveDomain(0), noisy=True)
        domain = question.domain
        assert isinstance(domain, AdditiveDomain)
        rng = np.random.default_rng(0)
        trials = random_trials(question, 10)
        code = trials[4].codes
        for i in range(30):
            trials.append(tried(domain, code, len(trials), repeat=i + 1, noise=float(rng.normal(0, 0.005))))
        belief = make_asker(question).believe(trials, np.array([code]))
        assert belief.mean[0] == pytest.approx(float(domain.accuracy(np.array([code]))[0]), abs=0.005)
        assert belief.deviation[0] < 0.01

    def test_a_trial_that_was_stopped_says_what_it_reached(self, make_asker: MakeAsker) -> None:
        """Of a search in rungs most trials end at the first: where none went on, they say as much as if it were all."""
        question = question_of(AdditiveDomain(0))
        done = [replace(trial, curve=((2, trial.accuracy or 0.0),)) for trial in random_trials(question, 30)]
        stopped = [replace(trial, state="stopped") for trial in done]
        asked = [make_asker(question).ask(trials, 3) for trials in (done, stopped)]
        assert asked[0] == asked[1]
        codes = np.array([trial.codes for trial in done[:5]])
        believed = [make_asker(question).believe(trials, codes) for trials in (done, stopped)]
        assert believed[0].mean == pytest.approx(believed[1].mean)

    def test_the_chance_of_better_is_a_chance_or_unknown(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(0))
        trials = random_trials(question, 12)
        best = max(trials, key=lambda trial: trial.accuracy or 0.0)
        for margin in (0.0, 0.001, 0.5):
            chance = make_asker(question).chance_of_better(trials, best.codes, margin)
            assert chance is None or 0.0 <= chance <= 1.0

    def test_many_trials_take_no_long_time(self, make_asker: MakeAsker) -> None:
        question = question_of(AdditiveDomain(8, num_genes=20), budget=10_000)
        trials = random_trials(question, self.many_trials)
        asker = make_asker(question)
        began = time.process_time()
        proposals = asker.ask(trials, 1)
        assert time.process_time() - began < self.many_paces * pace_s()
        assert len(proposals) == 1
        self._check(question, trials, proposals)

    def test_it_is_better_than_random_points(self, make_asker: MakeAsker) -> None:
        """The points of the last third of its trials are better on average than as many random ones, in at least seven
        of eight spaces.

        An asker that wins in a space with a chance of 0.98 fails this test after 1 % of all changes; one that learns
        nothing passes after 3.5 %. The seeds are fixed, so that a failure is no chance of one run.
        """
        if not self.beats_random:
            pytest.skip("it does not learn")
        wins = 0
        for seed in range(8):
            question = question_of(AdditiveDomain(100 + seed, num_genes=7), seed=seed, budget=self.contest_calls)
            domain = question.domain
            assert isinstance(domain, AdditiveDomain)
            trials = run(make_asker(question), question, self.contest_calls)
            late = np.array([trial.codes for trial in trials[-(self.contest_calls // 3) :]])
            luck = np.array([trial.codes for trial in random_trials(question, len(late), seed)])
            wins += int(domain.accuracy(late).mean() > domain.accuracy(luck).mean())
        assert wins >= 7
