"""What an asker believes of networks: the published prior, conditioned on trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.conditioned import ConditionedPrior
from nas.accuracy.features import network_features
from nas.accuracy.prior import Prior, to_fraction
from nas.strategies.problem import Codes
from nas.trials.asker import Belief

Floats = NDArray[np.float64]
Described = Callable[[Codes], tuple[Floats, Floats]]
"""From codes (n, genes) to the sums of `nas.accuracy.features.OPERATOR_FEATURES` of their networks (n, columns) and the
sides of their inputs (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorBelief:
    """Beliefs about the networks of a space with genes of so many choices (`cardinalities`); a network's details are
    its genes, which say more of its place in the space than its shape does."""

    prior: Prior
    described: Described
    cardinalities: NDArray[np.int64]

    def given(self, codes: Codes, accuracies: Floats) -> Callable[[Codes], Belief]:
        """What is believed of any codes after trials: `codes` (n, genes) reached `accuracies` (n,), fractions.

        Without a trial it is the prior, whose uncertainty is that of a new family of networks. Deviations are those of
        a network's own accuracy, without the noise of one training.
        """
        if not len(codes):
            return self._before
        process = ConditionedPrior(self.prior, self._features(codes), self._genes(codes), accuracies)

        def believe(asked: Codes) -> Belief:
            return _belief(*process.predict(self._features(asked), self._genes(asked)))

        return believe

    def _before(self, codes: Codes) -> Belief:
        posterior, features = self.prior.posterior(), self._features(codes)
        basis = posterior.basis(features)
        return _belief(posterior.mean(basis), posterior.variance(basis))

    def _features(self, codes: Codes) -> Floats:
        return self.prior.standardise(np.asarray(network_features(*self.described(codes)), dtype=np.float64))

    def _genes(self, codes: Codes) -> Floats:
        """Places of the choices, in standard deviations of uniformly drawn ones; genes of one choice have none."""
        free = self.cardinalities > 1
        choices = self.cardinalities[free]
        return np.asarray((codes[:, free] - (choices - 1) / 2) / np.sqrt((choices**2 - 1) / 12))


def expected_improvement(belief: Belief, best: float) -> Floats:
    """How much a point is expected to exceed `best`, where it exceeds it at all, shape (n,); 0 or more (Jones et al.
    1998, eq. 15). SciPy is imported when used."""
    from scipy.special import ndtr

    deviation = np.maximum(belief.deviation, 1e-12)
    gain = belief.mean - best
    z = gain / deviation
    return np.asarray(np.maximum(gain * ndtr(z) + deviation * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), 0.0))


def _belief(mean: Floats, variance: Floats) -> Belief:
    """From targets of the prior to fractions; a deviation is stretched as the mean is."""
    accuracy = to_fraction(mean)
    return Belief(mean=accuracy, deviation=np.asarray((1.0 - accuracy) * np.sqrt(np.maximum(variance, 0.0))))
