"""What is asked of a search whose accuracies cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.strategies import Goal
from nas.strategies.problem import Codes


class Domain(Protocol):
    """The points that may be tried, and what is known of each for free.

    One face for a space of networks and a space of codes; `nas.trials.domain` makes it from a space and a latency.
    """

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene, shape (genes,)."""
        ...

    @property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """What each gene chooses among, in the order of a code's columns; genes with equal choices are alike."""
        ...

    def canonical(self, codes: Codes) -> Codes:
        """The codes that stand for the same points, one agreed code a point; shape kept."""
        ...

    def latency_ms(self, codes: Codes) -> NDArray[np.float64]:
        """The latency that must meet the target, milliseconds, shape (n,); free, asked as often as wanted."""
        ...

    def excess(self, codes: Codes) -> NDArray[np.float64]:
        """How far limits other than the latency are exceeded (`Standing.excess`), shape (n,); 0 where they are kept."""
        ...

    def features(self, codes: Codes) -> NDArray[np.float64]:
        """What describes points beside their genes (costs, such as the logarithm of latency), shape (n, features)."""
        ...

    def point(self, code: Sequence[int]) -> Any:
        """What an evaluator gets: an `Architecture`, or a point with `genes`."""
        ...

    def digest(self, code: Sequence[int]) -> str:
        """The identity of a point: of the architecture, or of the genes and their values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A domain, what wins, and how much may be spent.

    `budget` counts evaluations, confirmations included. `noisy` says whether two evaluations of one point may differ;
    where not, no point is evaluated twice.
    """

    domain: Domain = field(repr=False)
    goal: Goal
    budget: int
    seed: int = 0
    noisy: bool = True
