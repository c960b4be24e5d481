"""What a Gaussian process sees of codes: numbers in which points that are built alike lie near one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes

Floats = NDArray[np.float64]

NEAR = 2.0
"""Over how many genes of one kind an effect reaches: the correlation of neighbours is exp(-1 / NEAR)."""
ORDINAL = 0.5
"""How much of a choice among numbers is its place on a line; the rest is that it is this choice and no other."""


class Embedding:
    """Codes as vectors whose products are the prior covariance of additive effects.

    A choice is a centred one-hot vector, and a place on a line where the choices are numbers. Genes that share the same
    choices are of one kind (the kernel of each layer, say), and a choice acts alike in all of them: a third of its
    effect is common to the kind, so that only counts matter; a third is shared with neighbours, so that stages need not
    be named; a third is each gene's own. An effect has a variance of one over all genes together.
    """

    def __init__(self, choices: Sequence[tuple[Any, ...]]) -> None:
        kinds: dict[tuple[str, ...], list[int]] = {}
        for gene, of in enumerate(choices):
            if len(of) > 1:
                kinds.setdefault(tuple(map(repr, of)), []).append(gene)
        self._kinds = [
            (np.array(genes), _choice_vectors(choices[genes[0]]), _mixing(len(genes))) for genes in kinds.values()
        ]
        self._scale = np.sqrt(max(1, sum(len(genes) for genes in kinds.values())))

    def of(self, codes: Codes) -> Floats:
        """The vectors of codes, shape (n, features)."""
        parts = [np.zeros((len(codes), 0))]
        for genes, vectors, mixing in self._kinds:
            chosen = vectors[codes[:, genes]]  # (n, genes of the kind, numbers a choice)
            width = chosen.shape[2] * mixing.shape[1]
            parts.append((chosen.transpose(0, 2, 1) @ mixing).reshape(len(codes), width))
        return np.asarray(np.concatenate(parts, axis=1) / self._scale)


def _choice_vectors(choices: tuple[Any, ...]) -> Floats:
    """A vector a choice, shape (choices, numbers), of mean squared length 1 and mean 0."""
    count = len(choices)
    own = (np.eye(count) - 1.0 / count) * np.sqrt(count / (count - 1.0))
    numbers = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
    if count < 3 or not numbers:
        return np.asarray(own)
    place = np.array(choices, dtype=np.float64)
    place = (place - place.mean()) / place.std()
    return np.concatenate((np.sqrt(1.0 - ORDINAL) * own, np.sqrt(ORDINAL) * place[:, None]), axis=1)


def _mixing(count: int) -> Floats:
    """A root of the covariance of one choice's effects in `count` genes of a kind, shape (count, count)."""
    place = np.arange(count)
    near = np.exp(-np.abs(place[:, None] - place) / NEAR)
    return np.linalg.cholesky((np.ones((count, count)) + near + np.eye(count)) / 3.0)
