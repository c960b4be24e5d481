from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.strategies.evolution import Niche
from nas.strategies.local_search import climb
from nas.strategies.points import Points
from nas.strategies.problem import Codes

GENES = 24
TARGET_MS = 10.0
SIZES = np.full(GENES, 2)


def _evaluate(codes: Codes) -> Points:
    """Gene 0 adds most to the score, and breaks the limit; 1 and 2 pay for each other; the others do nothing.

    Gene 1 costs a millisecond too much and adds to the score, gene 2 wins it and takes a little.
    """
    score = 0.5 + 0.2 * codes[:, 0] + 0.1 * codes[:, 1] - 0.02 * codes[:, 2]
    return Points(
        codes=codes,
        bounded_ms=TARGET_MS + 1.0 * codes[:, 1] - 1.0 * codes[:, 2],
        excess=0.5 * codes[:, 0].astype(np.float64),
        accuracy=score,
        score=score,
    )


def _climbed(num_pairs: int) -> tuple[Points, list[Codes]]:
    asked: list[Codes] = []

    def evaluate(codes: Codes) -> Points:
        asked.append(codes)
        return _evaluate(codes)

    start = _evaluate(np.zeros((1, GENES), dtype=np.int64))
    best = climb(
        start,
        Niche(cap_ms=TARGET_MS).fitness,
        evaluate,
        SIZES,
        np.random.default_rng(0),
        width=1,
        num_pairs=num_pairs,
        limit=600,
    )
    return best, asked


def test_a_climb_keeps_latency_and_limits() -> None:
    best, _ = _climbed(num_pairs=1000)
    expected: NDArray[np.int64] = np.zeros(GENES, dtype=np.int64)
    expected[1] = expected[2] = 1
    assert np.array_equal(best.codes[0], expected)
    assert best.excess[0] == 0.0


def test_the_pairs_that_are_tried_first_are_those_that_promise_to_be_feasible() -> None:
    """Of 276 pairs two are tried, one by promise: the gain that a saving pays for, not the one beyond the limit."""
    _, asked = _climbed(num_pairs=2)
    pairs = asked[1]
    assert any(code[1] == code[2] == 1 for code in pairs)
    assert not any(code[0] and code[1] for code in pairs)
