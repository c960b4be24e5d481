"""The Pareto front of an answer: by the accuracy that is printed, from the fastest to the slowest of the space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from nas.evaluate import Models
from nas.space import Architecture
from nas.strategies import pareto_front

FRONT_SIZE = 64

_T = TypeVar("_T")


def front_of(models: Models, own: Sequence[Architecture], known: Sequence[Architecture]) -> list[Architecture]:
    """Networks that no other beats in what is aimed at (the latency) and in accuracy, the least first: all of `known`,
    as they are, and at most `FRONT_SIZE` of `own`, as they are believed. What exceeds a limit is left out."""
    theirs = {network.digest: network for network in known}
    networks = [*theirs.values(), *{n.digest: n for n in own if n.digest not in theirs}.values()]
    if not networks:
        return []
    figures = models.figures(networks)
    chosen = np.arange(len(networks)) >= len(theirs)
    accuracy = np.where(chosen, figures.believed.mean, figures.accuracy.mean)
    kept = np.flatnonzero(figures.standing_of_any_width.within_limits)
    first = pareto_front(figures.standing.bounded_ms[kept], accuracy[kept])
    some = set(spread([i for i in kept[first].tolist() if chosen[i]], FRONT_SIZE))
    return [networks[i] for i in kept[first].tolist() if not chosen[i] or i in some]


def spread(items: Sequence[_T], count: int) -> list[_T]:
    """At most `count` of `items`, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
