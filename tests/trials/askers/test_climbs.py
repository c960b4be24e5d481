"""Aging evolution and local search, by what they may ask for next."""

from __future__ import annotations

import numpy as np

from nas.testing.askers import question_of, random_trials, run
from nas.testing.domains import AdditiveDomain
from nas.trials.askers.aging import Aging
from nas.trials.askers.ground import Ground
from nas.trials.askers.local import STARTS, Local
from nas.trials.records import Trial


def _steps(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def test_a_child_is_one_change_from_one_of_the_youngest() -> None:
    question = question_of(AdditiveDomain(0, num_genes=8), budget=50)  # a population of ten
    trials = random_trials(question, 30)
    assert [one.why for one in Aging(question).ask(trials[:9], 2)] == ["random", "random"]
    ground = Ground(question)
    youngest = [{tuple(code) for code in ground.neighbours(trial.codes).tolist()} for trial in trials[-10:]]
    for number in range(20, 30):
        (child,) = Aging(question).ask(trials[: number + 1], 1)
        parents = trials[number - 9 : number + 1]
        assert any(child.codes in {tuple(c) for c in ground.neighbours(one.codes).tolist()} for one in parents)
    for child in Aging(question).ask(trials, 8):
        assert child.why == "mutation of a winner"
        assert any(child.codes in around for around in youngest)


def test_the_oldest_does_not_win_however_good_it_was() -> None:
    question = question_of(AdditiveDomain(1, num_genes=8), budget=50)
    trials = random_trials(question, 40)
    domain = question.domain
    best = max(range(len(trials)), key=lambda i: trials[i].accuracy or 0.0)
    trials = [trials[best], *trials[:best], *trials[best + 1 :]]
    trials = [_renumbered(trial, number) for number, trial in enumerate(trials)]
    around = {tuple(code) for code in Ground(question).neighbours(trials[0].codes).tolist()}
    around -= {tuple(c) for trial in trials[-10:] for c in Ground(question).neighbours(trial.codes).tolist()}
    assert around
    assert not around & {child.codes for child in Aging(question).ask(trials, 20)}
    assert domain.cardinalities[0] == 3


def _renumbered(trial: Trial, number: int) -> Trial:
    from dataclasses import replace

    return replace(trial, number=number)


def test_a_climb_stays_around_its_best_and_begins_again_at_its_top() -> None:
    """Replays a whole search with a second bookkeeping: every proposal is a neighbour of the best of its climb, or the
    climb's best has no neighbour left and the proposal is random."""
    domain = AdditiveDomain(2, num_genes=5)
    question = question_of(domain, share=0.8, budget=200)
    trials = run(Local(question), question, 120)
    ground, climbs = Ground(question), 1
    best: Trial | None = max(trials[:STARTS], key=lambda trial: trial.accuracy or 0.0)
    for number in range(STARTS, len(trials)):
        before, trial = {one.codes for one in trials[:number]}, trials[number]
        if best is not None:
            left = {tuple(code) for code in ground.neighbours(best.codes).tolist()} - before
            if left:
                assert trial.codes in left
            else:
                best, climbs = None, climbs + 1
        if best is None or (trial.accuracy or 0.0) > (best.accuracy or 0.0):
            best = trial
    assert climbs > 2
    assert {_steps(trials[STARTS].codes, one.codes) for one in trials[:STARTS]} & {1, 2}
    every = domain.every()
    allowed = domain.latency_ms(every) <= question.goal.target_ms
    assert max(trial.accuracy or 0.0 for trial in trials) == np.max(domain.accuracy(every[allowed]))
