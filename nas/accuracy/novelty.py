"""How far a network is from those whose accuracy is published.

A prediction can be believed where networks like it have been trained. The features that predict accuracy are few and
their effect is smooth, so an optimiser may leave the data along what they do not see: stages that nobody builds,
multiply-adds where they happen to be cheap on a device. Novelty looks at the whole shape of a network instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.features import OPERATOR_FEATURES, STAGES

Floats = NDArray[np.float64]

SHAPE_FEATURES: tuple[str, ...] = (
    "log_macs",
    "log_weights",
    "log_activations",
    "log_resolution",
    "log_head_width",
    *(f"log_depth_{stride}" for stride in STAGES),
    *(f"share_macs_{stride}" for stride in STAGES),
    *(f"log_width_{stride}" for stride in STAGES),
    "share_kernel_5",
    "share_kernel_7",
    "share_se",
    "share_residual",
    "share_macs_dw",
    "share_smooth",
)
"""Columns of `shape_features`: size, and how depth, multiply-adds and width are spread over the stages."""

LEAST_SPREAD = 1e-9
"""A column with a smaller standard deviation is constant: what differs is rounding."""

_AT = {name: i for i, name in enumerate(OPERATOR_FEATURES)}


def shape_features(sums: NDArray[np.floating], resolution: NDArray[np.floating]) -> NDArray[np.floating]:
    """Shapes (n, len(SHAPE_FEATURES)) of networks, from `sums` (n, len(OPERATOR_FEATURES)) and `resolution` (n,)."""

    def column(name: str) -> NDArray[np.floating]:
        found: NDArray[np.floating] = sums[:, _AT[name]]
        return found

    def total(name: str) -> NDArray[np.floating]:
        return np.asarray(np.sum([column(f"{name}_{stride}") for stride in STAGES], axis=0))

    macs = np.maximum(column("macs"), 1)
    spatial = np.maximum(column("spatial"), 1)
    activations = np.maximum(column("smooth") + column("piecewise"), 1)
    columns = [
        np.log(macs),
        np.log(np.maximum(column("weights"), 1)),
        np.log(np.maximum(column("activations"), 1)),
        np.log(np.asarray(resolution, dtype=sums.dtype)),
        np.log(np.maximum(column("head_width"), 1)),
        *(np.log1p(column(f"depth_{stride}")) for stride in STAGES),
        *(column(f"macs_{stride}") / macs for stride in STAGES),
        *(column(f"log_width_{stride}") / np.maximum(column(f"depth_{stride}"), 1) for stride in STAGES),
        column("kernel_5") / spatial,
        column("kernel_7") / spatial,
        column("se") / spatial,
        column("residual") / spatial,
        column("macs_dw") / macs,
        column("smooth") / activations,
    ]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class Novelty:
    """Distances to observed networks; `observed` (m, len(SHAPE_FEATURES)) are their shapes, each once."""

    observed: Floats

    @cached_property
    def _scale(self) -> tuple[Floats, Floats]:
        spread = self.observed.std(axis=0)
        return self.observed.mean(axis=0), np.where(spread > LEAST_SPREAD, spread, 1.0)

    @cached_property
    def _standard(self) -> Floats:
        return np.asarray(self.standardise(self.observed))

    @cached_property
    def unit(self) -> float:
        """The median distance from an observed network to the nearest other one, in standard deviations."""
        squared = _squared_distances(self._standard, self._standard)
        np.fill_diagonal(squared, np.inf)
        return float(np.median(np.sqrt(squared.min(axis=1))))

    def standardise(self, shapes: NDArray[np.floating]) -> NDArray[np.floating]:
        """`shapes` (n, len(SHAPE_FEATURES)) in standard deviations of the observed ones, in their precision."""
        centre, spread = self._scale
        return np.asarray((shapes - centre.astype(shapes.dtype)) / spread.astype(shapes.dtype))

    def distance(self, sums: NDArray[np.floating], resolution: NDArray[np.floating]) -> Floats:
        """The distance of networks (n,) to the nearest observed one; 1 is typical between observed networks."""
        return self.distance_of(shape_features(sums, resolution))

    def distance_of(self, shapes: NDArray[np.floating]) -> Floats:
        """As `distance`, for `shapes` (n, len(SHAPE_FEATURES)); in their precision."""
        nearest = _squared_distances(self.standardise(shapes), self._standard.astype(shapes.dtype)).min(axis=1)
        return np.asarray(np.sqrt(nearest) / self.unit, dtype=np.float64)


def _squared_distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0))
