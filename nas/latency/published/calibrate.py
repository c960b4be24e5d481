"""One procedure from rows to a predictor: the form, the coefficients and the interval, all chosen on these rows.

Within the given rows, networks are left out in groups; every form is fitted without each group and judged by the
Student-t loss of the errors on it. The best form is fitted to all the rows; the errors of its left-out networks set
the interval. A score that leaves rows out runs the whole procedure on the rest (nested validation), so nothing is
chosen on the rows that it is judged by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.latency.published.cost_model import NAMES, REFINEMENTS, Floats
from nas.latency.published.fit import DEGREES_OF_FREEDOM, ERROR_SD, Fit, Form, fit
from nas.latency.published.rows import Calibration

FORMS: tuple[Form, ...] = ((), REFINEMENTS)
"""The plain roofline, and the one with all refinements. Rungs between them score alike: choosing among those would be
a matter of rounding."""
FOLDS = 8
COVERAGE = 0.9
MISS_PENALTY = 2.0 / (1.0 - COVERAGE)
"""The interval score: width plus this many times the distance of a miss (Winkler; Gneiting & Raftery 2007, eq. 43)."""
CONFLICTING = ("silu", "silu_passes")
_BEYOND_UNSEEN = 0.5
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
class Calibrated:
    """What the procedure chose on some rows: a form and a spread. `fits` and `losses` (inner) are of all forms."""

    form: Form
    spread: Spread
    fits: Mapping[Form, Fit]
    losses: Mapping[Form, float]

    @property
    def fit(self) -> Fit:
        """The fit of the chosen form."""
        return self.fits[self.form]


def calibrate(data: Calibration, rows: NDArray[np.bool_]) -> Calibrated:
    """Run the procedure on the rows where the mask is true; nothing is read of the others."""
    groups = _groups(data, rows)
    fits: dict[Form, Fit] = {}
    losses: dict[Form, float] = {}
    errors: dict[Form, Errors] = {}
    for form in FORMS:
        fits[form] = _fit(data, rows, form, None)
        errors[form] = left_out(data, rows, groups, form, fits[form])
        losses[form] = student_loss(errors[form].error[rows & data.scored])
    best = min(FORMS, key=losses.__getitem__)
    return Calibrated(form=best, spread=_spread(data, rows, errors[best]), fits=fits, losses=losses)


def student_loss(error: Floats) -> float:
    """Mean negative log likelihood (without constants) of log errors under the fit's Student-t."""
    scaled = np.log1p((error / ERROR_SD) ** 2 / DEGREES_OF_FREEDOM)
    return float((DEGREES_OF_FREEDOM + 1.0) / 2.0 * scaled.mean())


def errors_of(data: Calibration, found: Fit, rows: NDArray[np.bool_]) -> Errors:
    """Errors of a fit on the rows of the mask; elsewhere nan."""
    mean, gradient = data.workload.log_gradient(found.model)
    network, source = data.observations.network, data.observations.source
    deviation = np.sqrt(np.einsum("ij,jk,ik->i", gradient, found.covariance, gradient))
    share = gradient[:, [NAMES.index(name) for name in CONFLICTING]].sum(axis=1)
    error = np.where(rows, np.log(mean)[network] - data.log_latency, np.nan)
    return Errors(
        error=error,
        with_offset=error + found.offsets[source],
        deviation=np.where(rows, deviation[network], np.nan),
        share=np.where(rows, share[network], np.nan),
    )


def left_out(data: Calibration, rows: NDArray[np.bool_], groups: NDArray[np.int64], form: Form, start: Fit) -> Errors:
    """Errors on each group of `rows` of fits of `form` to the other groups."""
    columns = np.full((4, len(data.rows)), np.nan)
    for group in np.unique(groups[rows]):
        out = rows & (groups == group)
        found = _fit(data, rows & ~out, form, start)
        part = errors_of(data, found, out)
        columns[:, out] = np.stack((part.error, part.with_offset, part.deviation, part.share))[:, out]
    return Errors(error=columns[0], with_offset=columns[1], deviation=columns[2], share=columns[3])


def _fit(data: Calibration, rows: NDArray[np.bool_], form: Form, start: Fit | None) -> Fit:
    chosen = data.observations.select(rows)
    return fit(data.workload, chosen, len(data.sources), form, priors=data.priors, start=start)


def _groups(data: Calibration, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`FOLDS` groups of whole networks: networks dealt out in the order of the rows, so that families are spread."""
    order = {number: i for i, number in enumerate(dict.fromkeys(data.identity[rows].tolist()))}
    return np.array([order.get(number, -1) % FOLDS for number in data.identity.tolist()])


def interval_score(error: Floats, half_width: Floats) -> float:
    """Mean interval score of log intervals ±half_width around predictions that are off by `error`."""
    return float((2.0 * half_width + MISS_PENALTY * np.maximum(np.abs(error) - half_width, 0.0)).mean())


def _spread(data: Calibration, rows: NDArray[np.bool_], found: Errors) -> Spread:
    """The narrowest spread by interval score that covers `COVERAGE` of the left-out rows in scope."""
    kept = rows & data.in_scope
    error, deviation, share = found.error[kept], found.deviation[kept], found.share[kept]
    widest = float(np.quantile(np.abs(error), COVERAGE, method="higher"))
    best = Spread(floor=widest, factor=0.0, conflict=0.0, beyond=0.0)
    least = np.inf
    for floor, factor, conflict in itertools.product(_FLOORS.tolist(), _FACTORS, _SPREADS.tolist()):
        tried = Spread(floor=floor, factor=factor, conflict=conflict, beyond=0.0)
        width = tried.half_width(deviation, share)
        if (np.abs(error) <= width).mean() >= COVERAGE:
            score = interval_score(error, width)
            if score < least:
                least, best = score, tried
    large = np.abs(found.error[rows & ~data.in_scope])
    return replace(best, beyond=float(np.quantile(large, COVERAGE)) if len(large) else _BEYOND_UNSEEN)
