"""Which of several answers is taken: by values, latencies and simplicity that are set by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.evaluate import simplicity
from nas.jobs.ranking import Ranking
from nas.space import known_network

PLAIN, MIXED = known_network("mobilenetv1-1.0"), known_network("mobilenetv3-large-1.0")
"""One activation; two of them."""


def _ranking(latency_ms: tuple[float, float], value: tuple[float, float]) -> Ranking:
    """Of the mixed network, then the plain one."""
    figures: Any = SimpleNamespace(latency_ms=np.array(latency_ms))
    values = np.array(value)
    return Ranking(
        networks=[MIXED, PLAIN], num_own=2, figures=figures, score=values, value=values, meets=np.ones(2, dtype=bool)
    )


@pytest.mark.parametrize(
    ("latency_ms", "value", "told_apart", "taken"),
    [
        ((1.0, 0.99), (0.75, 0.748), set(), 1),  # as good, and simpler
        ((1.0, 0.99), (0.75, 0.746), set(), 0),  # worse by more than 0.3 points
        ((1.0, 0.94), (0.75, 0.748), set(), 0),  # leaves 6 % of the latency unused
        ((1.0, 0.99), (0.75, 0.748), {MIXED.digest}, 0),  # could not be told from what is known
        ((1.0, 0.99), (0.75, 0.748), {MIXED.digest, PLAIN.digest}, 1),
        ((1.0, 0.99), (0.75, 0.748), {PLAIN.digest}, 1),
    ],
)
def test_the_simplest_is_taken_of_those_that_are_as_good(
    latency_ms: tuple[float, float], value: tuple[float, float], told_apart: set[str], taken: int
) -> None:
    assert simplicity(PLAIN) < simplicity(MIXED)
    first, counted = _ranking(latency_ms, value).simplest(0.003, lambda network: network.digest in told_apart)
    assert first == taken
    assert counted == simplicity([MIXED, PLAIN][taken])
