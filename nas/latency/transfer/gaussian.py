"""Linear Gaussian inference from few relative latencies: blocks of features, an amplitude for each, noise.

    y = typical · (1 + constant + Σ_b amplitude_b · features_b · weights_b + noise),    weights ~ N(0, 1)

Amplitudes and noise are those of the greatest posterior, under a prior that other devices gave. Latencies that the
others contradict count less (the weights of a Student-t with 4 degrees of freedom), and their part stays in the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.cost_model import Floats

CONSTANT = 1.0
"""Prior deviation of the constant, relative to the typical latency: as good as unknown."""
_DEGREES, _ROUNDS = 4.0, 2
_STEPS = 30
_BOUNDS = (-8.0, 1.0)
_DUAL_STEPS, _NONE_ARE = 30, 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Means and deviations of the logarithms of the amplitudes, one a block, and last of the noise, each (b + 1,)."""

    mean: Floats
    deviation: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFit:
    """What n latencies say: `weights` (k + 1,) of all features and the constant, last, their `covariance` and the
    `noise`, all of it relative to `typical_ms`.

    `logs` are the fitted logarithms; `factor` makes of a deviation half of a central 90 % interval: a Student-t's, and
    wider where the n latencies, each left out, stray by more than their deviations.
    """

    typical_ms: float
    weights: Floats
    covariance: Floats
    noise: float
    logs: Floats
    factor: float


def fit_linear(
    blocks: Sequence[Floats], latency_ms: Floats, prior: Prior, *, rounds: int = _ROUNDS, spent: int = 0
) -> LinearFit:
    """Fit n latencies to blocks of features, each (n, k_b); n is at least 2. `spent` numbers were fitted to
    them before."""
    # A device's file is read without scipy, which takes longer to import than a command that is wrong.
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize
    from scipy.stats import t as student_t

    typical = float(latency_ms.mean())
    target, count = latency_ms / typical - 1.0, len(latency_ms)
    products = [block @ block.T for block in blocks]
    trust, logs = np.ones(count), prior.mean

    def factor(logs: Floats) -> tuple[tuple[Floats, bool], Floats]:
        squares = np.exp(2.0 * logs)
        covariance = CONSTANT**2 + np.diag(squares[-1] / trust)
        for square, product in zip(squares[:-1], products, strict=True):
            covariance = covariance + square * product
        found = cho_factor(covariance, lower=True)
        return found, cho_solve(found, target)

    def loss(logs: Floats) -> float:
        found, pull = factor(logs)
        likelihood = 0.5 * target @ pull + np.log(np.diag(found[0])).sum()
        return float(likelihood + 0.5 * (((logs - prior.mean) / prior.deviation) ** 2).sum())

    for left in range(rounds, -1, -1):
        bounds = [_BOUNDS] * len(logs)
        logs = minimize(loss, logs, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x
        if left:
            found, pull = factor(logs)
            precision = np.diag(cho_solve(found, np.eye(count)))
            # What a latency strays by where it is left out, against what a trusted one would stray by.
            usual = 1.0 / precision - np.exp(2.0 * logs[-1]) * (1.0 / trust - 1.0)
            trust = np.minimum((_DEGREES + 1.0) / (_DEGREES + (pull / precision) ** 2 / usual), 1.0)
    found, pull = factor(logs)
    features = joined(blocks, logs)
    covariance = np.eye(features.shape[1]) - features.T @ cho_solve(found, features)
    scale = _scale(blocks, logs)
    noise = float(np.exp(logs[-1]) * np.sqrt(np.mean(1.0 / trust)))
    precision = np.diag(cho_solve(found, np.eye(count)))
    variance = np.maximum(1.0 / precision - np.exp(2.0 * logs[-1]) / trust, 0.0) + noise**2
    strays = float(np.sqrt(np.sum((pull / precision) ** 2 / variance) / max(count - 1.0 - spent, 1.0)))
    return LinearFit(
        typical_ms=typical,
        weights=scale * (features.T @ pull),
        covariance=scale[:, None] * covariance * scale,
        noise=noise,
        logs=logs,
        factor=max(strays, 1.0) * float(student_t.ppf(0.95, max(count - 2.0 - spent, 2.0))),
    )


def root_of(covariance: Floats) -> Floats:
    """A root (k, r) of a covariance (k, k): the squared length of a row of features times it is a variance."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * max(float(values[-1]), 1e-300)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def with_floor(weights: Floats, root: Floats, rows: Floats, least: Floats) -> Floats:
    """The likeliest weights (k,) for which `rows` (m, k) give `least` (m,) or more, where `weights` is their mean and
    `root` (k, r) that of their covariance: the nearest ones in its metric (least distance programming: Lawson &
    Hanson, Solving Least Squares Problems, 1974, chapter 23). Where no weights do, `weights`."""
    from scipy.optimize import nnls

    short = least - rows @ weights
    if not (short > 0.0).any():
        return weights
    system = np.vstack([(rows @ root).T, short])
    target = np.append(np.zeros(root.shape[1]), 1.0)
    dual, _ = nnls(system, target, maxiter=_DUAL_STEPS * len(rows))
    left = system @ dual - target
    return weights - root @ left[:-1] / left[-1] if left[-1] < -_NONE_ARE else weights


def joined(blocks: Sequence[Floats], logs: Floats) -> Floats:
    """All features and the constant times their prior deviations, shape (n, k + 1)."""
    return np.column_stack([*blocks, np.ones(len(blocks[0]))]) * _scale(blocks, logs)


def _scale(blocks: Sequence[Floats], logs: Floats) -> Floats:
    amplitudes = np.exp(logs[:-1])
    return np.append(np.repeat(amplitudes, [block.shape[1] for block in blocks]), CONSTANT)


def most_telling(features: Floats, noise: float, count: int) -> list[int]:
    """Positions of `count` rows of features (n, k), in prior deviations, that tell most together: each is the one whose
    value the others leave most unsure (greedy D-optimal design: Federov, Theory of Optimal Experiments, 1972)."""
    found: list[int] = []
    unsure, taken = (features**2).sum(axis=1), np.zeros((len(features), 0))
    for _ in range(min(count, len(features))):
        unsure[found] = -1.0
        best = int(unsure.argmax())
        with_best = features @ features[best] - taken @ taken[best]
        column = with_best / np.sqrt(with_best[best] + noise**2)
        taken = np.column_stack([taken, column])
        unsure = (features**2).sum(axis=1) - (taken**2).sum(axis=1)
        found.append(best)
    return found


def most_informing(features: Floats, about: Floats, noise: float, turns: Sequence[NDArray[np.bool_]]) -> list[int]:
    """Positions of rows of features (n, k), in prior deviations, that leave the values at `about` (m, k) least unsure:
    each lowers the sum of their variances most, after those before it (Cohn, Ghahramani and Jordan, Active Learning
    with Statistical Models, 1996).

    The i-th comes from the rows where `turns[i]` (n,) is true, or from any where none of these is left; there are no
    more than n.
    """
    found: list[int] = []
    covariance = np.eye(features.shape[1])
    for allowed in turns[: len(features)]:
        toward = features @ covariance
        variance = (toward * features).sum(axis=1) + noise**2
        gain = ((toward @ about.T) ** 2).sum(axis=1) / variance
        gain[found] = -1.0
        left = allowed & (gain >= 0.0)
        best = int(np.where(left, gain, -1.0).argmax() if left.any() else gain.argmax())
        covariance -= np.outer(toward[best], toward[best]) / variance[best]
        found.append(best)
    return found
