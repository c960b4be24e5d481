"""What is known of evaluations that cost: one record a trial, and what an asker reads of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["pending", "done", "stopped", "failed"]
"""A trial is pending while somebody works on it; stopped where a lower rung was all it got."""


@dataclass(frozen=True, slots=True)
class OwnRung:
    """A rung that this search paid for: its epochs, what it took, and when it ended, in seconds since 1970."""

    epochs: int
    seconds: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluation of one point.

    `codes` are the point's canonical codes in its space, `digest` is its identity across spaces. `curve` holds
    (epochs, accuracy) of every rung that was reported, accuracies as fractions; epochs are 0 where the evaluator has
    no rungs. `repeat` counts evaluations of the same point (0, 1, …), each with a seed of its own. `reason` says why a
    trial failed, `why` why it was proposed; `reused`: another search had paid for a rung of it, `own` are the others.
    Numbers count trials of one search from 0, in the order in which they were asked.
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
    own: tuple[OwnRung, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Said:
    """What a trial says of its point: the `accuracy` (a fraction) at the last rung; where it was stopped before, a
    guess with that `variance`."""

    trial: Trial
    accuracy: float
    variance: float = 0.0


def said(trials: Sequence[Trial]) -> list[Said]:
    """What the trials that are done, or were stopped at a rung, say, in the order of their numbers; a stopped one of a
    point that is done says nothing more."""
    ended = sorted((t for t in trials if t.curve and t.state in ("done", "stopped")), key=lambda t: t.number)
    full = [t for t in ended if t.state == "done"]
    known = {t.codes for t in full}
    found = []
    for trial in ended:
        if trial.state == "done":
            found.append(Said(trial, trial.curve[-1][1]))
        elif trial.codes not in known:
            found.append(Said(trial, *_continued(trial, full)))
    return found


def measured(trials: Sequence[Trial]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Codes (n, genes) and accuracies (n,) of what trials have `said`, one row a trial: a point that was tried three
    times has three rows."""
    found = said(trials)
    num_genes = len(trials[0].codes) if trials else 0
    codes = np.array([one.trial.codes for one in found], dtype=np.int64).reshape(len(found), num_genes)
    return codes, np.array([one.accuracy for one in found], dtype=np.float64)


def _continued(trial: Trial, full: Sequence[Trial]) -> tuple[float, float]:
    """What a stopped trial would have come to, and the variance of that: its last accuracy, plus what those that went
    on won from the same rung. Where none did, the accuracy as it is."""
    epochs, accuracy = trial.curve[-1]
    gains = [t.curve[-1][1] - dict(t.curve)[epochs] for t in full if epochs in dict(t.curve)]
    if not gains:
        return float(accuracy), 0.0
    # One more gain, of a spread of a point, keeps the variance of a few from being believed.
    variance = (float(np.var(gains)) * len(gains) + 0.01**2) / (len(gains) + 1)
    return float(accuracy + np.mean(gains)), variance
