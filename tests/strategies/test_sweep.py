from __future__ import annotations

import numpy as np
import pytest

from nas.strategies import SearchTask, Sweep
from nas.strategies.front import pareto_front
from nas.strategies.sweep import latency_range
from nas.testing.problems import RandomProblem


@pytest.mark.parametrize("seed", range(6))
def test_the_range_is_that_of_all_points(seed: int) -> None:
    problem = RandomProblem(seed, num_genes=8)
    every = problem.evaluate(problem.canonical(problem.every_code())).bounded_ms
    low, high = latency_range(problem, np.random.default_rng(0))
    assert low == pytest.approx(every.min(), rel=1e-12)
    assert high == pytest.approx(every.max(), rel=1e-12)


@pytest.mark.parametrize("target_ms", [0.5, 3.0])
def test_the_front_is_that_of_the_space_whatever_the_target(target_ms: float) -> None:
    problem = RandomProblem(3, num_genes=7)
    every = problem.evaluate(problem.canonical(problem.every_code()))
    best = pareto_front(every.bounded_ms, every.score)
    found = Sweep(evaluations=60_000).search(problem, SearchTask(target_ms=target_ms, rng=np.random.default_rng(1)))
    assert [point.bounded_ms for point in found.front] == pytest.approx(every.bounded_ms[best], rel=1e-12)
    assert [point.score for point in found.front] == pytest.approx(every.score[best], rel=1e-12)
