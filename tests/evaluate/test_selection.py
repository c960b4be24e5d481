from __future__ import annotations

import numpy as np
import pytest

from nas.evaluate.selection import GAIN_PENALTY, Frontier


def test_gain_is_over_the_best_known_network_at_or_under_the_latency() -> None:
    frontier = Frontier.of(np.array([2.0, 1.0, 3.0]), np.array([0.7, 0.6, 0.65]))
    # At 2 ms the network at 2 ms counts, at 1.99 ms it does not; the one at 3 ms is worse than that at 2 ms; 0.5 ms is
    # faster than all, so the fastest one is compared with.
    gain = frontier.gain(np.array([2.0, 1.99, 4.0, 0.5]), np.array([0.72, 0.72, 0.72, 0.55]))
    assert gain == pytest.approx([0.02, 0.12, 0.02, -0.05])


def test_only_what_is_gained_beyond_the_limit_costs() -> None:
    frontier = Frontier.of(np.array([1.0]), np.array([0.6]))
    penalty = frontier.penalty(np.array([1.0, 1.0, 1.0]), np.array([0.5, 0.61, 0.64]), max_gain=0.01)
    assert penalty == pytest.approx([0.0, 0.0, GAIN_PENALTY * 0.03])
