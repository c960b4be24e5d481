from __future__ import annotations

import numpy as np
import pytest

from nas.trials.surrogate.embedding import NEAR, Embedding


def test_products_are_the_covariance_of_effects() -> None:
    # Two genes of one kind with two choices: a choice is +1 or -1, and of a choice's effect a third is common, a third
    # shared by e^(-1/2), a third the gene's own. All is divided by the number of genes.
    vectors = Embedding([("a", "b"), ("a", "b")]).of(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    across = (1.0 + np.exp(-1.0 / NEAR)) / 3.0

    products = vectors @ vectors.T

    assert products[0, 0] == pytest.approx((1 + 1 + 2 * across) / 2)
    assert products[0, 3] == pytest.approx(-(1 + 1 + 2 * across) / 2)
    assert products[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert products[1, 2] == pytest.approx(-(1 + 1 - 2 * across) / 2)


def test_numbers_lie_on_a_line() -> None:
    numbers = Embedding([(1, 2, 6)]).of(np.array([[0], [1], [2]]))
    texts = Embedding([("1", "2", "6")]).of(np.array([[0], [1], [2]]))

    def away(vectors: np.ndarray, a: int, b: int) -> float:
        return float(((vectors[a] - vectors[b]) ** 2).sum())

    assert away(texts, 0, 1) == pytest.approx(away(texts, 0, 2)) == pytest.approx(3.0)
    # Half of 3 because they are two choices, and half of (difference / deviation)²: the variance of 1, 2, 6 is 14 / 3.
    assert away(numbers, 0, 1) == pytest.approx(1.5 + 0.5 * 1 / (14 / 3))
    assert away(numbers, 0, 2) == pytest.approx(1.5 + 0.5 * 25 / (14 / 3))


def test_genes_with_other_choices_share_nothing() -> None:
    vectors = Embedding([(3, 5), ("x", "y"), (3, 5)]).of(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    moved = vectors[1:] - vectors[0]

    products = moved @ moved.T

    assert products[0, 1] == products[1, 2] == pytest.approx(0.0, abs=1e-12)
    assert products[0, 2] > 0.5 * products[0, 0]


def test_counts_matter_more_than_places() -> None:
    choices = [("skip", "small", "large")] * 6
    vectors = Embedding(choices).of(np.array([[2, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0]]))

    moved = ((vectors[0] - vectors[1]) ** 2).sum()
    more = ((vectors[0] - vectors[2]) ** 2).sum()

    assert moved < more


def test_a_gene_of_one_choice_says_nothing() -> None:
    codes = np.array([[0, 0], [0, 1]])

    assert Embedding([("only",), (1, 2)]).of(codes) == pytest.approx(Embedding([(1, 2)]).of(codes[:, 1:]))
    assert Embedding([("only",)]).of(codes[:, :1]).shape == (2, 0)
