"""What progress tells of a search."""

from __future__ import annotations

from collections.abc import Callable

from nas.progress import OnProgress, Step
from nas.strategies import Progress

HISTORY_SCHEMA = 1
"""The version of the document of a history."""


class History:
    """How the best answer of a strategy grew: a step each time that it did. A second search begins it anew."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, float, float]] = []
        self._last = 0

    @property
    def steps(self) -> tuple[tuple[int, float, float], ...]:
        """(points looked at, some of them again; score of the best answer; its mean accuracy), the last one where the
        strategy ended."""
        if self._steps and self._last > self._steps[-1][0]:
            return (*self._steps, (self._last, *self._steps[-1][1:]))
        return tuple(self._steps)

    def kept(self, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """What keeps the steps of a strategy and passes them on."""
        self._steps, self._last = [], 0

        def told(state: Progress) -> None:
            self._last = state.evaluated
            if state.best_score is not None and state.best_accuracy is not None:
                step = (state.evaluated, state.best_score, state.best_accuracy)
                if not self._steps or step[1:] != self._steps[-1][1:]:
                    self._steps.append(step)
            report(state)

        return told


def reported(doing: str, progress: OnProgress) -> Callable[[Progress], None]:
    """What tells `progress` of a strategy's."""

    def report(state: Progress) -> None:
        progress(Step(doing=doing, done=state.evaluated, of=state.limit, note=best_so_far(state.best_accuracy)))

    return report


def best_so_far(accuracy: float | None) -> str:
    """What progress tells of the best network so far, by its predicted mean accuracy (a fraction)."""
    return "" if accuracy is None else f"predicted top-1 {100 * accuracy:.1f} %"
