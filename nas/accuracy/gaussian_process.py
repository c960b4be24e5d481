"""The Gaussian process of the accuracy prior: covariance between published rows, posterior of new networks.

Rows i and j covary as

    a² k(x_i, x_j) + (z_i · Λ² z_j) (1 + s² k(x_i, x_j)) + c² + f² [same family] + n² [same network] + e² [i = j]

with x the standardised architecture features, k the Matérn 3/2 kernel with a length scale a feature, and z the recipe
(zero for the default one). Recipe terms are linear, and may differ between kinds of networks (s). There are no linear
terms in the architecture: an optimiser follows those out of the data. Family and network effects are zero for a new
network, their variance is part of its interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError

Floats = NDArray[np.float64]

CONSTANT_VARIANCE = 1.0
"""c²: the prior variance of the overall level; wide against the spread of the targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Observed rows: features (n, D) standardised, recipe covariates (n, R), family and network numbers (n,)."""

    features: Floats
    recipe: Floats
    family: NDArray[np.int64]
    network: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Standard deviations (amplitude a, recipe Λ (R,), interaction s, family f, network n, noise e) and length scales
    (D,), all positive."""

    amplitude: float
    scales: Floats
    recipe: Floats
    interaction: float
    family: float
    network: float
    noise: float

    def log_vector(self) -> Floats:
        """Their logarithms in one vector: amplitude, scales, recipe, interaction, family, network, noise."""
        rest = [self.interaction, self.family, self.network, self.noise]
        vector = np.concatenate((np.array([self.amplitude]), self.scales, self.recipe, np.array(rest)))
        return np.asarray(np.log(vector))

    @classmethod
    def from_log_vector(cls, vector: Floats, num_features: int) -> Hyperparameters:
        """The inverse of `log_vector`."""
        values = np.exp(vector)
        return cls(
            amplitude=float(values[0]),
            scales=values[1 : 1 + num_features],
            recipe=values[1 + num_features : -4],
            interaction=float(values[-4]),
            family=float(values[-3]),
            network=float(values[-2]),
            noise=float(values[-1]),
        )


def squared_distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[Any]:
    """Squared Euclidean distances between the rows of `a` (n, D) and `b` (m, D), shape (n, m), never negative."""
    d2 = a @ (-2 * b.T)
    d2 += np.einsum("ij,ij->i", a, a)[:, None]
    d2 += np.einsum("ij,ij->i", b, b)
    return np.maximum(d2, 0, out=d2)


def matern32(d2: NDArray[Any]) -> NDArray[Any]:
    """The Matérn 3/2 kernel of squared distances (Rasmussen and Williams 2006, eq. 4.17); overwrites `d2`."""
    d2 *= 3
    np.sqrt(d2, out=d2)
    k: NDArray[Any] = np.exp(-d2)
    d2 += 1
    k *= d2
    return k


def matern32_slope(d2: Floats) -> Floats:
    """Derivative of `matern32` with respect to the squared distance."""
    slope: Floats = -1.5 * np.exp(-np.sqrt(3 * d2))
    return slope


def row_covariance(hyper: Hyperparameters, rows: Rows) -> Floats:
    """The covariance between observed rows, shape (n, n)."""
    scaled = rows.features / hyper.scales
    k = matern32(squared_distances(scaled, scaled))
    linear = (rows.recipe * hyper.recipe**2) @ rows.recipe.T
    cov: Floats = hyper.amplitude**2 * k + linear * (1 + hyper.interaction**2 * k) + CONSTANT_VARIANCE
    cov += hyper.family**2 * (rows.family[:, None] == rows.family)
    cov += hyper.network**2 * (rows.network[:, None] == rows.network)
    cov[np.diag_indices(len(rows))] += hyper.noise**2
    return cov


class Posterior:
    """A Gaussian process conditioned on rows, asked about networks of new families trained with one recipe.

    The covariance of a new network with row j is (a² + s² l_j) k(x, x_j) + (c² + l_j), l_j = z · Λ² z_j: linear in
    the kernel values at the distinct observed feature vectors. So mean and variance are a vector and a matrix on
    φ(x) = [k(x, x_1) … k(x, x_m), 1], whatever the recipe.
    """

    def __init__(self, hyper: Hyperparameters, rows: Rows, targets: Floats, recipe: Floats) -> None:
        """`targets` has shape (n,), `recipe` (R,)."""
        self.hyper = hyper
        self.centres, owner = np.unique(rows.features / hyper.scales, axis=0, return_inverse=True)
        owner = owner.reshape(-1)
        self.offset = float(targets.mean())
        try:
            inverse = np.linalg.inv(row_covariance(hyper, rows))
        except np.linalg.LinAlgError as error:
            raise NasError(
                "the rows of a prior must tell its networks apart, but their covariance has no inverse; restore the"
                " predictor, or build it again with: nas predictor train"
            ) from error
        linear = (rows.recipe * hyper.recipe**2) @ recipe
        to_rows = np.zeros((len(rows), len(self.centres) + 1))
        to_rows[np.arange(len(rows)), owner] = hyper.amplitude**2 + hyper.interaction**2 * linear
        to_rows[:, -1] = CONSTANT_VARIANCE + linear
        self.weights: Floats = to_rows.T @ (inverse @ (targets - self.offset))
        precision = to_rows.T @ inverse @ to_rows
        self.precision: Floats = (precision + precision.T) / 2
        own = float(recipe @ (hyper.recipe**2 * recipe))
        self._kernel_variance = hyper.amplitude**2 + own * hyper.interaction**2
        self._level_variance = CONSTANT_VARIANCE + own
        self.effect_variance = hyper.family**2 + hyper.network**2 + hyper.noise**2

    @property
    def prior_variance(self) -> float:
        """The variance of a network infinitely far from the data, before its level is known."""
        return self._kernel_variance + self._level_variance + self.effect_variance

    def basis(self, features: NDArray[np.floating]) -> NDArray[Any]:
        """φ of standardised `features` (n, D), shape (n, m + 1), in their dtype."""
        scaled = features / self.hyper.scales.astype(features.dtype)
        k = matern32(squared_distances(scaled, self.centres.astype(features.dtype)))
        return np.concatenate((k, np.ones((len(k), 1), dtype=k.dtype)), axis=1)

    def mean(self, basis: NDArray[np.floating]) -> NDArray[Any]:
        """The posterior mean for `basis` (n, m + 1), shape (n,)."""
        mean: NDArray[Any] = self.offset + basis @ self.weights.astype(basis.dtype)
        return mean

    def variance(self, basis: Floats) -> Floats:
        """The posterior variance of a published row (effects and noise included), shape (n,)."""
        return np.asarray(self.prior_variance - np.einsum("ij,ij->i", basis @ self.precision, basis))

    def prior_covariance(self, features: Floats, others: Floats) -> Floats:
        """The covariance between networks before any row is known, without their own effects and noise, (n, m)."""
        kernel = matern32(squared_distances(features / self.hyper.scales, others / self.hyper.scales))
        return np.asarray(self._kernel_variance * kernel + self._level_variance)

    def covariance(self, features: Floats) -> Floats:
        """The posterior covariance between networks, without their own effects and noise, shape (n, n)."""
        basis = self.basis(features)
        cov: Floats = self.prior_covariance(features, features) - basis @ self.precision @ basis.T
        return cov
