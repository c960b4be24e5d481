"""A small hand-made domain of trials, whose every accuracy is known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPoint:
    """A point: its genes by name."""

    genes: dict[str, int]


class AdditiveDomain:
    """Codes whose latencies and accuracies are sums over genes, the same for the same `seed`.

    More of the one mostly means more of the other. With three genes or more, gene 0 is a depth of three choices: the
    last gene means nothing where it is 0, and counts as 0 then. `calls` counts the points whose latency was asked for.
    """

    def __init__(self, seed: int, *, num_genes: int = 6, choices: int = 4) -> None:
        rng = np.random.default_rng(seed)
        self.cardinalities = np.full(num_genes, choices, dtype=np.int64)
        if num_genes > 2:
            self.cardinalities[0] = 3
        shape = (num_genes, int(self.cardinalities.max()))
        self._latency_ms = np.sort(rng.uniform(0.05, 1.0, shape), axis=1)
        self._accuracy = 0.1 * np.sqrt(self._latency_ms) + rng.normal(0.0, 0.02, shape)
        self.calls = 0

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """What each gene chooses among."""
        return tuple(tuple(range(number)) for number in self.cardinalities.tolist())

    def canonical(self, codes: Codes) -> Codes:
        """Codes with an idle gene at 0."""
        found = codes.copy()
        if codes.shape[1] > 2:
            found[codes[:, 0] == 0, -1] = 0
        return found

    def latency_ms(self, codes: Codes) -> NDArray[np.float64]:
        """Milliseconds, shape (n,)."""
        self.calls += len(codes)
        return np.asarray(self._latency_ms[np.arange(codes.shape[1]), self.canonical(codes)].sum(axis=1))

    def excess(self, codes: Codes) -> NDArray[np.float64]:
        """Zeros: no other limits."""
        return np.zeros(len(codes))

    def features(self, codes: Codes) -> NDArray[np.float64]:
        """The logarithm of the latency, shape (n, 1)."""
        return np.log(self.latency_ms(codes))[:, None]

    def point(self, code: Sequence[int]) -> HandPoint:
        """The point with genes g0, g1, …"""
        return HandPoint(genes={f"g{i}": int(choice) for i, choice in enumerate(code)})

    def digest(self, code: Sequence[int]) -> str:
        """Of the canonical code."""
        (canonical,) = self.canonical(np.array([code], dtype=np.int64)).tolist()
        return hashlib.sha256(repr(canonical).encode()).hexdigest()[:16]

    def accuracy(self, codes: Codes) -> NDArray[np.float64]:
        """The accuracies that trials find, fractions, shape (n,)."""
        codes = self.canonical(codes)
        genes = np.arange(codes.shape[1])
        return np.asarray(0.2 + self._accuracy[genes, codes].sum(axis=1) / max(1.0, codes.shape[1] / 6))

    def every(self) -> Codes:
        """All canonical codes, each once; for domains of few genes."""
        shape = tuple(self.cardinalities.tolist())
        codes = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1).astype(np.int64)
        return np.unique(self.canonical(codes), axis=0)

    def target_ms(self, share: float) -> float:
        """The latency that a `share` of all points keeps (of 4,000 random ones where there are more genes than six)."""
        codes = self.every() if len(self.cardinalities) <= 6 else self._some()
        return float(np.quantile(self.latency_ms(codes), share))

    def _some(self) -> Codes:
        return np.random.default_rng(0).integers(0, self.cardinalities, (4000, len(self.cardinalities)))
