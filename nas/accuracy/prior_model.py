"""The prior from published results as an accuracy model of architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.conditioned import ConditionedPrior
from nas.accuracy.estimate import AccuracyDifferences, AccuracyEstimate, AccuracyFigures
from nas.accuracy.features import OPERATOR_FEATURES, network_features, operator_features
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.novelty import shape_features
from nas.accuracy.prior import QUANTILE_95, SCREEN_MARGIN, Prior, to_fraction
from nas.accuracy.recipe import Recipe
from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, places_of


class _OfOperators:
    """What a model reads of networks that is a function of sums of `OPERATOR_FEATURES`."""

    __slots__ = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """`OPERATOR_FEATURES`."""
        return OPERATOR_FEATURES

    def operator_columns(
        self, table: OperatorTable, side: NDArray[np.float64], classifier: NDArray[np.bool_]
    ) -> Floats:
        """`operator_features`."""
        return operator_features(table, side, classifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorModel(_OfOperators):
    """A prior under its name, as `nas.accuracy.model.AccuracyModel` has it; all accuracies are *predicted*."""

    name: str
    prior: Prior
    manifest: Mapping[str, Any]

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
        return np.asarray(network_features(*described(architectures)), dtype=np.float64)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """The mean accuracies, fractions in [0, 1], shape (n,)."""
        return self.figures(*described(architectures)).mean

    def estimate(
        self, architectures: Sequence[Architecture], *, recipe: Recipe | None = None
    ) -> list[AccuracyEstimate]:
        """The accuracies on ImageNet with their central 90 % intervals, for networks trained with `recipe`.

        What a network is to classify makes no difference: they are those of its layers with 1000 classes and images of
        three channels.
        """
        return self.figures(*described(architectures), recipe=recipe).records()

    def conditioned(
        self, architectures: Sequence[Architecture], accuracies: Sequence[float]
    ) -> PriorModel | ConditionedModel:
        """This model after trials: networks and the accuracies that they reached, fractions, on whatever data and by
        whatever recipe; a network that was trained again comes again. Without any trial it is this model.

        Raises `InputError` where the accuracies are not one fraction in [0, 1] a network.
        """
        reached = np.asarray(accuracies, dtype=np.float64)
        if reached.shape != (len(architectures),) or not ((reached >= 0) & (reached <= 1)).all():
            raise InputError(
                f"trials must have one accuracy in [0, 1] each, but got {len(architectures)} networks and {accuracies}."
            )
        if not len(reached):
            return self
        sums, sides = described(architectures)
        process = ConditionedPrior(self.prior, *_as_read(self.prior, sums, sides), reached)
        return ConditionedModel(name=self.name, prior=self.prior, process=process, num_trials=len(reached))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionedModel(_OfOperators):
    """A prior conditioned on trials, as `nas.accuracy.model.AccuracyModel` has it; all accuracies are *predicted*, and
    are those of one more network trained as those of the trials were.

    It reads the columns of the prior, so a space that is compiled for the one is compiled for the other. `novelty`
    stays the distance to networks whose accuracy is published.
    """

    name: str
    prior: Prior
    process: ConditionedPrior
    num_trials: int

    def figures(
        self, sums: NDArray[np.floating], resolution: NDArray[np.floating], *, quick: bool = False
    ) -> AccuracyFigures:
        """The accuracies of networks; a quick one costs as much as an exact one."""
        mean, variance = self.process.predict(
            *_as_read(self.prior, np.asarray(sums, dtype=np.float64), np.asarray(resolution, dtype=np.float64))
        )
        half = QUANTILE_95 * np.sqrt(variance + self.process.hyper.noise**2)
        low = to_fraction(mean - half)
        return AccuracyFigures(
            mean=to_fraction(mean),
            low=np.maximum(low - SCREEN_MARGIN, 0.0) if quick else low,
            high=to_fraction(mean + half),
            novelty=self.prior.novelty.distance(sums, resolution),
            recipe=f"as the {self.num_trials} trials",
            source="predicted",
        )

    def differences(self, sums: Floats, resolution: Floats) -> AccuracyDifferences:
        """By the joint posterior: what all networks of the trials have in common cancels."""
        read = _as_read(self.prior, sums, resolution)
        mean, _ = self.process.predict(*read)
        cov = self.process.covariance(*read)
        variance = cov[0, 0] + np.diag(cov)[1:] - 2 * cov[0, 1:]
        half = QUANTILE_95 * np.sqrt(np.maximum(variance, 0.0) + 2 * self.process.hyper.noise**2)
        gain, error = mean[1:] - mean[0], np.exp(-mean[0]) / 100
        low, middle, high = (error * (1 - np.exp(-value)) for value in (gain - half, gain, gain + half))
        return AccuracyDifferences(mean=middle, low=low, high=high)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """The mean accuracies, fractions in [0, 1], shape (n,)."""
        return self.figures(*described(architectures)).mean

    def estimate(self, architectures: Sequence[Architecture]) -> list[AccuracyEstimate]:
        """The accuracies with their central 90 % intervals, on the data of the trials."""
        return [replace(record, data="trials") for record in self.figures(*described(architectures)).records()]


def described(architectures: Sequence[Architecture]) -> tuple[Floats, Floats]:
    """The sums of `OPERATOR_FEATURES` of networks on ImageNet (n, columns), and the sides of their inputs (n,)."""
    sums = np.zeros((len(architectures), len(OPERATOR_FEATURES)))
    for own, network in zip(sums, architectures, strict=True):
        batch = LayerBatch.of_places(places_of(network.on_imagenet()))
        own[:] = operator_features(batch.operators, network.side, batch.classifier).sum(axis=0)
    return sums, np.array([network.side for network in architectures], dtype=np.float64)


def _as_read(prior: Prior, sums: Floats, resolution: Floats) -> tuple[Floats, Floats]:
    """What a conditioned prior reads of networks: standardised features, and shapes as the details."""
    features = np.asarray(network_features(sums, resolution), dtype=np.float64)
    shapes = prior.novelty.standardise(shape_features(sums, resolution))
    return prior.standardise(features), np.asarray(shapes, dtype=np.float64)
