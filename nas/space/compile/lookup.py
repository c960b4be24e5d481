"""Numbers that depend on a few genes, for a million codes at once: an index from the genes, one gather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


class Lookup:
    """A number for each combination of some genes: `values` has one axis a gene, in the order of `genes`."""

    def __init__(self, genes: Sequence[str], values: NDArray[Any]) -> None:
        if len(genes) != values.ndim:
            raise ValueError(f"values must have one axis a gene, but got {values.shape} for {list(genes)}")
        # A gene that makes no difference need not be looked at.
        for axis in reversed(range(values.ndim)):
            first = values.take([0], axis=axis)
            if values.ndim > 1 and (values == first).all():
                values, genes = first.squeeze(axis), [*genes[:axis], *genes[axis + 1 :]]
        self.genes = tuple(genes)
        """Those that make a difference."""
        self._sizes = values.shape
        self._values: Ints = np.ascontiguousarray(values.ravel(), dtype=np.int32)

    def of(self, columns: Mapping[str, Ints]) -> Ints:
        """The numbers where `columns` gives the choice of each gene, all of shape (n,)."""
        index = columns[self.genes[0]]
        for gene, size in zip(self.genes[1:], self._sizes[1:], strict=True):
            index = index * size
            index += columns[gene]
        found: Ints = self._values.take(index)
        return found


def affine(start: int, steps: Sequence[int], sizes: Sequence[int]) -> NDArray[np.int64]:
    """start + Σ steps[i] · position on axis i, an array of shape `sizes`."""
    total = np.full(tuple(sizes), start, dtype=np.int64)
    for axis, (step, size) in enumerate(zip(steps, sizes, strict=True)):
        total += (step * np.arange(size)).reshape([-1 if i == axis else 1 for i in range(len(sizes))])
    return total
