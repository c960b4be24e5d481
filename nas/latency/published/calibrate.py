"""One procedure from rows to a predictor: the model, the coefficients and the interval, all chosen on these rows.

Within the given rows, networks are left out in groups; every candidate is fitted without each group and judged by the
Student-t loss of the errors on it. A candidate is a roofline: of a form, and with priors (a device's own, or those of a
kind of hardware, brought to the scale of the rows). Beside the best of them stands the model of MACs and parameters
alone (`nas.latency.published.simple`). Where kinds of hardware are tried, the two share the latency as their left-out
errors say; a device with priors of its own has its roofline, or, where that loses, MACs and parameters alone. What was
chosen is fitted to all the rows; the errors of its left-out networks set the interval. A score that leaves rows out
runs the whole procedure on the rest (nested validation), so nothing is chosen on the rows that it is judged by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.blend import Blend, Costs
from nas.latency.published.cost_model import REFINEMENTS, CostModel, Floats
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
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What a roofline of a kind of hardware may have of the latency."""
_ALL_OR_NOTHING = (1.0, 0.0)
_CLEAR = 2.0
"""Nats over all judged rows: less is no difference. What another kind of hardware must win over the first of
`PRIOR_SETS`; what a blend must win over MACs and parameters alone; by how much the roofline by itself may lose to them
and still be in a blend, whose shares find something in a few rows by chance."""
_ENOUGH_OF_MANY = 1e-3
"""Kinds of hardware mean many fits of few rows: a thousandth of a nat is no difference."""
_BEYOND_UNSEEN = 0.5
_ONE_FAMILY = 0.35
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
    """What the procedure chose on some rows: `share` of a roofline, the rest of MACs and parameters alone; its fit, the
    spread. `losses` (left out) are of all candidates and of `SIMPLE`, by name."""

    candidate: Candidate
    share: float
    fit: Fit[Costs]
    spread: Spread
    losses: Mapping[str, float]

    @property
    def form(self) -> Form:
        """The refinements of the roofline."""
        return self.candidate.form

    @property
    def name(self) -> str:
        """What was chosen, for people: the candidate, `SIMPLE`, or both with their shares."""
        costs = f"operator costs ({self.candidate.name})" if self.candidate.kind else self.candidate.name
        if self.share in (0.0, 1.0):
            return costs if self.share else SIMPLE
        return f"{self.share:.0%} {costs}, {1.0 - self.share:.0%} {SIMPLE}"


Memo = dict[tuple[Candidate, bytes], Fit[CostModel]]
"""Fits by candidate and mask of rows: of two networks left out, it is all one which was left out first."""


def calibrate(
    data: Calibration, rows: NDArray[np.bool_], *, shares: Sequence[float] | None = None, memo: Memo | None = None
) -> Calibrated:
    """Run the procedure on the rows where the mask is true; nothing is read of the others.

    `shares` are what the roofline may have of the latency: by default `SHARES` where the rows choose the priors, else
    all or nothing. Calls on the same data may share a `memo`.
    """
    memo = {} if memo is None else memo
    groups = _groups(data, rows)
    judged = rows & data.scored
    clear = _CLEAR / max(int(judged.sum()), 1)
    first = ("", next(iter(PRIOR_SETS)))
    fits: dict[Candidate, Fit[CostModel]] = {}
    left: dict[Candidate, Sequence[Fit[CostModel]]] = {}
    losses: dict[Candidate, float] = {}

    def tried(candidates: Sequence[Candidate]) -> Candidate:
        for one in candidates:
            fits[one] = _fit(data, rows, one, None, memo)
            left[one] = [_fit(data, rows & ~out, one, fits[one], memo) for out in _each(groups, rows)]
            losses[one] = student_loss(left_out(data, rows, groups, left[one]).error[judged])
        return min(losses, key=lambda one: losses[one] + (0.0 if one.kind in first else clear))

    if data.by_kind:
        best = tried([Candidate(kind=kind, form=()) for kind in PRIOR_SETS])
        if len(set(data.identity[rows].tolist())) > FEW:
            best = tried([Candidate(kind=best.kind, form=REFINEMENTS)])
    else:
        best = tried([Candidate(kind="", form=form) for form in FORMS])
    simple, simple_left = _simple(data, rows), [_simple(data, rows & ~out) for out in _each(groups, rows)]

    def shared(share: float) -> Errors:
        return left_out(data, rows, groups, [blend(a, b, share) for a, b in zip(left[best], simple_left, strict=True)])

    alone = student_loss(shared(0.0).error[judged])
    if data.by_kind and losses[best] > alone + clear:
        shares = (0.0,)
    errors = {share: shared(share) for share in shares or (SHARES if data.by_kind else _ALL_OR_NOTHING)}
    price = clear if data.by_kind else 0.0
    share = min(errors, key=lambda s: student_loss(errors[s].error[judged]) + (price if s else 0.0))
    return Calibrated(
        candidate=best,
        share=share,
        fit=blend(fits[best], simple, share),
        spread=_spread(data, rows, errors[share]),
        losses={one.name: loss for one, loss in losses.items()} | {SIMPLE: alone},
    )


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


def _simple(data: Calibration, rows: NDArray[np.bool_]) -> Fit[SimpleModel]:
    return fit_simple(data.workload, data.observations.select(rows), len(data.sources))


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
        best = replace(best, floor=float(np.hypot(best.floor, _ONE_FAMILY)))
    large = np.abs(found.error[rows & ~data.in_scope])
    return replace(best, beyond=float(np.quantile(large, COVERAGE)) if len(large) else _BEYOND_UNSEEN)
