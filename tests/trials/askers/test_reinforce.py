from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nas.trials.askers.reinforce import GROUP, Policy

_CARDINALITIES = np.array([2, 3, 2])
_EVERY = np.array(list(product(range(2), range(3), range(2))))


def _trained() -> Policy:
    """Gene 2 pays where it is what gene 0 is; gene 1 pays as its choice 2."""
    policy = Policy(_CARDINALITIES)
    rng = np.random.default_rng(0)
    for _ in range(12):
        codes = policy.sample(GROUP, rng)
        policy.learn(codes, 1.0 * (codes[:, 2] == codes[:, 0]) + 1.0 * (codes[:, 1] == 2))
    return policy


def test_it_is_uniform_at_first() -> None:
    assert Policy(_CARDINALITIES).log_probability(_EVERY) == pytest.approx(np.full(12, -np.log(12)))


def test_probabilities_add_up_and_are_those_of_the_samples() -> None:
    """20,000 samples of a trained policy: chi-squared at most its 99.9 % quantile (the seed is fixed)."""
    from scipy.stats import chi2

    policy = _trained()
    probabilities = np.exp(policy.log_probability(_EVERY))
    assert probabilities.sum() == pytest.approx(1.0)
    samples = policy.sample(20_000, np.random.default_rng(1))
    counts = np.array([(samples == code).all(axis=1).sum() for code in _EVERY])
    expected = 20_000 * probabilities
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, 11)


def test_it_learns_what_depends_on_an_earlier_gene() -> None:
    """A policy of independent genes could not prefer both (0, ·, 0) and (1, ·, 1)."""
    samples = _trained().sample(4000, np.random.default_rng(2))
    assert (samples[:, 2] == samples[:, 0]).mean() > 0.6
    assert (samples[:, 1] == 2).mean() > 0.5


def test_a_good_group_raises_what_it_chose_and_equal_ones_change_nothing() -> None:
    codes = np.array([[0, 0, 0], [1, 2, 1]] * (GROUP // 2))
    policy, flat = Policy(_CARDINALITIES), Policy(_CARDINALITIES)
    policy.learn(codes, np.array([1.0, 0.0] * (GROUP // 2)))
    found = np.exp(policy.log_probability(codes[:2]))
    assert found[0] > 1 / 12 > found[1]
    flat.learn(codes, np.full(GROUP, 0.7))
    assert flat.log_probability(_EVERY) == pytest.approx(np.full(12, -np.log(12)))


def test_trials_that_are_no_whole_group_teach_nothing_yet() -> None:
    policy = Policy(_CARDINALITIES)
    policy.learn(_EVERY[: GROUP - 1], np.arange(GROUP - 1, dtype=np.float64))
    assert policy.log_probability(_EVERY) == pytest.approx(np.full(12, -np.log(12)))
