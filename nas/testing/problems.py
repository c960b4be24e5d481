"""Small problems whose every point can be looked at."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes, Evaluation


class RandomProblem:
    """A random space with the traits of a space of networks, the same for the same `seed`.

    Gene 0 is a depth: the last two genes mean nothing where it is 0, the last one where it is 1. Every gene adds to
    the latency and to the accuracy (more of the one mostly means more of the other), and half as many random pairs of
    genes as there are genes interact, as strongly as genes act alone. With `limited`, a quarter of the codes exceeds a
    limit.
    """

    def __init__(self, seed: int, *, num_genes: int = 6, max_choices: int = 4, limited: bool = False) -> None:
        rng = np.random.default_rng(seed)
        self.cardinalities = rng.integers(2, max_choices + 1, num_genes)
        self.cardinalities[0] = 3
        shape = (num_genes, max_choices)
        self._latency_ms = np.sort(rng.uniform(0.01, 1.0, shape), axis=1)
        self._accuracy = 0.1 * np.sqrt(self._latency_ms) + rng.normal(0.0, 0.02, shape)
        self._pairs = [tuple(rng.choice(num_genes, 2, replace=False).tolist()) for _ in range(num_genes // 2)]
        self._together = rng.normal(0.0, 0.02, (len(self._pairs), max_choices, max_choices))
        self._weights = rng.uniform(0.0, 1.0, shape)
        self._limit: float | None = None
        if limited:
            self._limit = float(np.quantile(self._weight(self.every_code()), 0.75))

    @property
    def size(self) -> int:
        """The number of codes."""
        return math.prod(self.cardinalities.tolist())

    def every_code(self) -> Codes:
        """All codes, shape (size, genes), also those that are not canonical."""
        places = np.unravel_index(np.arange(self.size), tuple(self.cardinalities.tolist()))
        return np.stack(places, axis=1).astype(np.int64)

    def canonical(self, codes: Codes) -> Codes:
        """Codes with the genes of absent layers at 0."""
        found = codes.copy()
        found[codes[:, 0] < 2, -1] = 0
        found[codes[:, 0] < 1, -2] = 0
        return found

    def evaluate(self, codes: Codes) -> Evaluation:
        """Sums over the genes, and over the pairs that interact; defined on canonical codes alone."""
        if not (codes == self.canonical(codes)).all():
            raise AssertionError("a strategy must evaluate canonical codes")
        genes = np.arange(codes.shape[1])
        accuracy = 0.5 + self._accuracy[genes, codes].sum(axis=1)
        for (a, b), together in zip(self._pairs, self._together, strict=True):
            accuracy += together[codes[:, a], codes[:, b]]
        excess = np.zeros(len(codes))
        if self._limit is not None:
            excess = np.maximum(self._weight(codes) / self._limit - 1.0, 0.0)
        return Evaluation(
            bounded_ms=self._latency_ms[genes, codes].sum(axis=1),
            excess=excess,
            accuracy=accuracy,
            score=accuracy - 0.02,
        )

    def target_ms(self, share: float) -> float:
        """The latency that a `share` of all points keeps."""
        return float(np.quantile(self.evaluate(self.canonical(self.every_code())).bounded_ms, share))

    def _weight(self, codes: Codes) -> NDArray[np.float64]:
        return np.asarray(self._weights[np.arange(codes.shape[1]), codes].sum(axis=1))
