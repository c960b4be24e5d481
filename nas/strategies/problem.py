"""What a strategy sees of a space: arrays of codes, and how they stand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError

Codes = NDArray[np.int64]
"""Points of a space, shape (n, genes): each number is the position of the choice of its gene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How n points stand against a target latency and other limits; all columns have shape (n,).

    `bounded_ms` is the latency that must meet the target, in milliseconds: a mean, or the quantile that a user wants to
    be sure of. `excess` is how far limits other than the latency (parameters, MACs) are exceeded, relative to the
    limits, and 0 where they are kept.
    """

    bounded_ms: NDArray[np.float64]
    excess: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bounded_ms)

    def beyond(self, target_ms: float) -> NDArray[np.float64]:
        """How far each point is from being feasible, relative to target and limits, shape (n,); 0 where it is."""
        return np.asarray(np.maximum(self.bounded_ms / target_ms - 1.0, 0.0) + self.excess)

    def feasible(self, target_ms: float) -> NDArray[np.bool_]:
        """Which points are at or under the target and keep all limits, shape (n,): whatever may be an answer."""
        return np.asarray(self.within_limits & (self.bounded_ms <= target_ms))

    @property
    def within_limits(self) -> NDArray[np.bool_]:
        """Which points keep all limits, whatever their latency, shape (n,)."""
        return np.asarray(self.excess <= 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Standing):
    """What n points are worth; all columns have shape (n,).

    `score` is what points are ranked by, of order one: a lower bound of accuracy, less penalties. `accuracy` is the
    mean, for people to read.
    """

    accuracy: NDArray[np.float64]
    score: NDArray[np.float64]


class Problem(Protocol):
    """A space and its models, compiled to arrays."""

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene, shape (genes,)."""
        ...

    def evaluate(self, codes: Codes) -> Evaluation:
        """What `codes`, shape (n, genes), are worth; called with tens of thousands at a time."""
        ...

    def canonical(self, codes: Codes) -> Codes:
        """The codes with genes that mean nothing (those of absent layers) set to one agreed choice: same network,
        same codes. Idempotent."""
        ...


def checked_cardinalities(problem: Problem) -> NDArray[np.int64]:
    """The problem's cardinalities; `InputError` unless each gene has a choice."""
    cardinalities = np.asarray(problem.cardinalities, dtype=np.int64)
    if cardinalities.ndim != 1 or not len(cardinalities) or cardinalities.min() < 1:
        raise InputError(f"a space must have genes of at least one choice each, but got {cardinalities.tolist()}.")
    return cardinalities


def checked_codes(codes: Codes | None, cardinalities: NDArray[np.int64], *, what: str) -> Codes:
    """`codes` (none for None); `InputError` unless the shape is (n, genes) and each number is a choice of its gene."""
    if codes is None:
        return np.zeros((0, len(cardinalities)), dtype=np.int64)
    codes = np.asarray(codes, dtype=np.int64)
    if codes.ndim != 2 or codes.shape[1] != len(cardinalities):
        raise InputError(f"{what} codes must have shape (n, {len(cardinalities)}), but got {codes.shape}.")
    if ((codes < 0) | (codes >= cardinalities)).any():
        raise InputError(
            f"{what} codes must be choices of their genes, but some are below 0 or beyond the last choice."
        )
    return codes


def checked_evaluation(problem: Problem, codes: Codes) -> Evaluation:
    """What `codes` are worth; `InputError` unless every column is finite, of shape (n,), and latencies are positive."""
    if not len(codes):
        none = np.zeros(0)
        return Evaluation(bounded_ms=none, excess=none, accuracy=none, score=none)
    found = problem.evaluate(codes)
    for field in fields(Evaluation):
        column = getattr(found, field.name)
        if column.shape != (len(codes),) or not np.isfinite(column).all():
            raise InputError(
                f"an evaluation must give {len(codes)} finite numbers, but {field.name} has shape {column.shape}"
                f" and {int((~np.isfinite(column)).sum())} that are not finite."
            )
    if found.bounded_ms.min() <= 0:
        raise InputError(f"latencies must be positive, but the lowest is {found.bounded_ms.min()} ms.")
    return replace(found, excess=np.maximum(found.excess, 0.0))
