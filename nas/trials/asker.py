"""Who decides what is tried next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes
from nas.trials.records import Proposal, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What an asker believes of n points: means and standard deviations of their accuracies (fractions), shape (n,)."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


class Asker(Protocol):
    """A way to choose trials: a pure function of its question, what is finished and pending, and the seed.

    It has no state that matters: what it remembers between two asks is there for speed alone, so a search that was
    killed and goes on asks for the same points. It inherits `nas.testing.askers.AskerConformance`.
    """

    @property
    def name(self) -> str:
        """What `--asker` calls it."""
        ...

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points to try next, distinct, best first; fewer where the space has no more.

        None of them is among `trials` (done, pending, failed) in canonical codes. Points above the goal's limit are
        not proposed, unless nothing else is left to propose, or the reward pays for them.
        """
        ...

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points, tried already, that are worth evaluating again before the answer; none where the
        question is not `noisy`."""
        ...

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        """What it believes of points, shape (n, genes); of one that was tried, by its trials and all others."""
        ...

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        """The chance that some untried point that meets the target beats the point `code` by more than `margin` (a
        fraction of accuracy, in the goal's value); None where the asker has no model that could say."""
        ...


class Deferring:
    """What an asker has that asks otherwise than `inner`, and in all else does as that."""

    def __init__(self, inner: Asker) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """That of `inner`."""
        return self._inner.name

    def confirm(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """As `inner` does."""
        return self._inner.confirm(trials, count)

    def believe(self, trials: Sequence[Trial], codes: Codes) -> Belief:
        """What `inner` believes."""
        return self._inner.believe(trials, codes)

    def chance_of_better(self, trials: Sequence[Trial], code: Sequence[int], margin: float) -> float | None:
        """As `inner` says."""
        return self._inner.chance_of_better(trials, code, margin)
