from __future__ import annotations

import numpy as np
import pytest

from nas.strategies import Goal
from nas.testing.askers import question_of, random_trials
from nas.testing.domains import AdditiveDomain
from nas.trials.askers import ground as module
from nas.trials.askers.ground import Ground, Untried
from nas.trials.question import Question


def test_every_allowed_point_once() -> None:
    domain = AdditiveDomain(0)
    question = question_of(domain, share=0.3)
    every = domain.every()
    expected = every[domain.latency_ms(every) <= question.goal.target_ms]
    found = Ground(question).every()
    assert found is not None
    assert found.tolist() == expected.tolist()


def test_neighbours_differ_in_one_gene_that_means_something() -> None:
    """Written down a second time: of all points those whose codes are one change, and what that makes idle, away."""
    domain = AdditiveDomain(1, num_genes=4, choices=3)
    ground = Ground(question_of(domain, share=0.7))
    every = ground.every()
    assert every is not None
    for code in [(0, 1, 2, 0), (1, 0, 0, 2), (2, 2, 1, 0)]:
        expected = set()
        for gene in range(4):
            for choice in range(3):
                other = list(code)
                other[gene] = choice
                if other[0] == 0:
                    other[3] = 0
                expected.add(tuple(other))
        expected &= {tuple(one) for one in every.tolist()}
        assert {tuple(one) for one in ground.neighbours(code).tolist()} == expected - {code}


@pytest.mark.parametrize("listed", [True, False])
def test_drawing_is_uniform(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first points of 600 draws each of the allowed ones comes up as often as it should: chi-squared at most its
    99.9 % quantile (the seeds are fixed). In a space that is not listed, a point is as likely as it has codes."""
    if not listed:
        monkeypatch.setattr(module, "LISTED", 0)
    domain = AdditiveDomain(2, num_genes=3, choices=3)
    ground = Ground(question_of(domain, share=0.5))
    codes = [Untried(ground, [], np.random.default_rng(seed)).draw(1)[0] for seed in range(600)]
    every = domain.every()
    allowed = [tuple(one) for one in every[domain.latency_ms(every) <= ground.goal.limit_ms].tolist()]
    weight = np.array([3.0 if not listed and one[0] == 0 else 1.0 for one in allowed])
    expected = 600 * weight / weight.sum()
    counts = np.array([codes.count(one) for one in allowed])
    from scipy.stats import chi2

    assert counts.sum() == 600
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, len(allowed) - 1)


def test_a_large_space_is_not_listed_and_asked_little() -> None:
    domain = AdditiveDomain(3, num_genes=40)
    question = question_of(domain)
    domain.calls = 0
    found = Untried(Ground(question), random_trials(question, 3), np.random.default_rng(0)).draw(5)
    assert len(set(found)) == 5
    assert Ground(question).every() is None
    assert domain.calls < 2000


def test_other_limits_count_as_the_latency_does() -> None:
    class Limited(AdditiveDomain):
        def excess(self, codes: np.ndarray) -> np.ndarray:
            return np.asarray(codes[:, 1] == 2, dtype=np.float64)

    domain = Limited(0, num_genes=3, choices=3)
    ground = Ground(Question(domain=domain, goal=Goal(target_ms=100.0), budget=9))
    every = ground.every()
    assert every is not None
    assert set(every[:, 1].tolist()) == {0, 1}
    assert Untried(ground, [], np.random.default_rng(0)).take(np.array([[1, 2, 0], [1, 1, 0]]), 2) == [(1, 1, 0)]
