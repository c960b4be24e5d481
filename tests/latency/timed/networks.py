"""A device that exists in numbers alone: what its operators truly cost is known, so a fit can be held to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

import nas
from nas.graph import Segment
from nas.graph.operators import OperatorTable
from nas.latency.timed.regression import Regression, fit_networks
from nas.space import known_networks
from nas.space.search_space import SearchSpace

Network = Sequence[Segment]
Floats = NDArray[np.float64]

FIXED_MS, CONTEXT, NOISE, BATCH = 0.02, 0.03, 0.01, 10
_GIGAMACS_A_MS = {"pw": 0.06, "dense": 0.05, "dw": 0.012, "grp": 0.02, "lin": 0.02}


def true_operator_ms(table: OperatorTable) -> Floats:
    """A roofline: multiply-adds or traffic, whichever is slower; then weights, and a start."""
    rate = np.array([1e9 * _GIGAMACS_A_MS.get(kind, 0.03) for kind in table.kind.tolist()])
    compute = table.macs / rate
    traffic = (table.input_elements + table.output_elements) / 4e6
    return np.asarray(np.maximum(compute, traffic) + table.weight_elements / 2e7 + 0.001)


def true_segment_ms(segment: Segment) -> float:
    """The segment's operators, and what it costs in its context: a factor of its own, drawn by its key."""
    seed = int.from_bytes(hashlib.sha256(segment.key.encode()).digest()[:8], "big")
    context = np.exp(CONTEXT * np.random.default_rng(seed).standard_normal())
    return float(true_operator_ms(segment.operators).sum() * context)


def true_ms(networks: Sequence[Network]) -> Floats:
    """What the networks take when nothing disturbs them, shape (n,)."""
    cost = {s.key: s for network in networks for s in network}
    own = {key: true_segment_ms(segment) for key, segment in cost.items()}
    return np.array([FIXED_MS + sum(own[s.key] for s in network) for network in networks])


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Networks, their times, and the batch of each."""

    networks: list[Network]
    latency_ms: Floats
    batch: NDArray[np.int64]

    def fit(self) -> Regression:
        """The fit to all of them."""
        return fit_networks(self.networks, self.latency_ms, self.batch, {"device": "numbers"})


@cache
def sampled(count: int, seed: int, space: str = "mobile-core") -> tuple[Network, ...]:
    """Networks of a shipped space."""
    found = nas.load_space(space)
    assert isinstance(found, SearchSpace)
    return tuple(network.segments() for network in found.sample(count, np.random.default_rng(seed)))


@cache
def known(*, without: str = "") -> tuple[Network, ...]:
    """The known networks of at most 10⁹ multiply-adds, without those that have an operator of the kind `without`."""
    found = [network.segments() for network in known_networks() if network.macs <= 1e9]
    return tuple(n for n in found if not without or all(without not in s.operators.kind.tolist() for s in n))


def timed(networks: Sequence[Network], seed: int, *, drift: float = 0.01, together: int = BATCH) -> Timed:
    """The networks timed in batches of `together`, each batch as a whole off by a factor of deviation `drift`."""
    rng = np.random.default_rng(seed)
    batch = np.arange(len(networks)) // together
    offset = np.exp(drift * rng.standard_normal(batch.max() + 1))
    latency_ms = true_ms(networks) * offset[batch] * np.exp(NOISE * rng.standard_normal(len(networks)))
    return Timed(networks=list(networks), latency_ms=latency_ms, batch=batch)
