"""The published prior conditioned on trials: accuracies of networks on somebody's own data, by their own recipe.

With f the process of the prior, conditioned on the published rows (mean m, covariance C, in the unit of
`nas.accuracy.prior.to_target`), the target of trial i is

    t_i = m̄ + o + b (f(x_i) − m̄) + δ(z_i) + ε_i

where the offset o and the scale b say what another data set and recipe do to all networks alike (m̄ is the mean of m
over the trials), δ is a process of its own for what is special about the space (Matérn 3/2 on the details z,
stationary, so that an optimiser gains nothing where the trials end), and ε is the noise of a training. The offset is
integrated out; b, the amplitude and the length scale of δ, and the noise are those of highest posterior density:
marginal likelihood with log-normal priors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.gaussian_process import CONSTANT_VARIANCE, Floats, matern32, matern32_slope, squared_distances
from nas.accuracy.prior import Prior, to_target

MAX_ACCURACY = 0.9995
"""Accuracies above count as this one: the logarithm of no errors is infinite."""

FITTED_TRIALS = 256
"""The most trials that the hyper-parameters are fitted to, spread evenly over all; all condition the process."""

_CENTRE = np.log(np.array([1.0, 0.05, 2.0, 0.01]))
_WIDTHS = np.array([0.3, 0.7, 0.7, 0.7])
_BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialHyperparameters:
    """The scale b, the amplitude and the length scale of what is special (the latter in root mean squares over the
    details), and the standard deviation of the noise; all positive."""

    scale: float
    amplitude: float
    length: float
    noise: float

    def log_vector(self) -> Floats:
        """Their logarithms, in this order."""
        return np.asarray(np.log(np.array([self.scale, self.amplitude, self.length, self.noise])))


class ConditionedPrior:
    """The prior's process conditioned on trials; networks are given by the features that the prior reads, as it
    standardises them (n, D), and by details (n, Z) of any kind on a scale of order one: genes, or shapes."""

    def __init__(
        self,
        prior: Prior,
        features: Floats,
        details: Floats,
        accuracies: Floats,
        *,
        hyper: TrialHyperparameters | None = None,
    ) -> None:
        """`accuracies` (n,), at least one, are fractions; a network that was trained again has further rows."""
        assert len(features) == len(details) == len(accuracies) > 0
        self._posterior = prior.posterior()
        self._features, self._details = features, details
        targets = to_target(100.0 * np.clip(accuracies, 0.0, MAX_ACCURACY))
        mean = self._mean(features)
        self._centre = float(mean.mean())
        self._known = TrialRows(
            covariance=self._posterior.covariance(features),
            squared=squared_distances(details, details) / max(details.shape[1], 1),
            mean=mean - self._centre,
            targets=targets - self._centre,
        )
        self.hyper = hyper or _fit(self._known)
        covariance = self._known.covariance_matrix(self.hyper)
        self._inverse = np.linalg.inv(covariance)
        self._weights = self._inverse @ (self._known.targets - self.hyper.scale * self._known.mean)

    def predict(self, features: Floats, details: Floats) -> tuple[Floats, Floats]:
        """Means and variances of the targets of n networks, both of shape (n,), without the noise of a training."""
        mean, variance = np.empty(len(features)), np.empty(len(features))
        for start in range(0, len(features), _BLOCK):
            part = slice(start, start + _BLOCK)
            cross = self._cross(features[part], details[part])
            mean[part] = self._scaled(features[part]) + cross @ self._weights
            explained = np.einsum("ij,ij->i", cross @ self._inverse, cross)
            own = self.hyper.scale**2 * self._posterior.variance_of_network(features[part])
            variance[part] = own + self.hyper.amplitude**2 + CONSTANT_VARIANCE - explained
        return mean, np.maximum(variance, 0.0)

    def covariance(self, features: Floats, details: Floats) -> Floats:
        """The covariance between the targets of n networks, without the noise of trainings, shape (n, n)."""
        cross = self._cross(features, details)
        own = self._joint(features, details, features, details)
        return np.asarray(own - cross @ self._inverse @ cross.T)

    def _mean(self, features: Floats) -> Floats:
        return np.asarray(self._posterior.mean(self._posterior.basis(features)), dtype=np.float64)

    def _scaled(self, features: Floats) -> Floats:
        return self._centre + self.hyper.scale * (self._mean(features) - self._centre)

    def _cross(self, features: Floats, details: Floats) -> Floats:
        return self._joint(features, details, self._features, self._details)

    def _joint(self, features: Floats, details: Floats, other_features: Floats, other_details: Floats) -> Floats:
        """The covariance before the trials, of shape (n, m)."""
        squared = squared_distances(details, other_details) / max(details.shape[1], 1)
        special = self.hyper.amplitude**2 * matern32(squared / self.hyper.length**2)
        shared = self.hyper.scale**2 * self._posterior.covariance(features, other_features)
        return np.asarray(shared + special + CONSTANT_VARIANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """What a likelihood reads of n trials: C (n, n), squared distances of the details (n, n), mean and targets (n,),
    the last two as differences from m̄."""

    covariance: Floats
    squared: Floats
    mean: Floats
    targets: Floats

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: NDArray[np.int64]) -> TrialRows:
        square = np.ix_(rows, rows)
        return TrialRows(
            covariance=self.covariance[square],
            squared=self.squared[square],
            mean=self.mean[rows],
            targets=self.targets[rows],
        )

    def covariance_matrix(self, hyper: TrialHyperparameters) -> Floats:
        """Between the trials, noise included, shape (n, n)."""
        found = hyper.scale**2 * self.covariance + CONSTANT_VARIANCE
        found += hyper.amplitude**2 * matern32(self.squared / hyper.length**2)
        found[np.diag_indices(len(self))] += hyper.noise**2
        return np.asarray(found)


def _fit(known: TrialRows) -> TrialHyperparameters:
    """The hyper-parameters of highest posterior density (scipy, imported when used)."""
    from scipy.optimize import minimize

    if len(known) > FITTED_TRIALS:
        known = known.select(np.linspace(0, len(known) - 1, FITTED_TRIALS).astype(np.int64))

    def objective(vector: Floats) -> tuple[float, Floats]:
        value, gradient = negative_log_likelihood(vector, known)
        off = (vector - _CENTRE) / _WIDTHS
        return value + 0.5 * float(off @ off), gradient + off / _WIDTHS

    found = minimize(objective, _CENTRE, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    scale, amplitude, length, noise = np.exp(found.x).tolist()
    return TrialHyperparameters(scale=scale, amplitude=amplitude, length=length, noise=noise)


def negative_log_likelihood(vector: Floats, known: TrialRows) -> tuple[float, Floats]:
    """−log marginal likelihood of the trials, without its constant, and its gradient in the log hyper-parameters
    (Rasmussen and Williams 2006, eqs. 5.8 and 5.9); infinite where the covariance is singular."""
    scale, amplitude, length, noise = np.exp(vector).tolist()
    hyper = TrialHyperparameters(scale=scale, amplitude=amplitude, length=length, noise=noise)
    try:
        root = np.linalg.cholesky(known.covariance_matrix(hyper))
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(vector)
    lower = np.linalg.inv(root)
    inverse = lower.T @ lower
    residual = known.targets - scale * known.mean
    solved = inverse @ residual
    value = 0.5 * float(residual @ solved) + float(np.log(np.diag(root)).sum())
    sensitivity = 0.5 * (inverse - np.outer(solved, solved))
    squared = known.squared / length**2
    gradient = np.array(
        [
            2 * scale**2 * np.sum(sensitivity * known.covariance) - scale * float(known.mean @ solved),
            2 * amplitude**2 * np.sum(sensitivity * matern32(squared.copy())),
            -2 * amplitude**2 * np.sum(sensitivity * matern32_slope(squared) * squared),
            2 * noise**2 * np.trace(sensitivity),
        ]
    )
    return value, gradient
