from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nas.training.compare import accuracy_of_seeds, difference, mcnemar, rank_correlation
from nas.training.heldout import Z90, wilson


def right(*seeds: str) -> np.ndarray:
    """One row a seed, one character an image: 1 is right."""
    return np.array([[letter == "1" for letter in seed] for seed in seeds])


def test_mcnemar_counts_what_only_one_has_right() -> None:
    first, second = right("1111110001")[0], right("1000001001")[0]
    # Five and one; by hand, of six coins at most one head: (1 + 6) / 64, doubled.
    assert mcnemar(first, second)[:2] == (5, 1) and mcnemar(second, first)[:2] == (1, 5)
    assert mcnemar(first, second)[2] == mcnemar(second, first)[2] == pytest.approx(14 / 64)
    assert mcnemar(first, first) == (0, 0, 1.0)
    assert mcnemar(right("1100")[0], right("0011")[0]) == (2, 2, 1.0)


def test_the_accuracy_of_one_seed_is_a_share_of_images() -> None:
    found = accuracy_of_seeds(right("1110"))
    low, high = wilson(3, 4)
    assert found.mean == 0.75
    assert found.low == pytest.approx(low) and found.high == pytest.approx(high)


def test_seeds_widen_the_interval_of_an_accuracy() -> None:
    found = accuracy_of_seeds(right("1111111110" * 10, "1111111000" * 10))
    assert found.mean == pytest.approx(0.8)
    # Two seeds at 0.9 and 0.7: a standard error of 0.1, and 6.314 of these for one degree of freedom.
    low, _ = wilson(80, 100)
    assert 0.8 - found.low == pytest.approx(math.hypot(0.8 - low, 6.313752 * 0.1), rel=1e-5)
    assert found.high == 1.0


def test_a_difference_is_paired_by_image() -> None:
    # Twenty images, both right on the same ones but for two: differences of 1 twice, else 0.
    first, second = right("1" * 18 + "00"), right("1" * 16 + "0000")
    found = difference(first, second)
    variance = (2 * 0.9**2 + 18 * 0.1**2) / 19
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.mean == pytest.approx(Z90 * math.sqrt(variance / 20))
    assert difference(second, first).mean == pytest.approx(-0.1)


def test_a_difference_knows_the_spread_of_seeds() -> None:
    first = right("1" * 9 + "0", "1" * 7 + "000")
    second = right("1" * 8 + "00", "1" * 6 + "0000")
    found = difference(first, second)
    # Sums of squares 0.02 and 0.02 with two degrees of freedom: variance 0.02, of two means of two seeds each 0.02.
    seeds = 2.919986 * math.sqrt(0.02)
    images = Z90 * float(np.std(first.mean(axis=0) - second.mean(axis=0), ddof=1)) / math.sqrt(10)
    assert found.mean == pytest.approx(0.1)
    assert found.mean - found.low == pytest.approx(math.hypot(seeds, images), rel=1e-5)


def test_ranks_agree_with_scipy_ties_included() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(0, 6, 30).astype(float)
    second = first + rng.normal(0, 2, 30)
    found = rank_correlation(first, second, np.random.default_rng(0))
    assert found is not None and found.count == 30
    assert found.rho == pytest.approx(stats.spearmanr(first, second).statistic)
    assert found.low < found.rho < found.high <= 1.0


def test_few_networks_or_equal_ones_have_no_ranks() -> None:
    rng = np.random.default_rng(0)
    rising = np.arange(5, dtype=np.float64)
    assert rank_correlation(rising[:3], rising[:3], rng) is None
    assert rank_correlation(np.ones(5), rising, rng) is None
    found = rank_correlation(rising, rising, rng)
    # Five in perfect order are no proof of one: Fisher's z of 4/5 (which is taken), less 1.645 √((1 + 0.32) / 2), and
    # its tangens.
    assert found is not None and (found.rho, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(np.tanh(np.arctanh(0.8) - 1.645 * np.sqrt(0.66)), abs=1e-3)
