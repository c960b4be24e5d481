"""A list of networks as what may be tried: those that somebody named, each as often as is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.architecture import Architecture
from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.records import Proposal, Trial

_UNKNOWN = (0.5, 12**-0.5)


class ListedDomain:
    """The `networks`, one gene that chooses among them, with their latencies in milliseconds."""

    def __init__(self, networks: Sequence[Architecture], latency_ms: Sequence[float]) -> None:
        self.networks = tuple(networks)
        self._latency_ms = np.array(latency_ms, dtype=np.float64)

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """How many networks there are, shape (1,)."""
        return np.array([len(self.networks)], dtype=np.int64)

    @property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """The networks' digests."""
        return (tuple(network.digest for network in self.networks),)

    def canonical(self, codes: Codes) -> Codes:
        """The codes themselves."""
        return codes

    def latency_ms(self, codes: Codes) -> NDArray[np.float64]:
        """Milliseconds of each network, shape (n,)."""
        return self._latency_ms[codes[:, 0]]

    def excess(self, codes: Codes) -> NDArray[np.float64]:
        """Zeros: what was listed keeps every limit but the latency."""
        return np.zeros(len(codes))

    def features(self, codes: Codes) -> NDArray[np.float64]:
        """The logarithm of the latency, shape (n, 1)."""
        return np.log(self.latency_ms(codes))[:, None]

    def point(self, code: Sequence[int]) -> Architecture:
        """The network of a code."""
        return self.networks[int(code[0])]

    def digest(self, code: Sequence[int]) -> str:
        """The network's digest."""
        return self.point(code).digest


class Listed:
    """Asks for the networks at `places` of a `ListedDomain`, in this order, until each was tried `times`.

    Unlike other askers it asks for a point again that was tried; it has no model.
    """

    name = "listed"

    def __init__(self, places: Sequence[int], *, times: int = 1) -> None:
        self._places, self._times = tuple(places), times

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` distinct points, those that were tried least first."""
        tried = Counter(trial.codes[0] for trial in trials)
        left = [place for place in self._places if tried[place] < self._times]
        left.sort(key=lambda place: tried[place])
        return [Proposal(codes=(place,), why="listed") for place in left[:count]]

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """None: the list says how often."""
        return []

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        """Of nothing anything is known beforehand."""
        mean, deviation = _UNKNOWN
        return Belief(mean=np.full(len(codes), mean), deviation=np.full(len(codes), deviation))

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        """None: it has no model that could say."""
        return None
