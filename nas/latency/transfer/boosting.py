"""Boosted oblivious trees: small, quick on a million rows, and nothing but arrays.

All nodes of a level of such a tree ask the same question, so a leaf's number is the answers read as a binary number
(CatBoost: Prokhorenkova et al., 2018). One thread: the same rows give the same trees, whatever else a machine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.cost_model import Floats

Bins = NDArray[np.uint8]
_BINS = 48
_RATE, _PULL = 0.06, 2.0
"""How much of what a leaf says is taken, and how many rows of zero its mean is pulled by."""
_ROWS, _FEATURES = 0.7, 0.4
"""Shares of rows and of features that each tree sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """t trees of depth d on k features: `edges` between the bins of each feature, questions `feature` and `above`
    (t, d), `leaves` (t, 2^d); `start` is the mean."""

    edges: Sequence[Floats]
    start: float
    feature: NDArray[np.int64]
    above: NDArray[np.int64]
    leaves: Floats

    def predict(self, points: Floats) -> Floats:
        """What the trees say of points (n, k), shape (n,)."""
        bins = np.ascontiguousarray(_binned(points, self.edges).T)
        found = np.full(len(points), self.start)
        for asked, above, leaves in zip(self.feature, self.above, self.leaves, strict=True):
            leaf = np.zeros(len(points), dtype=np.uint8)
            for feature, edge in zip(asked.tolist(), above.tolist(), strict=True):
                leaf += leaf
                leaf += bins[feature] > edge
            found += leaves[leaf]
        return found


def fit_trees(points: Floats, values: Floats, *, trees: int, depth: int, seed: int = 0) -> Trees:
    """Trees for `values` (n,) at points (n, k), by least squares; `depth` is at most 8."""
    rng = np.random.default_rng(seed)
    edges = [_edges(column) for column in points.T]
    bins = _binned(points, edges)
    left = values - values.mean()
    asked, above = np.zeros((2, trees, depth), dtype=np.int64)
    leaves = np.zeros((trees, 2**depth))
    for tree in range(trees):
        rows = rng.permutation(len(points))[: max(int(_ROWS * len(points)), 1)]
        kept = rng.permutation(points.shape[1])[: int(np.ceil(_FEATURES * points.shape[1]))]
        asked[tree], above[tree] = _grown(bins[rows][:, kept], left[rows], depth)
        asked[tree] = kept[asked[tree]]
        leaf = np.zeros(len(points), dtype=np.int64)
        for feature, edge in zip(asked[tree], above[tree], strict=True):
            leaf = 2 * leaf + (bins[:, feature] > edge)
        sums = np.bincount(leaf[rows], left[rows], 2**depth)
        leaves[tree] = _RATE * sums / (np.bincount(leaf[rows], minlength=2**depth) + _PULL)
        left = left - leaves[tree][leaf]
    return Trees(edges=edges, start=float(values.mean()), feature=asked, above=above, leaves=leaves)


def _grown(bins: Bins, left: Floats, depth: int) -> tuple[list[int], list[int]]:
    """The questions of one tree, each the one that parts all nodes of its level best."""
    count = bins.shape[1]
    flat = bins.astype(np.int64) + np.arange(count) * _BINS
    weights = np.repeat(left, count)
    node = np.zeros(len(bins), dtype=np.int64)
    asked, above = [], []
    for level in range(depth):
        shape = (2**level, count, _BINS)
        places = (node[:, None] * (count * _BINS) + flat).ravel()
        sums = np.bincount(places, weights, int(np.prod(shape))).reshape(shape).cumsum(axis=2)
        rows = np.bincount(places, minlength=int(np.prod(shape))).reshape(shape).cumsum(axis=2)
        rest, others = sums[:, :, -1:] - sums, rows[:, :, -1:] - rows
        gain = (sums**2 / (rows + _PULL) + rest**2 / (others + _PULL)).sum(axis=0)
        feature, edge = np.unravel_index(int(gain.argmax()), gain.shape)
        asked.append(int(feature))
        above.append(int(edge))
        node = 2 * node + (bins[:, feature] > edge)
    return asked, above


def _edges(column: Floats) -> Floats:
    values = np.unique(column)
    if len(values) <= _BINS:
        return (values[1:] + values[:-1]) / 2.0
    return np.unique(np.quantile(column, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))


def _binned(points: Floats, edges: Sequence[Floats]) -> Bins:
    found = [np.searchsorted(inner, column) for inner, column in zip(edges, points.T, strict=True)]
    return np.stack(found, axis=1).astype(np.uint8)
