from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InputError
from nas.strategies import Exhaustive, RandomSearch, SearchTask, Strategy
from nas.strategies.problem import Codes, Evaluation
from nas.testing.problems import RandomProblem
from nas.testing.strategies import StrategyConformance


class TestExhaustive(StrategyConformance):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Exhaustive()


class TestRandomSearch(StrategyConformance):
    # A point of the largest space, 3 * 4^5, is missed by 60,000 draws with a chance of exp(-19.5), 3e-9.
    @pytest.fixture
    def strategy(self) -> Strategy:
        return RandomSearch(evaluations=60_000)


def test_exhaustive_sees_every_network_once_and_says_so() -> None:
    problem = RandomProblem(5)
    result = Exhaustive().search(problem, SearchTask(target_ms=1.0, rng=np.random.default_rng(0)))
    assert result.exact
    assert result.evaluated == len(np.unique(problem.canonical(problem.every_code()), axis=0)) < problem.size


def test_any_number_of_genes_is_enumerated_where_few_vary() -> None:
    """NumPy numbers the points of at most 64 axes."""

    class Long:
        cardinalities = np.array([1] * 80 + [3] + [1] * 40 + [2, 4])

        def canonical(self, codes: Codes) -> Codes:
            return codes

        def evaluate(self, codes: Codes) -> Evaluation:
            value = codes @ np.arange(1, 124)
            return Evaluation(
                bounded_ms=np.full(len(codes), 0.5),
                excess=np.zeros(len(codes)),
                accuracy=value / 1e4,
                score=value / 1e4,
            )

    code = np.zeros((1, 123), dtype=np.int64)
    code[0, [80, 121, 122]] = 2, 1, 3
    result = Exhaustive().search(Long(), SearchTask(target_ms=1.0, rng=np.random.default_rng(0)))
    assert result.evaluated == 24
    assert result.best is not None and result.best.codes == tuple(code[0])
    without = SearchTask(target_ms=1.0, rng=np.random.default_rng(0), exclude=code)
    assert Exhaustive().search(Long(), without).evaluated == 23


def test_the_front_of_an_exhaustive_search_is_that_of_the_space() -> None:
    problem = RandomProblem(6)
    every = problem.evaluate(problem.canonical(problem.every_code()))
    result = Exhaustive().search(problem, SearchTask(target_ms=1.0, rng=np.random.default_rng(0)))
    expected = {
        (latency_ms, low)
        for latency_ms, low in zip(every.bounded_ms, every.score, strict=True)
        if not ((every.bounded_ms <= latency_ms) & (every.score > low)).any()
        and not ((every.bounded_ms < latency_ms) & (every.score >= low)).any()
    }
    assert {(point.bounded_ms, point.score) for point in result.front} == expected


def test_exhaustive_refuses_a_large_space() -> None:
    with pytest.raises(InputError, match="at most 100 points"):
        Exhaustive(limit=100).search(RandomProblem(0), SearchTask(target_ms=1.0, rng=np.random.default_rng(0)))


def test_random_search_counts_distinct_points_and_takes_initial_ones() -> None:
    problem = RandomProblem(7, num_genes=12)
    initial = problem.canonical(np.minimum(np.full((1, 12), 3), problem.cardinalities - 1))
    target_ms = float(problem.evaluate(initial).bounded_ms[0])
    result = RandomSearch(evaluations=1).search(
        problem, SearchTask(target_ms=target_ms, rng=np.random.default_rng(0), initial=initial)
    )
    assert result.evaluated == 2
    assert tuple(initial[0].tolist()) in {point.codes for point in result.top}
    assert not result.exact
