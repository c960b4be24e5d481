from __future__ import annotations

import math

import numpy as np
import pytest

from nas.errors import InputError
from nas.strategies import Candidate, SearchResult, SearchTask


@pytest.mark.parametrize("target_ms", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_target_that_is_none(target_ms: float) -> None:
    with pytest.raises(InputError, match="target must be positive and finite"):
        SearchTask(target_ms=target_ms, rng=np.random.default_rng(0))


def _candidate(codes: str, score: float) -> Candidate:
    return Candidate(codes=tuple(map(int, codes)), bounded_ms=1.0, accuracy=score, score=score, reward=score)


def test_spread_takes_what_is_apart_and_then_what_differs_most() -> None:
    best, near, other, last = (
        _candidate(codes, score) for codes, score in (("0000", 0.9), ("0001", 0.8), ("1111", 0.7), ("1100", 0.6))
    )
    result = SearchResult(
        target_ms=1.0,
        aim_ms=1.0,
        best=best,
        fastest=best,
        top=(best, near, other, last),
        apart=(best, other),
        starts=(),
        front=(),
        evaluated=4,
        exact=True,
    )
    assert result.spread(0) == []
    assert result.spread(2) == [best, other]
    # 1100 differs from both in two genes, 0001 from the best in one.
    assert result.spread(3) == [best, other, last]
    assert result.spread(9) == [best, other, last, near]
