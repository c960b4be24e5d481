"""The fastest point of a domain: what an error names where a target cannot be met."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.strategies import Evolution, Exhaustive, SearchTask, Strategy
from nas.strategies.problem import Codes, Evaluation
from nas.trials.domain import ENUMERATED
from nas.trials.question import Domain, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latencies:
    """A domain in which every accuracy is the same, so that latency alone decides."""

    domain: Domain

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        return self.domain.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        return self.domain.canonical(codes)

    def evaluate(self, codes: Codes) -> Evaluation:
        none = np.zeros(len(codes))
        return Evaluation(
            bounded_ms=self.domain.latency_ms(codes), excess=self.domain.excess(codes), accuracy=none, score=none
        )  # fmt: skip


def fastest(question: Question) -> tuple[tuple[int, ...], float]:
    """The codes and latency (ms) of the fastest point, or of the nearest to being an answer where other limits keep
    it from that: exact on small spaces, by evolution on large ones."""
    small = math.prod(question.domain.cardinalities.tolist()) <= ENUMERATED
    strategy: Strategy = Exhaustive(limit=ENUMERATED) if small else Evolution(evaluations=20_000)
    task = SearchTask(target_ms=question.goal.target_ms, rng=np.random.default_rng(question.seed))
    found = strategy.search(_Latencies(domain=question.domain), task).fastest
    assert found is not None  # no point was excluded
    return found.codes, found.bounded_ms
