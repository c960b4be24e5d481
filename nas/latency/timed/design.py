"""The timed networks as matrices: which segments ran in which, which operators those have, and a roofline of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import Floats, Ints
from nas.latency.timed.operator_shapes import NUM_TERMS, distinct, groups, roofline_terms

_PRIOR_TERMS = np.array([20.0, 0.2, 0.2, 0.3, 1.0, 20.0])
"""Relative sizes of the terms of an operator on a processor; the timed networks set their common scale."""
_PRIOR_WEIGHT = 0.03


class TimedSegment(Protocol):
    """A segment of a timed network."""

    @property
    def key(self) -> str: ...

    @property
    def operators(self) -> OperatorTable: ...


class Design:
    """The timed networks as matrices; what does not depend on the scales. `free` (n, f) is what each coefficient of the
    roofline that is not zero makes of each network's time."""

    def __init__(
        self,
        networks: Sequence[Sequence[TimedSegment]],
        latency_ms: Floats,
        batch: Ints,
        sure: NDArray[np.bool_],
    ) -> None:
        self.latency_ms, self.batch, self.sure = latency_ms, batch, sure
        segments = {s.key: s for network in networks for s in network}
        self.keys = tuple(segments)
        number = {key: i for i, key in enumerate(self.keys)}
        pairs = [(i, number[s.key]) for i, network in enumerate(networks) for s in network]
        shape = (len(networks), len(self.keys))
        self.uses = _counts(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]), shape)
        tables = [segments[key].operators for key in self.keys]
        table = OperatorTable.concatenate(tables)
        first, inverse = distinct(table)
        self.operators = table.select(first)
        owner = np.repeat(np.arange(len(self.keys)), [len(t) for t in tables])
        self.parts = _counts(owner, inverse, (len(self.keys), len(first)))
        self.groups, self.group = groups(self.operators)
        self.fixed_ms, self.roofline = self._fit_roofline()
        self.base = (roofline_terms(self.operators) * self.roofline[self.group]).sum(axis=1)
        self.segment_base = np.asarray(self.parts @ self.base)
        self.prior_ms = self.fixed_ms + np.asarray(self.uses @ self.segment_base)

    def _fit_roofline(self) -> tuple[float, Floats]:
        """The fixed time, and ms a term for each group and, last, any other."""
        terms = roofline_terms(self.operators)
        counts = (self.uses @ self.parts).tocsr()
        columns = np.zeros((counts.shape[0], len(self.groups) * NUM_TERMS))
        for group in range(len(self.groups)):
            rows = np.flatnonzero(self.group == group)
            columns[:, group * NUM_TERMS : (group + 1) * NUM_TERMS] = counts[:, rows] @ terms[rows]
        prior = np.tile(_PRIOR_TERMS, len(self.groups))
        prior *= float(np.median(self.latency_ms / (columns @ prior)))
        fixed = 0.01 * float(self.latency_ms.min())
        scaled = np.column_stack([columns * prior, np.full(len(columns), fixed)]) / self.latency_ms[:, None]
        pull = _PRIOR_WEIGHT * np.eye(scaled.shape[1])
        pulled = np.full(scaled.shape[1], _PRIOR_WEIGHT)
        found, _ = nnls(np.vstack([scaled, pull]), np.append(np.ones(len(scaled)), pulled))
        self.free = scaled[:, found > 0.0]
        used = columns.any(axis=0)
        roofline = np.where(used, found[:-1] * prior, 0.0).reshape(-1, NUM_TERMS)
        common = prior[:NUM_TERMS]
        empty = roofline.sum(axis=1) <= 0.0
        roofline[empty] = _PRIOR_WEIGHT * common
        return float(found[-1] * fixed), np.vstack([roofline, common])

    def influence(self) -> tuple[Floats, Floats]:
        """Two matrices (n, f) whose product, the second transposed, says how far each network pulls the roofline's part
        of each: the hat matrix of its least squares, of the coefficients that are not zero (Hastie et al., The Elements
        of Statistical Learning, 7.10.1)."""
        inner = self.free.T @ self.free + _PRIOR_WEIGHT**2 * np.eye(self.free.shape[1])
        return np.asarray(np.linalg.solve(inner, self.free.T).T, dtype=np.float64), self.free


def _counts(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Any:
    """A sparse matrix of how often each pair (row, column) comes."""
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
