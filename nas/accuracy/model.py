"""The accuracy of networks: what a search asks of a model, and the models that are loaded by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.artifact import prior_folder, read_prior
from nas.accuracy.estimate import AccuracyDifferences, AccuracyEstimate, AccuracyFigures
from nas.accuracy.prior_model import PriorModel
from nas.graph.operators import OperatorTable
from nas.space.architecture import Architecture

QUICK_SLACK = 0.006
"""How far below the exact lower bound a quick one may lie, as a fraction: 0.6 points. Networks for images of 32 pixels,
far from all that was published, need that much; at the sizes of ImageNet half a point would do."""


class AccuracyModel(Protocol):
    """Accuracies of networks, by sums over their operators: so a space compiles to arrays of these.

    The rule of the interval is the model's own: whoever asks takes `low` and `high` as they are.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the additive columns that describe a network."""
        ...

    def operator_columns(
        self, table: OperatorTable, side: NDArray[np.float64], classifier: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What each operator adds to the columns of its network, shape (n, columns); `side` (n,) is the input side in
        pixels of the network of each, `classifier` (n,) marks those that give the logits. The operators are those of
        the networks on ImageNet (`Architecture.on_imagenet`)."""
        ...

    def figures(
        self, sums: NDArray[np.floating], resolution: NDArray[np.floating], *, quick: bool = False
    ) -> AccuracyFigures:
        """The accuracies of n networks, given their `sums` (n, columns) and `resolution` (n,); each by itself.

        With `quick` in a way that serves for millions, whose `low` is never above the exact one, and at most
        `QUICK_SLACK` below; `sums` may then be in single precision.
        """
        ...

    def differences(self, sums: NDArray[np.float64], resolution: NDArray[np.float64]) -> AccuracyDifferences:
        """How much better networks 1, 2, … are than network 0, given as for `figures`; shape (n − 1,).

        What is unknown about both alike cancels, so an interval is not that of two independent figures.
        """
        ...

    def estimate(self, architectures: Sequence[Architecture]) -> list[AccuracyEstimate]:
        """The accuracies of networks as records, equal to `figures` of their sums."""
        ...


def load_accuracy(name: str) -> PriorModel:
    """The predictor called `name`: the user's own before the shipped one.

    Raises `InputError` with the nearest names for one that is not known, and for a damaged one.
    """
    prior, manifest = read_prior(prior_folder(name))
    return PriorModel(name=name, prior=prior, manifest=manifest)
