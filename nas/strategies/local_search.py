"""A local search that ends an evolution: it leaves no better neighbour unseen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.strategies.points import Points
from nas.strategies.problem import Codes
from nas.strategies.variation import apply_moves, single_moves

Fitness = Callable[[Points], NDArray[np.float64]]

_MAX_MATRIX = 1200


def climb(
    points: Points,
    fitness: Fitness,
    evaluate: Callable[[Codes], Points],
    cardinalities: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    width: int,
    num_pairs: int,
    limit: int,
) -> Points:
    """The best `width` points that climbing from the best of `points` finds, best first.

    A step evaluates, around each of the `width` best points so far, every change of one gene and up to `num_pairs`
    changes of two: all of them where there are no more than that; otherwise half are the best of them if the effects of
    single changes added up (which is how a gain here is paid by a saving there at the same latency), half are drawn.
    It ends when a step finds nothing better, or after `limit` evaluations. `evaluate` must return its points in order.
    """
    genes, shifts = single_moves(cardinalities)
    best = _best(points, fitness, width)
    done: set[bytes] = set()
    spent = 0
    while spent < limit:
        top = fitness(best)[0]
        found = best
        for i in range(len(best)):
            centre = best.select(slice(i, i + 1))
            key = centre.codes.tobytes()
            if key in done or spent >= limit:
                continue
            done.add(key)
            code = centre.codes[0]
            singles = evaluate(apply_moves(code, genes[:, None], shifts[:, None], cardinalities))
            first, second = _pairs(centre, singles, fitness, genes, rng, num_pairs)
            moves = np.stack([first, second], axis=1)
            pairs = evaluate(apply_moves(code, genes[moves], shifts[moves], cardinalities))
            found = found.join(singles).join(pairs)
            spent += len(singles) + len(pairs)
        best = _best(found, fitness, width)
        if fitness(best)[0] <= top:
            break
    return best


def _pairs(
    centre: Points,
    singles: Points,
    fitness: Fitness,
    genes: NDArray[np.int64],
    rng: np.random.Generator,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the two single moves of each pair to try, both of shape (pairs,)."""
    moves = np.arange(len(genes))
    if len(moves) > _MAX_MATRIX:  # bounds the memory of all pairs in very large spaces
        moves = np.sort(rng.choice(moves, _MAX_MATRIX, replace=False))
    a, b = np.triu_indices(len(moves), k=1)
    a, b = moves[a], moves[b]
    different = genes[a] != genes[b]
    a, b = a[different], b[different]
    if len(a) <= count:
        return a, b
    expected = Points(
        codes=np.zeros((len(a), 0), dtype=np.int64),
        bounded_ms=np.maximum(singles.bounded_ms[a] + singles.bounded_ms[b] - centre.bounded_ms, 1e-9),
        accuracy=singles.accuracy[a],
        score=singles.score[a] + singles.score[b] - centre.score,
        excess=np.maximum(singles.excess[a] + singles.excess[b] - centre.excess, 0.0),
    )
    guided = np.argpartition(-fitness(expected), count // 2)[: count // 2]
    chosen = np.union1d(guided, rng.integers(0, len(a), count - count // 2))
    return a[chosen], b[chosen]


def _best(points: Points, fitness: Fitness, count: int) -> Points:
    """The `count` best distinct points, best first."""
    chosen: dict[bytes, int] = {}
    for i in np.argsort(-fitness(points), kind="stable"):
        chosen.setdefault(points.codes[i].tobytes(), int(i))
        if len(chosen) == count:
            break
    return points.select(np.array(list(chosen.values()), dtype=np.int64))
