"""Trials of a hand-made domain, some of its points tried."""

from __future__ import annotations

import numpy as np

from nas.strategies import Goal
from nas.testing.domains import AdditiveDomain
from nas.trials.records import Trial


def made_trials(domain: AdditiveDomain, goal: Goal, *, count: int, seed: int) -> list[Trial]:
    """`count` points under the goal's limit that are done, with the domain's own accuracies."""
    every = domain.every()
    ms = domain.latency_ms(every)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(ms <= goal.limit_ms))[:count]
    return [
        Trial(
            number=number,
            codes=tuple(every[row].tolist()),
            digest=domain.digest(every[row].tolist()),
            state="done",
            curve=((0, float(domain.accuracy(every[row : row + 1])[0])),),
            latency_ms=float(ms[row]),
        )
        for number, row in enumerate(rows)
    ]
