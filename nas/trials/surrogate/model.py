"""A model of accuracy: trials in, what is believed of any point out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes
from nas.trials.asker import Belief
from nas.trials.question import Domain
from nas.trials.surrogate.embedding import Embedding
from nas.trials.surrogate.observed import Observed
from nas.trials.surrogate.process import Amplitudes, Process, Rows, fitted

Floats = NDArray[np.float64]

_FITTED = 150
"""Amplitudes are fitted to about so many points at most; more hardly change them."""
_LEAST_SPREAD = 1e-3
"""The least deviation of accuracies that is believed of a few points: a tenth of a point."""


class Posterior(Protocol):
    """What is believed once some points have been observed. Codes are canonical, shape (n, genes)."""

    def believed(self, codes: Codes) -> Belief:
        """Each point by itself; of one that was observed, what its value is but for noise."""
        ...

    def together(self, codes: Codes) -> tuple[Floats, Floats]:
        """Means (n,) and the joint covariance (n, n) of distinct points."""
        ...

    def supposing(self, codes: Codes) -> Posterior:
        """The same once new, distinct points have come out as expected: the mean stays, the deviations fall."""
        ...


class Model(Protocol):
    """A model of accuracy that can be conditioned on what was observed."""

    @property
    def guesses(self) -> bool:
        """Whether it has a belief of its own before anything was observed; others get at least one point."""
        ...

    def posterior(self, observed: Observed) -> Posterior:
        """What is believed then: a function of `observed` alone."""
        ...


class CodeModel:
    """The Gaussian process of `nas.trials.surrogate.process` on a domain's genes and features.

    `usual`, shape (n, genes), are points whose features say what a usual one is (their mean and spread).
    """

    guesses = False

    def __init__(self, domain: Domain, usual: Codes, *, noisy: bool) -> None:
        self._domain, self._noisy = domain, noisy
        self._embedding = Embedding(domain.choices)
        features = domain.features(usual)
        self._centre, spread = features.mean(axis=0), features.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)

    def rows(self, codes: Codes) -> Rows:
        """Points as the process sees them."""
        costs = (self._domain.features(codes) - self._centre) / self._spread
        return Rows(genes=self._embedding.of(codes), costs=costs)

    def posterior(self, observed: Observed) -> CodePosterior:
        """The process given `observed`, its amplitudes fitted to them."""
        rows, values = self.rows(observed.codes), observed.accuracy
        centre, spread = float(values.mean()), max(float(values.std()), _LEAST_SPREAD)
        standard, unsure = (values - centre) / spread, observed.unsure / spread**2
        few = observed.telling(_FITTED)
        amplitudes = fitted(
            rows.select(few),
            standard[few],
            observed.repeats[few],
            unsure[few],
            scatter=observed.scatter / spread**2,
            noisy=self._noisy,
        )
        noise = unsure + (amplitudes.variance("noise") / observed.repeats if self._noisy else 0.0)
        process = Process(amplitudes=amplitudes, rows=rows, values=standard, noise=noise)
        places = {code: i for i, code in enumerate(map(tuple, observed.codes.tolist()))}
        return CodePosterior(model=self, process=process, places=places, centre=centre, spread=spread)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodePosterior:
    """A `Process` in the unit of accuracies; `places` says where among its rows an observed point is."""

    model: CodeModel
    process: Process
    places: dict[tuple[int, ...], int]
    centre: float
    spread: float

    @property
    def amplitudes(self) -> Amplitudes:
        """The hyper-parameters, in units of `spread`."""
        return self.process.amplitudes

    def believed(self, codes: Codes) -> Belief:
        """As `Posterior` says."""
        mean, deviation = self.process.believed(self.model.rows(codes), self._own(codes))
        return Belief(mean=self._mean(mean), deviation=self.spread * deviation)

    def together(self, codes: Codes) -> tuple[Floats, Floats]:
        """As `Posterior` says."""
        mean, covariance = self.process.together(self.model.rows(codes), self._own(codes))
        return self._mean(mean), self.spread**2 * covariance

    def supposing(self, codes: Codes) -> CodePosterior:
        """As `Posterior` says."""
        count = len(self.process.rows)
        places = {code: count + i for i, code in enumerate(map(tuple, codes.tolist()))}
        return CodePosterior(
            model=self.model,
            process=self.process.supposing(self.model.rows(codes)),
            places=self.places | places,
            centre=self.centre,
            spread=self.spread,
        )

    def _mean(self, standard: Floats) -> Floats:
        return self.centre + self.spread * standard

    def _own(self, codes: Codes) -> NDArray[np.int64]:
        return np.array([self.places.get(tuple(code), -1) for code in codes.tolist()], dtype=np.int64)
