from __future__ import annotations

import numpy as np
import pytest

from nas.strategies import Goal, Reward
from nas.testing.domains import AdditiveDomain
from nas.trials.surrogate.embedding import Embedding
from nas.trials.surrogate.first import FARTHEST, near_target, spread


def _goal(domain: AdditiveDomain, quantile: float, form: str = "hard") -> Goal:
    codes = np.random.default_rng(0).integers(0, domain.cardinalities, (3000, len(domain.cardinalities)))
    return Goal(target_ms=float(np.quantile(domain.latency_ms(codes), quantile)), reward=Reward.parse(form))


def test_points_near_the_target_come_first() -> None:
    domain = AdditiveDomain(0)
    goal = _goal(domain, 0.5)

    near = near_target(domain, goal, np.random.default_rng(0), listed=domain.every())

    ratio = domain.latency_ms(near.codes) / goal.target_ms
    inside = (ratio >= FARTHEST) & (ratio <= 1.0)
    assert inside.any() and not inside.all()
    assert ((near.away == 0.0) == inside).all()
    assert inside[: inside.sum()].all()
    assert len(np.unique(near.codes, axis=0)) == len(near.codes) == len(domain.every())


def test_a_large_space_is_searched_for_points_near_a_target_that_few_meet() -> None:
    domain = AdditiveDomain(1, num_genes=25, choices=6)
    goal = Goal(target_ms=0.6 * _goal(domain, 0.0).target_ms)  # well under the fastest of 3,000 random points

    near = near_target(domain, goal, np.random.default_rng(0))

    assert (near.away == 0.0).sum() >= 100
    assert (domain.latency_ms(near.codes[near.away == 0.0]) <= goal.target_ms).all()


@pytest.mark.parametrize(("form", "fast"), [("hard", False), ("soft", True), ("absolute", False)])
def test_where_a_reward_pays_for_speed_fast_points_are_tried_as_well(form: str, fast: bool) -> None:
    domain = AdditiveDomain(0)
    goal = _goal(domain, 0.7, form)
    near = near_target(domain, goal, np.random.default_rng(0), listed=domain.every())

    chosen = spread(Embedding(domain.choices), near, np.random.default_rng(1), 12)

    ratio = domain.latency_ms(chosen) / goal.target_ms
    assert (ratio.min() < FARTHEST) == fast


def test_first_samples_lie_apart_and_a_smaller_number_is_the_beginning() -> None:
    domain = AdditiveDomain(2)
    embedding = Embedding(domain.choices)
    near = near_target(domain, _goal(domain, 0.6), np.random.default_rng(0), listed=domain.every())

    eight = spread(embedding, near, np.random.default_rng(5), 8)
    three = spread(embedding, near, np.random.default_rng(5), 3)

    def nearest(codes: np.ndarray) -> float:
        vectors = embedding.of(codes)
        away = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
        return float(away[np.triu_indices(len(codes), 1)].min())

    assert eight[:3].tolist() == three.tolist()
    assert len(np.unique(eight, axis=0)) == 8
    drawn = [nearest(near.codes[np.random.default_rng(s).permutation(100)[:8]]) for s in range(20)]
    assert nearest(eight) > max(drawn)
