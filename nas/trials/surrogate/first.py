"""The first samples: points near the target, built differently from one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.strategies import Goal
from nas.strategies.problem import Codes
from nas.strategies.variation import cross, mutate, random_codes
from nas.trials.question import Domain
from nas.trials.surrogate.embedding import Embedding

NEAREST, FARTHEST = 1.02, 0.7
"""First samples lie between these multiples of the target: what is learnt there is about points like the answer. Where
a reward pays for being faster than the target, the answer may be much faster, and they lie anywhere below."""

_POOL = 512
_ROUNDS = 30
_CHOSEN_OF = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """Distinct canonical points by how far they are from the band, nearest (mostly inside) first: `codes` (n, genes),
    `away` (n,), 0 inside."""

    codes: Codes
    away: NDArray[np.float64]


def near_target(domain: Domain, goal: Goal, rng: np.random.Generator, *, listed: Codes | None = None) -> Near:
    """Points near the target that may be answers, in random order within the band; of `listed` (all that there are) or
    of the whole domain, in which a short evolution looks for them."""
    if listed is not None:
        return _sorted(listed[rng.permutation(len(listed))], domain, goal, count=len(listed))
    cardinalities = domain.cardinalities
    near = _sorted(random_codes(cardinalities, 4 * _POOL, rng), domain, goal, count=_POOL)
    for _ in range(_ROUNDS):
        if len(near.codes) == _POOL and near.away[-1] == 0.0:
            break
        mothers, fathers = (near.codes[rng.integers(0, len(near.codes), _POOL)] for _ in range(2))
        children = mutate(cross(mothers, fathers, rng), cardinalities, rng)
        near = _sorted(np.concatenate((near.codes, children)), domain, goal, count=_POOL)
    return near


def spread(embedding: Embedding, near: Near, rng: np.random.Generator, count: int) -> Codes:
    """Up to `count` of the points, one after the other each the farthest from all before it among some that are drawn.

    The first k of `count` are the k that a smaller count gives.
    """
    inside = int((near.away == 0.0).sum())
    codes = near.codes[: max(inside, min(count, len(near.codes)))]
    if not len(codes):
        return codes
    vectors = embedding.of(codes)
    left = np.ones(len(codes), dtype=np.bool_)
    left[0] = False
    chosen, away = [0], ((vectors - vectors[0]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(codes)):
        places = np.flatnonzero(left)
        drawn = rng.permutation(places)[:_CHOSEN_OF]
        best = int(drawn[np.argmax(away[drawn])])
        chosen.append(best)
        left[best] = False
        away = np.minimum(away, ((vectors - vectors[best]) ** 2).sum(axis=1))
    return codes[chosen]


def _sorted(codes: Codes, domain: Domain, goal: Goal, *, count: int) -> Near:
    """The `count` points nearest to the band, those of equal distance in the order in which they came."""
    codes = domain.canonical(codes)
    _, first = np.unique(codes, axis=0, return_index=True)
    codes = codes[np.sort(first)]
    ratio = domain.latency_ms(codes) / goal.target_ms
    highest = min(NEAREST, goal.limit_ms / goal.target_ms)
    faster, as_asked = goal.reward.reward(np.ones(2), np.array([FARTHEST, 1.0]), 1.0)
    lowest = FARTHEST if faster <= as_asked else 0.0
    above, below = np.log(np.maximum(ratio / highest, 1.0)), np.log(np.maximum(lowest / ratio, 1.0))
    # A point that may be no answer is farther than any that may.
    away = below + above + (ratio * goal.target_ms > goal.limit_ms) + 2.0 * domain.excess(codes)
    order = np.argsort(away, kind="stable")[:count]
    return Near(codes=codes[order], away=away[order])
