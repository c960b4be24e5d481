"""Evaluators with the faults of real ones, where any process finds them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def fine(points: Sequence[Any]) -> list[float]:
    """0.5 for every point."""
    return [0.5 for _ in points]


def by_digits(points: Sequence[Any]) -> list[float]:
    """A hundredth of the sum of a code's choices, which are numbers."""
    return [sum(point.genes.values()) / 100 for point in points]


def by_layers(points: Sequence[Any]) -> list[float]:
    """A thousandth for each layer of a network; 0 where the genes are not those of the network."""
    return [len(point.layers) / 1000 if point.genes else 0.0 for point in points]


def raises(points: Sequence[Any]) -> list[float]:
    """Raises."""
    raise ValueError("no data")


def leaves(points: Sequence[Any]) -> list[float]:
    """Ends its program."""
    raise SystemExit("bye")


def not_a_number(points: Sequence[Any]) -> list[float]:
    """NaN."""
    return [float("nan") for _ in points]


def too_many(points: Sequence[Any]) -> list[float]:
    """One number more than there are points."""
    return [0.5, *(0.5 for _ in points)]


def percent(points: Sequence[Any]) -> list[float]:
    """Percent in place of fractions."""
    return [73.5 for _ in points]


def words(points: Sequence[Any]) -> list[str]:
    """Words in place of numbers."""
    return ["good" for _ in points]


def bare(points: Sequence[Any]) -> float:
    """A number in place of a list."""
    return 0.5


def hangs(points: Sequence[Any]) -> list[float]:
    """Takes an hour."""
    time.sleep(3600)
    return fine(points)


def rests(points: Sequence[Any]) -> list[float]:
    """Takes a second, and nothing of the processor."""
    time.sleep(1.0)
    return fine(points)


def dies(points: Sequence[Any]) -> list[float]:
    """Kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return fine(points)


def goes_on(points: Sequence[Any], *, epochs: int, load: str | None, save: str) -> list[float]:
    """A hundredth for each epoch since the beginning, of which the checkpoint tells how many there were."""
    before = 0 if load is None else int(Path(load).read_text("ascii"))
    Path(save).write_text(str(epochs), "ascii")
    assert before < epochs
    return [epochs / 100 for _ in points]


goes_on.rungs = (1, 3, 9)  # type: ignore[attr-defined]

FAULTS = {
    raises: r"ValueError: no data \(evaluators.py:\d+\)",
    leaves: r"SystemExit: bye",
    not_a_number: "must be finite, but the evaluator returned nan",
    too_many: "as many numbers as points, 1, but returned 2",
    percent: r"must be a fraction in \[0, 1\], but the evaluator returned 73.5",
    words: "must be a number, but the evaluator returned 'good'",
    bare: "must return a list of numbers, but returned a float",
}
"""Evaluators that always fail, and what their failure says."""
