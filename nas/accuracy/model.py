"""The accuracy of architectures: what a search and a user ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.artifact import MANIFEST_FILE, read_prior
from nas.accuracy.estimate import AccuracyEstimate
from nas.accuracy.features import OPERATOR_FEATURES, network_features, operator_features
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.prior import Prior
from nas.accuracy.recipe import Recipe
from nas.errors import unknown_name
from nas.resources import check_name, names, rooms
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, places_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyModel:
    """A prior under its name, for architectures. Batches of features go to `prior` directly."""

    name: str
    prior: Prior
    manifest: Mapping[str, Any]

    def features(self, architectures: Sequence[Architecture]) -> Floats:
        """The features of networks, as networks for ImageNet, shape (n, D)."""
        sums = np.zeros((len(architectures), len(OPERATOR_FEATURES)))
        for own, network in zip(sums, architectures, strict=True):
            batch = LayerBatch.of_places(places_of(network.on_imagenet()))
            own[:] = operator_features(batch.operators, network.side, batch.classifier).sum(axis=0)
        sides = np.array([network.side for network in architectures])
        return np.asarray(network_features(sums, sides), dtype=np.float64)

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """The mean accuracies, fractions in [0, 1], shape (n,)."""
        return self.prior.predict_features(self.features(architectures))[0]

    def estimate(
        self, architectures: Sequence[Architecture], *, recipe: Recipe | None = None
    ) -> list[AccuracyEstimate]:
        """The accuracies on ImageNet with their central 90 % intervals, for networks trained with `recipe`.

        What a network is to classify makes no difference: they are those of its layers with 1000 classes and images of
        three channels.
        """
        return self.estimate_features(self.features(architectures), recipe=recipe)

    def estimate_features(self, features: Floats, *, recipe: Recipe | None = None) -> list[AccuracyEstimate]:
        """As `estimate`, for network features (n, D)."""
        mean, low, high = self.prior.predict_features(features, recipe=recipe)
        text = str(recipe or self.prior.recipe)
        return [
            AccuracyEstimate(mean=float(m), low=float(lo), high=float(hi), recipe=text, source="predicted")
            for m, lo, hi in zip(mean, low, high, strict=True)
        ]


def load_accuracy(name: str) -> AccuracyModel:
    """The predictor called `name`: the user's own before the shipped one.

    Raises `InputError` with the nearest names for one that is not known, and for a damaged one.
    """
    check_name(name, what="predictor")
    for folder in rooms("predictors"):
        if (folder / name / MANIFEST_FILE).is_file():
            prior, manifest = read_prior(folder / name)
            return AccuracyModel(name=name, prior=prior, manifest=manifest)
    raise unknown_name("predictor", name, names("predictors", f"*/{MANIFEST_FILE}"))
