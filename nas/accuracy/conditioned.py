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

from copy import copy
from dataclasses import dataclass, replace

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
        repeats: NDArray[np.int64] | None = None,
        scatter: float = 0.0,
        unsure: Floats | None = None,
        hyper: TrialHyperparameters | None = None,
    ) -> None:
        """`accuracies` (n,), at least one, are fractions. A network that was trained again has further rows, or one row
        with the mean: then `repeats` (n,) say of how many trainings, and `scatter` is the sum of squared distances of
        all trainings from their means. `unsure` (n,) is a further variance of accuracies that are guesses."""
        assert len(features) == len(details) == len(accuracies) > 0
        self._posterior = prior.posterior()
        accuracies = np.clip(accuracies, 0.0, MAX_ACCURACY)
        stretch = (1.0 - accuracies) ** 2  # of variances, from the unit of accuracies to that of targets
        self._centre = float(self._mean(self._posterior.basis(features)).mean())
        self._rows = self._row(
            features,
            details,
            to_target(100.0 * accuracies),
            repeats=np.ones(len(accuracies)) if repeats is None else repeats.astype(np.float64),
            unsure=np.zeros(len(accuracies)) if unsure is None else unsure / stretch,
            scatter=scatter / float(stretch.mean()),
        )
        self.hyper = hyper or _fit(self._rows)
        self._condition()

    def predict(self, features: Floats, details: Floats) -> tuple[Floats, Floats]:
        """Means and variances of the targets of n networks, both of shape (n,), without the noise of a training."""
        mean, variance = np.empty(len(features)), np.empty(len(features))
        for start in range(0, len(features), _BLOCK):
            part = slice(start, start + _BLOCK)
            basis = self._posterior.basis(features[part])
            cross = self._cross(features[part], details[part], basis)
            mean[part] = self._level(basis) + cross @ self._weights
            explained = np.einsum("ij,ij->i", cross @ self._inverse, cross)
            own = self._posterior.variance(basis) - self._posterior.effect_variance
            variance[part] = self.hyper.scale**2 * own + self.hyper.amplitude**2 + CONSTANT_VARIANCE - explained
        return mean, np.maximum(variance, 0.0)

    def covariance(self, features: Floats, details: Floats) -> Floats:
        """The covariance between the targets of n networks, without the noise of trainings, shape (n, n)."""
        cross = self._cross(features, details, self._posterior.basis(features))
        squared = squared_distances(details, details) / max(details.shape[1], 1)
        special = self.hyper.amplitude**2 * matern32(squared / self.hyper.length**2)
        own = self.hyper.scale**2 * self._posterior.covariance(features) + special + CONSTANT_VARIANCE
        return np.asarray(own - cross @ self._inverse @ cross.T)

    def supposing(self, features: Floats, details: Floats) -> ConditionedPrior:
        """The same once these networks have been trained and came out as expected: the mean stays."""
        mean, _ = self.predict(features, details)
        other = copy(self)
        other._rows = self._row(
            np.concatenate((self._rows.features, features)),
            np.concatenate((self._rows.details, details)),
            np.concatenate((self._rows.targets + self._centre, mean)),
            repeats=np.concatenate((self._rows.repeats, np.ones(len(mean)))),
            unsure=np.concatenate((self._rows.unsure, np.zeros(len(mean)))),
            scatter=self._rows.scatter,
        )
        other._condition()
        return other

    def _row(
        self, features: Floats, details: Floats, targets: Floats, *, repeats: Floats, unsure: Floats, scatter: float
    ) -> TrialRows:
        return TrialRows(
            features=features,
            details=details,
            covariance=self._posterior.covariance(features),
            squared=squared_distances(details, details) / max(details.shape[1], 1),
            mean=self._mean(self._posterior.basis(features)) - self._centre,
            targets=targets - self._centre,
            repeats=repeats,
            unsure=unsure,
            scatter=scatter,
        )

    def _condition(self) -> None:
        rows = self._rows
        self._inverse = np.linalg.inv(rows.covariance_matrix(self.hyper))
        self._weights = self._inverse @ (rows.targets - self.hyper.scale * rows.mean)
        self._explained = self._posterior.precision @ self._posterior.basis(rows.features).T

    def _mean(self, basis: Floats) -> Floats:
        return np.asarray(self._posterior.mean(basis), dtype=np.float64)

    def _level(self, basis: Floats) -> Floats:
        return self._centre + self.hyper.scale * (self._mean(basis) - self._centre)

    def _cross(self, features: Floats, details: Floats, basis: Floats) -> Floats:
        """The covariance with the trials before these are known, shape (n, trials)."""
        squared = squared_distances(details, self._rows.details) / max(details.shape[1], 1)
        special = self.hyper.amplitude**2 * matern32(squared / self.hyper.length**2)
        shared = self._posterior.prior_covariance(features, self._rows.features) - basis @ self._explained
        return np.asarray(self.hyper.scale**2 * shared + special + CONSTANT_VARIANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """What is known of n trials: `features` and `details`; C (n, n) and the mean squared distances of the details
    (n, n); mean and targets (n,), both less m̄; how often each was repeated, a further variance of each (n,), and the
    scatter of the repeats, in the unit of targets."""

    features: Floats
    details: Floats
    covariance: Floats
    squared: Floats
    mean: Floats
    targets: Floats
    repeats: Floats
    unsure: Floats
    scatter: float = 0.0

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, places: NDArray[np.int64]) -> TrialRows:
        """The trials at these places; the scatter stays that of all."""
        square = np.ix_(places, places)
        return replace(
            self,
            features=self.features[places],
            details=self.details[places],
            covariance=self.covariance[square],
            squared=self.squared[square],
            mean=self.mean[places],
            targets=self.targets[places],
            repeats=self.repeats[places],
            unsure=self.unsure[places],
        )

    def covariance_matrix(self, hyper: TrialHyperparameters) -> Floats:
        """Between the trials, noise included, shape (n, n)."""
        found = hyper.scale**2 * self.covariance + CONSTANT_VARIANCE
        found += hyper.amplitude**2 * matern32(self.squared / hyper.length**2)
        found[np.diag_indices(len(self))] += hyper.noise**2 / self.repeats + self.unsure
        return np.asarray(found)


