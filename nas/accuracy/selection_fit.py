"""Fitting the correction for having been selected to simulated searches, and scoring it on families it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.contests import Contests
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.prior import QUANTILE_95
from nas.accuracy.selection import Selection

OVERCLAIM = 3.0
"""What a claim that stays too high costs in the fit, for each that one too low costs: who promises errs low."""

_BOOTSTRAPS = 1000


def fit_selection(contests: Contests, *, growth: float, candidates: float) -> Selection:
    """The correction that fits `contests` of at least one device best; `growth` and `candidates` are given.

    The level by asymmetric least squares (Newey and Powell 1987) over the claims above the frontier, where a claim too
    high counts `OVERCLAIM` times. The spread is the doubt that is left about it: by how much the devices' contests
    disagree on the mean of what is believed. The width by the likelihood of the published differences over all
    contests, where claims above the frontier, which is what an answer makes, weigh twice those below. A family weighs
    as the square root of the number of its contests on a device.
    """
    from scipy.optimize import minimize_scalar

    weights = _weights(contests)
    high = contests.gain > 0

    def leveled(level: float) -> Selection:
        return Selection(level=float(level), growth=growth, spread=0.0, width=1.0, candidates=candidates)

    def loss(level: float) -> float:
        off = (corrected(leveled(level), contests) - contests.published)[high]
        return float(np.sum(weights[high] * np.where(off > 0, OVERCLAIM, 1.0) * off**2))

    chosen = leveled(minimize_scalar(loss, bounds=(0.0, 5.0), method="bounded").x)
    off = corrected(chosen, contests) - contests.published
    kept = chosen.kept(contests.novelty, contests.log_candidates)
    excess = [off[high & (contests.device == device)].mean() for device in np.unique(contests.device[high])]
    spread = float(np.ptp(excess) / 2 / np.sqrt(np.mean(1.0 - kept[high])))
    chosen = replace(chosen, spread=spread)
    share = np.where(high, 2.0 / weights[high].sum(), 1.0 / weights[~high].sum()) * weights

    def surprise(width: float) -> float:
        variance = replace(chosen, width=float(width)).variance(kept, contests.variance)
        return float(np.sum(share * (off**2 / variance + np.log(variance))))

    return replace(chosen, width=float(minimize_scalar(surprise, bounds=(0.1, 2.0), method="bounded").x))


def _weights(contests: Contests) -> Floats:
    pairs = np.char.add(np.char.add(contests.device, " "), contests.family)
    _, place, count = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / np.sqrt(count[place.reshape(-1)]))


def corrected(selection: Selection, contests: Contests) -> Floats:
    """The claims over the rivals after the correction, (m,)."""
    kept = selection.kept(contests.novelty, contests.log_candidates)
    return contests.claimed - selection.taken(kept, contests.gain)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What a correction says of contests: claims in points before and after it, the published differences in points,
    and whether the central 90 % interval holds those; (m,)."""

    claimed: Floats
    believed: Floats
    published: Floats
    inside: NDArray[np.bool_]


def judge(selection: Selection, contests: Contests) -> Judged:
    """`contests` by `selection`."""
    mean = corrected(selection, contests)
    kept = selection.kept(contests.novelty, contests.log_candidates)
    half = QUANTILE_95 * np.sqrt(selection.variance(kept, contests.variance))
    return Judged(
        claimed=contests.points(contests.claimed),
        believed=contests.points(mean),
        published=contests.points(contests.published),
        inside=np.abs(contests.published - mean) <= half,
    )


def judge_nested(contests: Contests, trained_on: NDArray[np.bool_], *, growth: float) -> Judged:
    """Each family's contests by the correction that is fitted to those of `trained_on` (m,) whose winners are of other
    families."""
    columns = {name: np.empty(len(contests)) for name in ("claimed", "believed", "published", "inside")}
    for family in np.unique(contests.family):
        own = contests.family == family
        part = judge(
            fit_selection(contests.select(trained_on & ~own), growth=growth, candidates=0.0), contests.select(own)
        )
        for name, column in columns.items():
            column[own] = getattr(part, name)
    inside = columns.pop("inside").astype(bool)
    return Judged(**columns, inside=inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Contests in numbers: mean claims in points before and after the correction, mean published differences;
    `excess` (believed − published) and `coverage` (how many the interval holds), with the central 90 % of a bootstrap
    by family."""

    contests: int
    families: int
    claimed: float
    believed: float
    published: float
    excess: tuple[float, float, float]
    coverage: tuple[float, float, float]


def score(judged: Judged, contests: Contests, those: NDArray[np.bool_], rng: np.random.Generator) -> Score:
    """The contests of a mask; at least one."""
    families, place = np.unique(contests.family[those], return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    excess = np.bincount(place, (judged.believed - judged.published)[those])
    inside = np.bincount(place, judged.inside[those].astype(float))
    drawn = rng.integers(0, len(families), (_BOOTSTRAPS, len(families)))
    total = counts[drawn].sum(axis=1)

    def mean_and_ends(sums: NDArray[Any]) -> tuple[float, float, float]:
        low, high = np.quantile(sums[drawn].sum(axis=1) / total, (0.05, 0.95))
        return float(sums.sum() / counts.sum()), float(low), float(high)

    return Score(
        contests=int(counts.sum()),
        families=len(families),
        claimed=float(judged.claimed[those].mean()),
        believed=float(judged.believed[those].mean()),
        published=float(judged.published[those].mean()),
        excess=mean_and_ends(excess),
        coverage=mean_and_ends(inside),
    )
