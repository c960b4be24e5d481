"""The prior from published results as an accuracy model of architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.estimate import AccuracyDifferences, AccuracyEstimate, AccuracyFigures
from nas.accuracy.features import OPERATOR_FEATURES, network_features, operator_features
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.prior import Prior
from nas.accuracy.recipe import Recipe
from nas.graph.operators import OperatorTable
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, places_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorModel:
    """A prior under its name, as `nas.accuracy.model.AccuracyModel` has it; all accuracies are *predicted*."""

    name: str
    prior: Prior
    manifest: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """`OPERATOR_FEATURES`."""
        return OPERATOR_FEATURES

    def operator_columns(
        self, table: OperatorTable, side: NDArray[np.float64], classifier: NDArray[np.bool_]
    ) -> Floats:
        """`operator_features`."""
        return operator_features(table, side, classifier)

    def figures(
        self,
        sums: NDArray[np.floating],
        resolution: NDArray[np.floating],
        *,
        quick: bool = False,
        recipe: Recipe | None = None,
    ) -> AccuracyFigures:
        """The accuracies of networks trained with `recipe` (default: the prior's own, the only one that is quick)."""
        features = network_features(sums, resolution)
        mean, low, high = (
            self.prior.screen(np.asarray(features, dtype=np.float32))
            if quick
            else self.prior.predict_features(np.asarray(features, dtype=np.float64), recipe=recipe)
        )
        return AccuracyFigures(
            mean=mean.astype(np.float64),
            low=low.astype(np.float64),
            high=high.astype(np.float64),
            novelty=self.prior.novelty.distance(sums, resolution),
            recipe=str(recipe or self.prior.recipe),
            source="predicted",
        )

    def differences(self, sums: Floats, resolution: Floats) -> AccuracyDifferences:
        """By the joint posterior, as networks of two new families."""
        features = np.asarray(network_features(sums, resolution), dtype=np.float64)
        mean, low, high = self.prior.differences(features[0], features[1:])
        return AccuracyDifferences(mean=mean, low=low, high=high)

    def features(self, architectures: Sequence[Architecture]) -> Floats:
        """The features of networks that the prior reads, as networks for ImageNet, shape (n, D)."""
        return np.asarray(network_features(*self._sums(architectures)), dtype=np.float64)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """The mean accuracies, fractions in [0, 1], shape (n,)."""
        return self.figures(*self._sums(architectures)).mean

    def estimate(
        self, architectures: Sequence[Architecture], *, recipe: Recipe | None = None
    ) -> list[AccuracyEstimate]:
        """The accuracies on ImageNet with their central 90 % intervals, for networks trained with `recipe`.

        What a network is to classify makes no difference: they are those of its layers with 1000 classes and images of
        three channels.
        """
        return self.figures(*self._sums(architectures), recipe=recipe).records()

    def _sums(self, architectures: Sequence[Architecture]) -> tuple[Floats, Floats]:
        """The sums of `columns` (n, columns), and the sides of the inputs (n,)."""
        sums = np.zeros((len(architectures), len(OPERATOR_FEATURES)))
        for own, network in zip(sums, architectures, strict=True):
            batch = LayerBatch.of_places(places_of(network.on_imagenet()))
            own[:] = operator_features(batch.operators, network.side, batch.classifier).sum(axis=0)
        return sums, np.array([network.side for network in architectures])
