"""What a search on images begins with: the points that earlier searches have tried, of a domain made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.jobs.data_before import WHY, Beginning, trained_before
from nas.runs import Tables
from nas.strategies.problem import Codes
from nas.testing.askers import AskerConformance, MakeAsker, question_of, run
from nas.testing.domains import AdditiveDomain
from nas.trials.askers import asker_named
from nas.trials.evaluations import Evaluations, Measured
from nas.trials.studies import Draft, Study

RUNGS = (2, 8)


class TestBeginning(AskerConformance):
    """With nothing that was trained before it asks as the other does."""

    beats_random = False

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return lambda question: Beginning(asker_named("random", question), ())


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(f"sqlite:///{tmp_path / 'nas.db'}")


def try_out(tables: Tables, codes: tuple[int, ...], digest: str, curve: list[float], recipe: str = "r") -> None:
    """A search of its own that tries one point, as many rungs as there are accuracies."""
    study = Study(
        Evaluations(tables), f"of {codes} {recipe}", evaluator="images", recipe=recipe, question={}, rungs=RUNGS
    )
    (begun,) = study.begin([Draft(codes=codes, digest=digest, latency_ms=1.0, subject="a network")], budget=1)
    for number, accuracy in enumerate(curve):
        trial = begun.trial if number == 0 else study.take(study.trials()[0], "a network").trial
        study.finish(trial, Measured(accuracy=accuracy))


def test_the_best_that_may_answer_come_first_whatever_search_tried_them(tables: Tables) -> None:
    domain = AdditiveDomain(0, num_genes=2, choices=3)
    slow = (2, 2)
    for codes, curve in (((0, 1), [0.9]), ((1, 1), [0.3, 0.5]), ((2, 0), [0.6]), ((2, 1), [0.3, 0.4]), (slow, [1.0])):
        try_out(tables, codes, domain.digest(codes), curve)
    try_out(tables, (0, 0), domain.digest((0, 0)), [0.8], recipe="another")
    try_out(tables, (1, 0), domain.digest((0, 2)), [0.8])  # of a space in which that means another network
    try_out(tables, (1, 3), "d", [0.8])
    try_out(tables, (1,), "d1", [0.8])

    def found(most: int, recipe: str = "r") -> list[tuple[int, ...]]:
        return trained_before(tables, domain, lambda one: one != slow, evaluator="images", recipe=recipe, most=most)

    assert found(9) == [(1, 1), (2, 1), (0, 1), (2, 0)]
    assert found(3) == found(9)[:3] and found(9, "another") == [(0, 0)] and found(9, "none") == []


def test_points_that_mean_the_same_network_are_not_asked_twice(tables: Tables) -> None:
    domain = AdditiveDomain(0, num_genes=3)
    assert (domain.canonical(np.array([[0, 1, 2]])) == [[0, 1, 0]]).all()
    for codes in ((0, 1, 2), (0, 1, 0)):
        try_out(tables, codes, domain.digest(codes), [0.5])
    assert trained_before(tables, domain, lambda one: True, evaluator="images", recipe="r", most=9) == [(0, 1, 0)]


def test_what_was_trained_before_is_asked_first() -> None:
    question = question_of(AdditiveDomain(0))
    codes: Codes = np.array([[0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    first = [tuple(row) for row in codes.tolist()]
    trials = run(Beginning(asker_named("random", question), first), question, 8, batch=2)
    assert [trial.codes for trial in trials[:3]] == first and len({trial.codes for trial in trials}) == 8
    (proposal,) = Beginning(asker_named("random", question), first).ask(trials[:2], 5)
    assert (proposal.codes, proposal.why) == (first[2], WHY)
