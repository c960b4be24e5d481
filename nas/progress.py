"""What long work says of itself: what is being done, and how much of how much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One word of progress.

    `doing` is the phase, the same text as long as it lasts; `done` of `of` say how far the phase is, in any unit
    (`of=0` or without end: nobody knows); `note` is what else may be told, such as the best network so far.
    """

    doing: str
    done: float = 0.0
    of: float = 0.0
    note: str = ""

    @property
    def share(self) -> float | None:
        """How much of the phase is done, from 0 to 1, or None where nobody knows."""
        return min(1.0, max(0.0, self.done / self.of)) if 0 < self.of < math.inf else None


OnProgress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Tells nobody."""


def counted(doing: str, progress: OnProgress) -> Callable[[int, int], None]:
    """A function of (done, of) that tells `progress` of the phase `doing`."""
    return lambda done, of: progress(Step(doing=doing, done=done, of=of))
