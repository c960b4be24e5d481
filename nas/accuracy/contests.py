"""Searches simulated where the truth is known: a model picks the best of networks that it has not seen.

A fold leaves families of published networks out and fits the prior to the rest (hyper-parameters included). In a
contest some of the left-out networks stand for the candidates of a search, those of the other families for the known
networks. The winner is the candidate that the model sees highest above the frontier of the known ones at its latency;
its rival is the known network with the best mean at or under the winner's latency, the one over which an answer states
its gain. The winner's claim is compared with the published difference, both at the default recipe: published figures
are moved there by the recipe terms of the fold's own model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.frontier import Frontier
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.novelty import Novelty
from nas.accuracy.prior import Prior, to_target
from nas.accuracy.published import PublishedRows, fit_prior

Kind = Literal["family", "families", "networks"]
"""What a fold leaves out: one family, several, or single networks whose families stay."""

WINDOW = 0.05
"""Candidates of a window lie within this part of a latency."""
WINDOWS = 30
NUMBERS = (1, 2, 4, 8, 16, 32, 64, 128)
"""How many candidates are drawn from all left-out networks, each to be judged at its own latency."""
DRAWS = 8
_FIELDS = 100
"""Draws of the model's errors from which the effective number of candidates is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A prior that has not seen the networks `out`, and what it says of all of them: m networks.

    `mean` and `truth` (m,) are targets −log(1 − accuracy) at the default recipe; `covariance` (m, m) is that of the
    model's errors, without effects of family, network and row, whose variances are the last three.
    """

    kind: Kind
    out: NDArray[np.bool_]
    family: NDArray[np.str_]
    mean: Floats
    truth: Floats
    covariance: Floats
    novelty: Floats
    family_variance: float
    network_variance: float
    row_variance: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contests:
    """m contests; all columns have shape (m,), differences are on the scale −log(1 − accuracy).

    `claimed` and `published` are the winner above its rival, `gain` what the model sees it above the frontier, which is
    what a correction takes from; `variance` is the model's of the difference, `known_error` 1 − accuracy of the rival.
    `window` tells contests of one latency from those among networks of all latencies.
    """

    family: NDArray[np.str_]
    kind: NDArray[np.str_]
    device: NDArray[np.str_]
    window: NDArray[np.bool_]
    number: NDArray[np.int64]
    log_candidates: Floats
    novelty: Floats
    gain: Floats
    claimed: Floats
    published: Floats
    variance: Floats
    known_error: Floats

    def __len__(self) -> int:
        return len(self.family)

    def select(self, those: NDArray[np.bool_]) -> Contests:
        """The contests of a mask."""
        return Contests(**{field.name: getattr(self, field.name)[those] for field in fields(self)})

    def points(self, difference: Floats) -> Floats:
        """Differences to the rivals in points of top-1."""
        return np.asarray(100.0 * self.known_error * -np.expm1(-difference))


def leave_out(published: PublishedRows, out: NDArray[np.bool_], kind: Kind) -> Fold:
    """A fold of `published` without the rows `out`; networks are in the order of their sorted names."""
    prior = fit_prior(published.select(~out))
    _, first, owner = np.unique(published.network, return_index=True, return_inverse=True)
    features = prior.standardise(published.features[first])
    posterior = prior.posterior()
    mean = posterior.mean(posterior.basis(features))
    # A published figure, less what the model adds for its recipe.
    moved = to_target(published.top1) - _own_recipe(prior, published) + mean[owner]
    truth = np.bincount(owner, moved) / np.bincount(owner)
    novelty = Novelty(observed=np.unique(published.shapes[~out], axis=0)).distance_of(published.shapes[first])
    percent = np.log(100.0)
    return Fold(
        kind=kind,
        out=out[first],
        family=published.family[first],
        mean=mean + percent,
        truth=truth + percent,
        covariance=posterior.covariance(features),
        novelty=novelty,
        family_variance=prior.hyper.family**2,
        network_variance=prior.hyper.network**2,
        row_variance=prior.hyper.noise**2,
    )


def _own_recipe(prior: Prior, published: PublishedRows) -> Floats:
    """The targets that the prior expects of rows trained by their own recipes, (n,)."""
    found = np.empty(len(published))
    for recipe in dict.fromkeys(published.recipes):
        those = np.array([other == recipe for other in published.recipes])
        posterior = prior.posterior(recipe)
        found[those] = posterior.mean(posterior.basis(prior.standardise(published.features[those])))
    return found


def splits(
    published: PublishedRows, rng: np.random.Generator, *, groups: Sequence[int] = (4, 4, 4, 4, 4, 2, 2, 2)
) -> Iterator[tuple[Kind, NDArray[np.bool_]]]:
    """What to leave out: each family; the families at random in so many groups, one group after another; and the
    networks at random in four groups, twice."""
    families, networks = np.unique(published.family), np.unique(published.network)
    for family in families:
        yield "family", published.family == family
    for number in groups:
        for part in np.array_split(rng.permutation(families), number):
            yield "families", np.isin(published.family, part)
    for _ in range(2):
        for part in np.array_split(rng.permutation(networks), 4):
            yield "networks", np.isin(published.network, part)


def hold_contests(fold: Fold, latency_ms: Floats, device: str, rng: np.random.Generator) -> Contests:
    """The contests of a fold by the latencies of its networks (m,): at `WINDOWS` latencies among the left-out networks
    within `WINDOW` of it, and `DRAWS` times among each of `NUMBERS` of all the left-out ones.

    Candidates faster than all known networks have no rival, and are left out.
    """
    known = np.flatnonzero(~fold.out)
    frontier = Frontier.of(latency_ms[known], -np.expm1(-fold.mean[known]))
    gain = fold.mean - frontier.at(latency_ms)
    by_latency = known[np.argsort(latency_ms[known], kind="stable")]
    best = np.maximum.accumulate(fold.mean[by_latency])
    corner = by_latency[np.concatenate(([True], best[1:] > best[:-1]))]
    rival = corner[np.maximum(np.searchsorted(latency_ms[corner], latency_ms, side="right") - 1, 0)]
    able = np.flatnonzero(fold.out & (latency_ms >= latency_ms[corner[0]]))
    errors = fold.covariance + fold.family_variance * (fold.family[:, None] == fold.family)
    errors[np.diag_indices(len(errors))] += fold.network_variance
    rows = []
    for window, candidates in _candidates(able, latency_ms, rng):
        w = candidates[np.argmax(gain[candidates])]
        o = rival[w]
        between = fold.covariance[w, w] + fold.covariance[o, o] - 2 * fold.covariance[w, o]
        own = fold.family_variance + fold.network_variance + fold.row_variance
        rows.append(
            (
                fold.family[w], fold.kind, device, window, len(candidates),
                log_effective_number(errors[np.ix_(candidates, candidates)], rng),
                fold.novelty[w], gain[w], fold.mean[w] - fold.mean[o], fold.truth[w] - fold.truth[o],
                max(between, 0.0) + 2 * own, np.exp(-fold.mean[o]),
            )
        )  # fmt: skip
    types = (str, str, str, bool, np.int64, *(np.float64,) * 7)
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    return Contests(
        **{
            field.name: np.array(column, dtype=kind)
            for field, column, kind in zip(fields(Contests), columns, types, strict=True)
        }
    )


def _candidates(
    able: NDArray[np.int64], latency_ms: Floats, rng: np.random.Generator
) -> Iterator[tuple[bool, NDArray[np.int64]]]:
    first, last = np.log(np.quantile(latency_ms, (0.03, 0.97)))
    for middle in np.linspace(first, last, WINDOWS):
        near = able[np.abs(np.log(latency_ms[able]) - middle) <= np.log1p(WINDOW)]
        if len(near):
            yield True, near
    for number in NUMBERS:
        for _ in range(DRAWS if number <= len(able) else 0):
            yield False, rng.choice(able, number, replace=False)


def joined(parts: Sequence[Contests]) -> Contests:
    """All the contests of `parts`."""
    return Contests(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Contests)})


def log_effective_number(covariance: Floats, rng: np.random.Generator) -> float:
    """The logarithm of how many independent candidates have, in expectation, a largest error as large as those with
    this covariance (n, n), relative to the errors' deviation; by Monte Carlo.

    Candidates that resemble each other err together: a million of them may offer no more luck than ten.
    """
    count = len(covariance)
    if count == 1:
        return 0.0
    deviation = float(np.sqrt(np.trace(covariance) / count))
    root = np.linalg.cholesky(covariance + 1e-6 * deviation**2 * np.eye(count))
    largest = (root @ rng.standard_normal((count, _FIELDS))).max(axis=0).mean() / deviation
    numbers, expected = _largest_of_normals()
    return float(np.interp(largest, expected, numbers))


@lru_cache(maxsize=1)
def _largest_of_normals() -> tuple[Floats, Floats]:
    """Logarithms of numbers from 1 to e¹⁵, and the expected largest of so many independent standard normals."""
    from scipy.stats import norm

    numbers = np.linspace(0.0, 15.0, 301)
    grid = np.linspace(-9.0, 9.0, 6001)
    log_cdf = norm.logcdf(grid)
    below = np.exp(np.exp(numbers)[:, None] * log_cdf)
    # E[max] = ∫ ([x > 0] − F(x)ⁿ) dx
    return numbers, np.trapezoid((grid > 0) - below, grid, axis=1)
