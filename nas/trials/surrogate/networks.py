"""The published prior, conditioned on trials, as the surrogate's model of a space of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.conditioned import ConditionedPrior
from nas.accuracy.features import network_features
from nas.accuracy.prior import Prior, to_fraction
from nas.accuracy.prior_model import PriorModel
from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.domain import NetworkDomain
from nas.trials.question import Domain, Question
from nas.trials.surrogate.model import Posterior
from nas.trials.surrogate.observed import Observed

Floats = NDArray[np.float64]
Described = Callable[[Codes], tuple[Floats, Floats]]
"""From codes (n, genes) to the sums of `nas.accuracy.features.OPERATOR_FEATURES` of their networks (n, columns) and the
sides of their inputs (n,)."""


def described_by(domain: NetworkDomain) -> Described:
    """How the networks of a compiled domain are described."""
    assert domain.problem is not None
    return domain.problem.described


def model_of(question: Question) -> NetworkModel | None:
    """The model of a question about networks whose domain was compiled for the published prior; None for others."""
    domain = question.domain
    if not (isinstance(domain, NetworkDomain) and domain.problem and isinstance(domain.accuracy, PriorModel)):
        return None
    return NetworkModel(domain.accuracy.prior, domain, described_by(domain), noisy=question.noisy)


class NetworkModel:
    """Accuracies of networks by the published `prior`, which trials correct; it has a belief before the first trial.

    A network's details are its genes, which say more of its place in the space than its shape does. Where evaluations
    are not `noisy`, what the process cannot say of a network is the network's own, and is known once it was evaluated.
    """

    guesses = True

    def __init__(self, prior: Prior, domain: Domain, networks: Described, *, noisy: bool) -> None:
        self.prior, self.noisy = prior, noisy
        self._networks = networks
        choices = np.asarray(domain.cardinalities, dtype=np.int64)
        self._free = np.flatnonzero(choices > 1)
        choices = choices[self._free]
        self._middle, self._deviation = (choices - 1) / 2, np.sqrt((choices**2 - 1) / 12)

    def posterior(self, observed: Observed) -> Posterior:
        """What is believed once points have been observed; without any, the prior of a new family of networks."""
        if not len(observed):
            return _Before(model=self)
        process = ConditionedPrior(
            self.prior,
            self.features(observed.codes),
            self.details(observed.codes),
            observed.accuracy,
            repeats=observed.repeats,
            scatter=observed.scatter,
            unsure=observed.unsure,
        )
        exact = {} if self.noisy else _exact(observed)
        return NetworkPosterior(model=self, process=process, exact=exact)

    def features(self, codes: Codes) -> Floats:
        """What the prior reads of networks, on its scale, shape (n, D)."""
        if not len(codes):
            return np.zeros((0, len(self.prior.centre)))
        features = network_features(*self._networks(codes))
        return self.prior.standardise(np.asarray(features, dtype=np.float64))

    def details(self, codes: Codes) -> Floats:
        """Places of the choices, in standard deviations of uniformly drawn ones; genes of one choice have none."""
        return np.asarray((codes[:, self._free] - self._middle) / self._deviation)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkPosterior:
    """A conditioned prior in the unit of accuracies; `exact` are points whose accuracy is known, or supposed to be."""

    model: NetworkModel
    process: ConditionedPrior
    exact: Mapping[tuple[int, ...], float]

    def believed(self, codes: Codes) -> Belief:
        """As `Posterior` says."""
        target, variance = self.process.predict(self.model.features(codes), self.model.details(codes))
        mean = to_fraction(target)
        deviation = (1.0 - mean) * np.sqrt(variance + self._own_variance)
        for row, accuracy in self._known(codes):
            mean[row], deviation[row] = accuracy, 0.0
        return Belief(mean=mean, deviation=deviation)

    def together(self, codes: Codes) -> tuple[Floats, Floats]:
        """As `Posterior` says."""
        features, details = self.model.features(codes), self.model.details(codes)
        mean = to_fraction(self.process.predict(features, details)[0])
        covariance = self.process.covariance(features, details)
        covariance[np.diag_indices(len(codes))] += self._own_variance
        covariance *= np.outer(1.0 - mean, 1.0 - mean)
        for row, accuracy in self._known(codes):
            mean[row] = accuracy
            covariance[row] = covariance[:, row] = 0.0
        return mean, covariance

    def supposing(self, codes: Codes) -> NetworkPosterior:
        """As `Posterior` says."""
        process = self.process.supposing(self.model.features(codes), self.model.details(codes))
        exact = dict(self.exact)
        if not self.model.noisy:
            exact |= zip(map(tuple, codes.tolist()), self.believed(codes).mean.tolist(), strict=True)
        return NetworkPosterior(model=self.model, process=process, exact=exact)

    @property
    def _own_variance(self) -> float:
        """Of what is a network's own, in the unit of targets: without noise, all that the process takes for it."""
        return 0.0 if self.model.noisy else self.process.hyper.noise**2

    def _known(self, codes: Codes) -> list[tuple[int, float]]:
        rows = ((row, self.exact.get(tuple(code))) for row, code in enumerate(codes.tolist()))
        return [(row, accuracy) for row, accuracy in rows if accuracy is not None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Before:
    """The prior itself; what is supposed changes nothing, since how networks of a new family are alike is unknown."""

    model: NetworkModel

    def believed(self, codes: Codes) -> Belief:
        posterior = self.model.prior.posterior()
        basis = posterior.basis(self.model.features(codes))
        mean = to_fraction(posterior.mean(basis))
        return Belief(mean=mean, deviation=(1.0 - mean) * np.sqrt(posterior.variance(basis)))

    def together(self, codes: Codes) -> tuple[Floats, Floats]:
        posterior, features = self.model.prior.posterior(), self.model.features(codes)
        mean = to_fraction(posterior.mean(posterior.basis(features)))
        covariance = posterior.covariance(features)
        covariance[np.diag_indices(len(codes))] += posterior.effect_variance
        return mean, covariance * np.outer(1.0 - mean, 1.0 - mean)

    def supposing(self, codes: Codes) -> _Before:
        return self


def _exact(observed: Observed) -> dict[tuple[int, ...], float]:
    """The points that were evaluated to the end; those that were stopped early are guesses."""
    return {
        tuple(code): accuracy
        for code, accuracy, unsure in zip(
            observed.codes.tolist(), observed.accuracy.tolist(), observed.unsure.tolist(), strict=True
        )
        if not unsure
    }
