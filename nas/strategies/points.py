"""Codes with what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes, Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Points(Evaluation):
    """Evaluated points; `codes` have shape (n, genes), all other columns (n,)."""

    codes: Codes

    @classmethod
    def of(cls, codes: Codes, evaluation: Evaluation) -> Points:
        """`codes` with their evaluation."""
        return cls(codes=codes, **{name: getattr(evaluation, name) for name in _COLUMNS})

    @classmethod
    def none(cls, num_genes: int) -> Points:
        """No points."""
        return cls(codes=np.zeros((0, num_genes), dtype=np.int64), **dict.fromkeys(_COLUMNS, np.zeros(0)))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Points:
        """The points at `rows` (a mask, positions or a slice)."""
        return Points(codes=self.codes[rows], **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def join(self, other: Points) -> Points:
        """These points and then those of `other`."""
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS}
        return Points(codes=np.concatenate([self.codes, other.codes]), **columns)

    def ranked(self, value: NDArray[np.float64]) -> Points:
        """The same points by `value` (n,), the highest first; of equal values the faster, then the earlier."""
        return self.select(np.lexsort((self.bounded_ms, -value)))


_COLUMNS = tuple(field.name for field in fields(Evaluation))
