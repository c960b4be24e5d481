"""A small space of codes with a latency and evaluators, and an asker that draws points: what trials are tested on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.space.codes import CodeSpace, Point
from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial

SPACE = CodeSpace(
    name="by-hand", description="", genes={f"layer{i}": (0, 1, 2, 3) for i in range(5)}, source="by hand"
)  # fmt: skip
TARGET_MS = 8.5
"""Met where the genes sum to at most 8: by 603 of the 1,024 codes, of which (0, 0, 2, 3, 3) is the best."""


class Sum:
    """A latency: half a millisecond, and one more for each unit of a gene."""

    def latency_ms(self, points: Sequence[Point]) -> list[float]:
        return [0.5 + sum(point.genes.values()) for point in points]


def accuracy_of(point: Any) -> float:
    """0.5, and a hundredth for the genes' weighted sum, later genes weighing more."""
    return float(0.5 + 0.01 * sum((i + 1) * value for i, value in enumerate(point.genes.values())))


def evaluate(points: Sequence[Any]) -> list[float]:
    """Knows the accuracies. By the environment: what it was asked is a line in the file CALLS; a call takes SLEEP
    seconds; where the file DIES is there, it is removed, and the process killed."""
    if "CALLS" in os.environ:
        with Path(os.environ["CALLS"]).open("a", encoding="utf-8") as file:
            file.writelines(f"{list(point.genes.values())}\n" for point in points)
    time.sleep(float(os.environ.get("SLEEP", "0")))
    if "DIES" in os.environ and Path(os.environ["DIES"]).exists():
        Path(os.environ["DIES"]).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return [accuracy_of(point) for point in points]


_ALL = np.stack(np.unravel_index(np.arange(4**5), (4,) * 5), axis=1)


class Drawn:
    """An asker that draws points under the target, each a function of the seed and of how many trials there are."""

    name = "drawn"

    def __init__(self, question: Question) -> None:
        self._question = question

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        domain, limit_ms = self._question.domain, self._question.goal.limit_ms
        seen = {trial.codes for trial in trials}
        order = np.random.default_rng([self._question.seed, len(trials)]).permutation(len(_ALL))
        free = [codes for codes in _ALL[order].tolist() if tuple(codes) not in seen]
        met = domain.latency_ms(np.array(free, dtype=np.int64).reshape(-1, len(_ALL[0]))) <= limit_ms
        found = [tuple(codes) for codes, meets in zip(free, met, strict=True) if meets]
        return [Proposal(codes=codes, why="drawn") for codes in found[:count]]

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        tried = {trial.codes: trial.accuracy for trial in trials if trial.accuracy is not None}
        again = {trial.codes for trial in trials if trial.repeat}
        ranked = sorted(tried, key=lambda codes: -tried[codes])
        return [Proposal(codes=codes, why="confirming") for codes in ranked if codes not in again][:count]

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        def mean(code: tuple[int, ...]) -> float:
            found = [trial.accuracy for trial in trials if trial.codes == code and trial.accuracy is not None]
            return float(np.mean(found)) if found else 0.5

        means = np.array([mean(tuple(code)) for code in codes.tolist()])
        return Belief(mean=means, deviation=np.full(len(means), 0.01))

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        return 0.25
