"""What progress tells of a search."""

from __future__ import annotations

from collections.abc import Callable

from nas.progress import OnProgress, Step
from nas.strategies import Progress


def reported(doing: str, progress: OnProgress) -> Callable[[Progress], None]:
    """What tells `progress` of a strategy's."""

    def report(state: Progress) -> None:
        progress(Step(doing=doing, done=state.evaluated, of=state.limit, note=best_so_far(state.best_accuracy)))

    return report


def best_so_far(accuracy: float | None) -> str:
    """What progress tells of the best network so far, by its predicted mean accuracy (a fraction)."""
    return "" if accuracy is None else f"predicted top-1 {100 * accuracy:.1f} %"
