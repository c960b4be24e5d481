"""One procedure from rows to a predictor: the model, the coefficients and the interval, all chosen on these rows.

Within the given rows, networks are left out in groups; every candidate is fitted without each group and judged by the
Student-t loss of the errors on it. A candidate is a roofline: of a form, and with priors (a device's own, or those of a
kind of hardware, brought to the scale of the rows). Beside the best of them stand the model of MACs and parameters
alone (`nas.latency.published.simple`) and models of a few counts (`nas.latency.published.counts`). Where kinds of
hardware are tried, all of them share the latency as their left-out errors say: which is right, a dozen rows do not
tell, and their average errs less than the one that looks best. A device with priors of its own has its roofline, or,
where that loses, MACs and parameters alone. What was chosen is fitted to all the rows; the errors of its left-out
networks set the interval. A score that leaves rows out runs the whole procedure on the rest (nested validation), so
nothing is chosen on the rows that it is judged by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.blend import Blend, Costs
from nas.latency.published.cost_model import REFINEMENTS, CostModel, Floats
from nas.latency.published.counts import SETS, CountsModel, averaged, fit_counts
from nas.latency.published.fit import DEGREES_OF_FREEDOM, ENOUGH, ERROR_SD, Fit, Form, fit
from nas.latency.published.priors import PACE_SD, PRIOR_SETS, scaled
from nas.latency.published.rows import Calibration
from nas.latency.published.simple import SimpleModel, fit_simple

FORMS: tuple[Form, ...] = ((), REFINEMENTS)
"""The plain roofline, and the one with all refinements. Rungs between them score alike: choosing among those would be
a matter of rounding."""
FOLDS = 8
FEW = 24
"""Up to so many networks of which nobody wrote priors, each is left out by itself, and the roofline stays plain."""
SIMPLE = "MACs and parameters"
COVERAGE = 0.9
MISS_PENALTY = 2.0 / (1.0 - COVERAGE)
"""The interval score: width plus this many times the distance of a miss (Winkler; Gneiting & Raftery 2007, eq. 43)."""
CONFLICTING = ("silu", "silu_passes")
_CLEAR = 2.0
"""Nats over all judged rows that another kind of hardware must win over the first of `PRIOR_SETS`."""
_PLAINNESS = 5.0
"""Nats by which MACs and parameters alone are likelier than any other model before a row is seen: half a logarithm of a
dozen rows for each of four coefficients that the others have more (Schwarz, 1978)."""
_LEAST_SHARE = 0.02
"""A model with less of the latency has none."""
_ENOUGH_OF_MANY = 1e-3
"""Kinds of hardware mean many fits of few rows: a thousandth of a nat is no difference."""
_BEYOND_UNSEEN = 0.5
ONE_FAMILY = 0.35
"""Half the width, of log latency, for what other families stray by where all rows are of one, which networks left out
of it do not tell. Fitted to one family, most of the others lay within."""
_FLOORS = np.arange(0.03, 0.2001, 0.005)
_FACTORS = (1.645, 2.5, 4.0)
_SPREADS = np.arange(0.0, 1.2001, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Half the width of the 90 % interval of log latency: sqrt(floor² + (factor · deviation)² + (conflict · share)²).

    `deviation` comes from the coefficients' covariance; `share` is the derivative of log latency by the cost of SiLU,
    on which the published figures contradict each other; above 300 px half the width is at least `beyond`.
    """

    floor: float
    factor: float
    conflict: float
    beyond: float

    def half_width(self, deviation: Floats, share: Floats) -> Floats:
        """Half the width, shape as the arguments."""
        return np.sqrt(self.floor**2 + (self.factor * deviation) ** 2 + (self.conflict * share) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of rows left out of a fit: log(predicted / printed), that plus the source's offset, deviation, share; (n,)."""

    error: Floats
    with_offset: Floats
    deviation: Floats
    share: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A roofline to try: the kind of hardware whose priors it has ("": the device's own), and its form."""

    kind: str
    form: Form

    @property
    def name(self) -> str:
        """As manifests and reports call it."""
        form = " + ".join(self.form)
        return (f"{self.kind}, {form}" if form else self.kind) if self.kind else form or "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What the procedure chose on some rows: `shares` of the latency by model (the roofline, `SIMPLE`, sets of counts),
    which sum to 1, the largest first; their fit as one, the spread. `losses` (left out) are of all models, by name."""

    candidate: Candidate
    shares: Mapping[str, float]
    fit: Fit[Costs]
    spread: Spread
    losses: Mapping[str, float]

    @property
    def form(self) -> Form:
        """The refinements of the roofline."""
        return self.candidate.form

    @property
    def share(self) -> float:
        """What the roofline has of the latency."""
        return self.shares.get(self.candidate.name, 0.0)

    @property
    def name(self) -> str:
        """What was chosen, for people: the candidate, `SIMPLE`, or all that have a share."""
        roofline = self.candidate.name
        texts = {roofline: f"operator costs ({roofline})" if self.candidate.kind else roofline}
        if len(self.shares) == 1:
            return "".join(texts.get(name, name) for name in self.shares)
        return "; ".join(f"{share:.0%} {texts.get(name, name)}" for name, share in self.shares.items())


Memo = dict[tuple[Candidate, bytes], Fit[CostModel]]
"""Fits by candidate and mask of rows: of two networks left out, it is all one which was left out first."""


def calibrate(
    data: Calibration, rows: NDArray[np.bool_], *, sizes_alone: bool = False, memo: Memo | None = None
) -> Calibrated:
    """Run the procedure on the rows where the mask is true; nothing is read of the others.

    With `sizes_alone` MACs and parameters have all of the latency. Calls on the same data may share a `memo`.
    """
    memo = {} if memo is None else memo
    groups = _groups(data, rows)
    judged = rows & data.scored
    clear = _CLEAR / max(int(judged.sum()), 1)
    first = ("", next(iter(PRIOR_SETS)))
    fits: dict[Candidate, Fit[CostModel]] = {}
    left: dict[Candidate, Sequence[Fit[CostModel]]] = {}
    losses: dict[Candidate, float] = {}

    def loss(found: Sequence[Fit[Costs]]) -> float:
        return student_loss(left_out(data, rows, groups, found).error[judged])

    def tried(candidates: Sequence[Candidate]) -> Candidate:
        for one in candidates:
            fits[one] = _fit(data, rows, one, None, memo)
            left[one] = [_fit(data, rows & ~out, one, fits[one], memo) for out in _each(groups, rows)]
            losses[one] = loss(left[one])
        return min(losses, key=lambda one: losses[one] + (0.0 if one.kind in first else clear))

    if data.by_kind:
        best = tried([Candidate(kind=kind, form=()) for kind in PRIOR_SETS])
        if len(set(data.identity[rows].tolist())) > FEW:
            best = tried([Candidate(kind=best.kind, form=REFINEMENTS)])
    else:
        best = tried([Candidate(kind="", form=form) for form in FORMS])
    linear = {name: _linear(data, rows, name) for name in ((SIMPLE, *SETS) if data.by_kind else (SIMPLE,))}
    linear_left = {name: [_linear(data, rows & ~out, name) for out in _each(groups, rows)] for name in linear}
    by_name = {one.name: value for one, value in losses.items()} | {name: loss(f) for name, f in linear_left.items()}
    if sizes_alone:
        shares = {SIMPLE: 1.0}
    elif data.by_kind:
        shares = _shares({name: by_name[name] for name in (best.name, *linear)}, int(judged.sum()))
    else:
        shares = {best.name if by_name[best.name] <= by_name[SIMPLE] else SIMPLE: 1.0}

    def joined(roofline: Fit[CostModel], others: Mapping[str, Fit[Any]]) -> Fit[Costs]:
        share = shares.get(best.name, 0.0)
        return blend(roofline, _average(others, shares), share) if share < 1.0 else roofline

    parts = [
        joined(found, {name: fits_left[i] for name, fits_left in linear_left.items()})
        for i, found in enumerate(left[best])
    ]
    return Calibrated(
        candidate=best,
        shares=shares,
        fit=joined(fits[best], linear),
        spread=_spread(data, rows, left_out(data, rows, groups, parts)),
        losses=by_name,
    )


def _shares(losses: Mapping[str, float], count: int) -> dict[str, float]:
    """What each model has of the latency, by its mean loss on `count` rows left out: its likelihood, a plain model the
    likelier before (Bayesian model averaging by left-out likelihoods: Geisser & Eddy, 1979), the largest first."""
    nats = {name: count * loss - (_PLAINNESS if name == SIMPLE else 0.0) for name, loss in losses.items()}
    least = min(nats.values())
    weights = {name: float(np.exp(least - value)) for name, value in nats.items()}
    kept = {name: weight for name, weight in weights.items() if weight >= _LEAST_SHARE * sum(weights.values())}
    found = {name: weight / sum(kept.values()) for name, weight in kept.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _average(fits: Mapping[str, Fit[Any]], shares: Mapping[str, float]) -> Fit[Any]:
    """The models of `fits` that have a share, as one; where one has all, as it is."""
    kept = [name for name in fits if name in shares]
    if len(kept) == 1:
        return fits[kept[0]]
    total = sum(shares[name] for name in kept)
    return averaged([fits[name] for name in kept], [shares[name] / total for name in kept])


def blend(first: Fit[Costs], second: Fit[Costs], share: float) -> Fit[Costs]:
    """`share` of the first fit's latency and the rest of the second's; one of them alone where that is all."""
    if share in (0.0, 1.0):
        return first if share else second
    at = len(first.covariance)
    covariance = np.zeros((at + len(second.covariance),) * 2)
    covariance[:at, :at], covariance[at:, at:] = first.covariance, second.covariance
    return Fit(
        model=Blend(first=first.model, second=second.model, share=share),
        offsets=share * first.offsets + (1.0 - share) * second.offsets,
        covariance=covariance,
    )


def student_loss(error: Floats) -> float:
    """Mean negative log likelihood (without constants) of log errors under the fit's Student-t."""
    scaled_error = np.log1p((error / ERROR_SD) ** 2 / DEGREES_OF_FREEDOM)
    return float((DEGREES_OF_FREEDOM + 1.0) / 2.0 * scaled_error.mean())


def errors_of(data: Calibration, found: Fit[Costs], rows: NDArray[np.bool_]) -> Errors:
    """Errors of a fit on the rows of the mask; elsewhere nan."""
    mean, gradient = data.workload.log_gradient(found.model)
    network, source = data.observations.network, data.observations.source
    deviation = np.sqrt(np.einsum("ij,jk,ik->i", gradient, found.covariance, gradient))
    share = gradient[:, [i for i, name in enumerate(found.model.names) if name in CONFLICTING]].sum(axis=1)
    error = np.where(rows, np.log(mean)[network] - data.log_latency, np.nan)
    return Errors(
        error=error,
        with_offset=error + found.offsets[source],
        deviation=np.where(rows, deviation[network], np.nan),
        share=np.where(rows, share[network], np.nan),
    )


def left_out(
    data: Calibration, rows: NDArray[np.bool_], groups: NDArray[np.int64], fits: Sequence[Fit[Costs]]
) -> Errors:
    """Errors on each group of `rows` of the fit that did not see it: `fits` are in the groups' order."""
    columns = np.full((4, len(data.rows)), np.nan)
    for out, found in zip(_each(groups, rows), fits, strict=True):
        part = errors_of(data, found, out)
        columns[:, out] = np.stack((part.error, part.with_offset, part.deviation, part.share))[:, out]
    return Errors(error=columns[0], with_offset=columns[1], deviation=columns[2], share=columns[3])


def _fit(
    data: Calibration, rows: NDArray[np.bool_], candidate: Candidate, start: Fit[CostModel] | None, memo: Memo
) -> Fit[CostModel]:
    key = (candidate, rows.tobytes())
    if key not in memo:
        chosen, priors = data.observations.select(rows), data.priors
        pace_sd, enough = 0.0, ENOUGH
        if candidate.kind:
            priors, pace_sd = scaled(PRIOR_SETS[candidate.kind], data.workload, chosen), PACE_SD
            enough = _ENOUGH_OF_MANY
        sources, form = len(data.sources), candidate.form
        memo[key] = fit(
            data.workload, chosen, sources, form, priors=priors, pace_sd=pace_sd, start=start, enough=enough
        )
    return memo[key]


def _linear(data: Calibration, rows: NDArray[np.bool_], name: str) -> Fit[SimpleModel] | Fit[CountsModel]:
    """MACs and parameters alone, or with the counts of the set `name`."""
    chosen, sources = data.observations.select(rows), len(data.sources)
    if name == SIMPLE:
        return fit_simple(data.workload, chosen, sources)
    return fit_counts(data.workload, chosen, sources, SETS[name])


def _groups(data: Calibration, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Groups of whole networks, dealt out in the order of the rows so that families are spread: `FOLDS`, or one for
    each of few networks whose rows choose the priors."""
    order = {number: i for i, number in enumerate(dict.fromkeys(data.identity[rows].tolist()))}
    folds = len(order) if data.by_kind and len(order) <= FEW else FOLDS
    return np.array([order.get(number, -1) % folds for number in data.identity.tolist()])


def _each(groups: NDArray[np.int64], rows: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    return [rows & (groups == group) for group in np.unique(groups[rows])]


def interval_score(error: Floats, half_width: Floats) -> float:
    """Mean interval score of log intervals ±half_width around predictions that are off by `error`."""
    return float((2.0 * half_width + MISS_PENALTY * np.maximum(np.abs(error) - half_width, 0.0)).mean())


def _spread(data: Calibration, rows: NDArray[np.bool_], found: Errors) -> Spread:
    """The narrowest spread by interval score that covers `COVERAGE` of the left-out rows in scope; of those of a device
    whose rows choose the priors, so many that a further row is covered with that probability, as far as they go
    (Vovk, Gammerman & Shafer, 2005: the (n + 1) · 0.9-th of n errors)."""
    kept = rows & data.in_scope
    error, deviation, share = found.error[kept], found.deviation[kept], found.share[kept]
    covered = min(COVERAGE * (1.0 + 1.0 / len(error)), 1.0) if data.by_kind else COVERAGE
    widest = float(np.quantile(np.abs(error), covered, method="higher"))
    best = Spread(floor=max(widest, 1e-6), factor=0.0, conflict=0.0, beyond=0.0)
    least = np.inf
    for floor, factor, conflict in itertools.product(_FLOORS.tolist(), _FACTORS, _SPREADS.tolist()):
        tried = Spread(floor=floor, factor=factor, conflict=conflict, beyond=0.0)
        width = tried.half_width(deviation, share)
        if (np.abs(error) <= width).mean() >= covered:
            score = interval_score(error, width)
            if score < least:
                least, best = score, tried
    if data.by_kind and len(set(data.family[rows].tolist())) == 1:
        best = replace(best, floor=float(np.hypot(best.floor, ONE_FAMILY)))
    large = np.abs(found.error[rows & ~data.in_scope])
    return replace(best, beyond=float(np.quantile(large, COVERAGE)) if len(large) else _BEYOND_UNSEEN)
