"""What is known of evaluations that cost: one record a trial, and what an asker reads of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["pending", "done", "stopped", "failed"]
"""A trial is pending while somebody works on it; stopped where a lower rung was all it got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluation of one point.

    `codes` are the point's canonical codes in its space, `digest` is its identity across spaces. `curve` holds
    (epochs, accuracy) of every rung that was reported, accuracies as fractions; epochs are 0 where the evaluator has
    no rungs. `repeat` counts evaluations of the same point (0, 1, …), each with a seed of its own. `reason` says why a
    trial failed, `why` why it was proposed; `reused`: another search had paid for it. Numbers count trials of one
    search from 0, in the order in which they were asked.
    """

    number: int
    codes: tuple[int, ...]
    digest: str
    state: State
    repeat: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    latency_ms: float
    seconds: float = 0.0
    worker: str = ""
    reason: str | None = None
    why: str = ""
    reused: bool = False

    @property
    def accuracy(self) -> float | None:
        """The accuracy at the highest rung that was reported, a fraction; None without any."""
        return self.curve[-1][1] if self.curve else None

    @property
    def epochs(self) -> int:
        """The highest rung that was reported."""
        return self.curve[-1][0] if self.curve else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A point to try, as canonical codes; `why` is for the log (first samples, acquisition, confirming)."""

    codes: tuple[int, ...]
    why: str


def measured(trials: Sequence[Trial]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Codes (n, genes) and accuracies (n,) of the trials that are done, in the order of their numbers, one row a trial:
    a point that was tried three times has three rows."""
    done = sorted((t for t in trials if t.state == "done" and t.accuracy is not None), key=lambda t: t.number)
    num_genes = len(trials[0].codes) if trials else 0
    codes = np.array([t.codes for t in done], dtype=np.int64).reshape(len(done), num_genes)
    return codes, np.array([t.accuracy for t in done], dtype=np.float64)
