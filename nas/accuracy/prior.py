"""The accuracy prior: ImageNet top-1 of a network from published results, with an interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.gaussian_process import Floats, Hyperparameters, Posterior, Rows
from nas.accuracy.novelty import Novelty
from nas.accuracy.recipe import DEFAULT_RECIPE, Recipe

QUANTILE_95 = 1.6448536269514722
"""Half the width of a normal distribution's central 90 % interval, in standard deviations."""

SCREEN_RANK = 96
"""Rank to which `Prior.screen` reduces the variance; a smaller one widens the interval, never narrows it."""

SCREEN_MARGIN = 2e-5
"""What `Prior.screen` takes from its bound, as a fraction: more than single precision rounds."""

_BLOCK = 4096


def to_target(top1: Floats) -> Floats:
    """What the process models: −log(100 − top1), `top1` in percent. An equal step is an equal share of the errors."""
    return -np.log(100.0 - top1)


def to_fraction(target: NDArray[np.floating]) -> NDArray[Any]:
    """The top-1 accuracy in [0, 1] of a target; the inverse of `to_target`, over 100."""
    return np.asarray(np.clip(1.0 - np.exp(-target) / 100.0, 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Prior:
    """A fitted prior. `features` (n, D) are those of the rows as computed, `centre` and `spread` (D,) standardise them;
    `targets` (n,) as `to_target` gives them; `novelty` measures the distance to their networks."""

    hyper: Hyperparameters
    rows: Rows
    targets: Floats
    centre: Floats
    spread: Floats
    novelty: Novelty
    recipe: Recipe = DEFAULT_RECIPE
    _posteriors: dict[Recipe, Posterior] = field(default_factory=dict, repr=False)

    def posterior(self, recipe: Recipe | None = None) -> Posterior:
        """The process conditioned on the rows, for networks trained with `recipe` (default: the prior's own)."""
        chosen = recipe or self.recipe
        if chosen not in self._posteriors:
            self._posteriors[chosen] = Posterior(self.hyper, self.rows, self.targets, chosen.covariates())
        return self._posteriors[chosen]

    def standardise(self, features: NDArray[np.floating]) -> NDArray[Any]:
        """Network features (n, D) on the scale of the rows, in their dtype."""
        dtype = features.dtype
        return np.asarray((features - self.centre.astype(dtype)) / self.spread.astype(dtype))

    def predict_features(self, features: Floats, *, recipe: Recipe | None = None) -> tuple[Floats, Floats, Floats]:
        """Top-1 of networks with these features (n, D): mean, low and high in [0, 1], each of shape (n,).

        Population level: a network of a new family. The central 90 % interval is that of a figure published for it.
        """
        posterior = self.posterior(recipe)
        mean, deviation = np.empty(len(features)), np.empty(len(features))
        for start in range(0, len(features), _BLOCK):
            part = slice(start, start + _BLOCK)
            basis = posterior.basis(self.standardise(np.asarray(features[part], dtype=np.float64)))
            mean[part] = posterior.mean(basis)
            deviation[part] = np.sqrt(posterior.variance(basis))
        half = QUANTILE_95 * deviation
        return to_fraction(mean), to_fraction(mean - half), to_fraction(mean + half)

    @cached_property
    def _screen_factor(self) -> NDArray[np.float32]:
        """(rank, m + 1): its product with a basis has a squared norm at most the variance that the data explain."""
        posterior = self.posterior()
        values, vectors = np.linalg.eigh(posterior.precision)
        root = (vectors * np.sqrt(np.maximum(values, 0))).T
        seen = posterior.basis(self.rows.features)
        left, _, _ = np.linalg.svd(root @ seen.T, full_matrices=False)
        return np.ascontiguousarray(left[:, :SCREEN_RANK].T @ root, dtype=np.float32)

    def screen(self, features: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """A fast mean, low and high (n,) in [0, 1] for very many networks (n, D), in single precision.

        The variance that the data explain is reduced to its main `SCREEN_RANK` directions, so the interval is no
        narrower than that of `predict_features`. `low` is never above the one from there, and at most
        `nas.accuracy.model.QUICK_SLACK` below it; whatever is reported comes from there.
        """
        posterior, factor = self.posterior(), self._screen_factor.T
        mean, half = np.empty(len(features), dtype=np.float32), np.empty(len(features), dtype=np.float32)
        for start in range(0, len(features), _BLOCK):
            part = slice(start, start + _BLOCK)
            basis = posterior.basis(self.standardise(features[part]))
            explained = basis @ factor
            variance = posterior.prior_variance - np.einsum("ij,ij->i", explained, explained)
            mean[part] = posterior.mean(basis)
            half[part] = QUANTILE_95 * np.sqrt(np.maximum(variance, posterior.effect_variance))
        low = np.maximum(to_fraction(mean - half) - np.float32(SCREEN_MARGIN), 0)
        return to_fraction(mean), low, to_fraction(mean + half)

    def difference(
        self, a: Floats, b: Floats, *, same_family: bool = False, recipe: Recipe | None = None
    ) -> tuple[float, float, float]:
        """`differences` of one network with features `b` (D,): mean, low and high, fractions."""
        mean, low, high = self.differences(a, b[None, :], same_family=same_family, recipe=recipe)
        return float(mean[0]), float(low[0]), float(high[0])

    def differences(
        self, a: Floats, b: Floats, *, same_family: bool = False, recipe: Recipe | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """How much better networks with features `b` (n, D) are than the one with `a` (D,): mean, low and high,
        fractions, each of shape (n,).

        Uses the joint posterior: what is unknown about both cancels. The interval contains 0 where the prior cannot
        tell the two apart. Networks of the `same_family` (one space, one training) share their family effect.
        """
        posterior = self.posterior(recipe)
        networks = self.standardise(np.concatenate((a[None, :], b)).astype(np.float64))
        mean = posterior.mean(posterior.basis(networks))
        cov = posterior.covariance(networks)
        own = 2 * (posterior.effect_variance - same_family * self.hyper.family**2)
        variance = cov[0, 0] + np.diag(cov)[1:] - 2 * cov[0, 1:]
        half = QUANTILE_95 * np.sqrt(np.maximum(variance, 0.0) + own)
        gain, error = mean[1:] - mean[0], np.exp(-mean[0]) / 100
        low, high = gain - half, gain + half
        return error * (1 - np.exp(-gain)), error * (1 - np.exp(-low)), error * (1 - np.exp(-high))