def _fit(rows: TrialRows) -> TrialHyperparameters:
    """The hyper-parameters of highest posterior density (scipy, imported when used)."""
    from scipy.optimize import minimize

    again = float(rows.repeats.sum()) - len(rows)
    if len(rows) > FITTED_TRIALS:
        rows = rows.select(np.linspace(0, len(rows) - 1, FITTED_TRIALS).astype(np.int64))

    def objective(vector: Floats) -> tuple[float, Floats]:
        value, gradient = negative_log_likelihood(vector, rows, again)
        off = (vector - _CENTRE) / _WIDTHS
        return value + 0.5 * float(off @ off), gradient + off / _WIDTHS

    found = minimize(objective, _CENTRE, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    scale, amplitude, length, noise = np.exp(found.x).tolist()
    return TrialHyperparameters(scale=scale, amplitude=amplitude, length=length, noise=noise)


def negative_log_likelihood(vector: Floats, rows: TrialRows, again: float = 0.0) -> tuple[float, Floats]:
    """−log marginal likelihood of the trials, without its constant, and its gradient in the log hyper-parameters
    (Rasmussen and Williams 2006, eqs. 5.8 and 5.9); infinite where the covariance is singular. `again` are the
    trainings beyond the first of each network, whose scatter is that of the noise."""
    scale, amplitude, length, noise = np.exp(vector).tolist()
    hyper = TrialHyperparameters(scale=scale, amplitude=amplitude, length=length, noise=noise)
    try:
        root = np.linalg.cholesky(rows.covariance_matrix(hyper))
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(vector)
    lower = np.linalg.inv(root)
    inverse = lower.T @ lower
    residual = rows.targets - scale * rows.mean
    solved = inverse @ residual
    value = 0.5 * float(residual @ solved) + float(np.log(np.diag(root)).sum())
    value += again * float(vector[3]) + 0.5 * rows.scatter / noise**2
    sensitivity = 0.5 * (inverse - np.outer(solved, solved))
    squared = rows.squared / length**2
    gradient = np.array(
        [
            2 * scale**2 * np.sum(sensitivity * rows.covariance) - scale * float(rows.mean @ solved),
            2 * amplitude**2 * np.sum(sensitivity * matern32(squared.copy())),
            -2 * amplitude**2 * np.sum(sensitivity * matern32_slope(squared) * squared),
            2 * noise**2 * float((np.diag(sensitivity) / rows.repeats).sum()) + again - rows.scatter / noise**2,
        ]
    )
    return value, gradient
