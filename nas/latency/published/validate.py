"""How well the whole calibration predicts networks it has not seen: nested scores, beside plain baselines; and what a
fit makes of them: where the operator costs lose, MACs and parameters alone serve, and where nothing wins, it says no.

Each score leaves rows out, runs `nas.latency.published.calibrate.calibrate` on the rest (form, coefficients and
interval are chosen there), and predicts the rows left out. Predictions are those a user gets: of the average source,
without the offset of the source that printed the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.latency.published.calibrate import (
    COVERAGE,
    FEW,
    MISS_PENALTY,
    Calibrated,
    Memo,
    calibrate,
    errors_of,
    student_loss,
)
from nas.latency.published.cost_model import Floats
from nas.latency.published.rows import Calibration

Progress = Callable[[int, int], None]
"""Called with (done, all) after each calibration."""
_OUTER = 4
"""Groups that many networks are left out in; `nas lut verify` leaves out one by one."""
_CLEARLY = 5.0
"""Nats over all scored rows by which the procedure must lose to MACs and parameters alone for these to serve: less is
what the nested score of a dozen rows strays by."""
_LUCK = 0.9
"""A model predicts where its mean left-out error is below 1 - _LUCK / sqrt(rows) of a constant's: on devices that take
30 ms for anything, within 4 %, chance alone wins up to a fifth in eight rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Rows predicted by calibrations that had not seen them; arrays of one element a row, nan where not predicted.

    `error` is log(predicted / printed), `half_width` that of the log interval; `forms` counts the chosen forms.
    """

    error: Floats
    with_offset: Floats
    half_width: Floats
    forms: dict[str, int]


def hold_out(data: Calibration, groups: NDArray[np.int64], progress: Progress, *, only: NDArray[np.bool_]) -> HeldOut:
    """Leave out each group of rows that holds a row of `only`, calibrate on the rest, predict the group."""
    count = len(data.rows)
    error, offset, half = (np.full(count, np.nan) for _ in range(3))
    forms: dict[str, int] = {}
    wanted = np.unique(groups[only])
    memo: Memo = {}
    for done, group in enumerate(wanted.tolist(), start=1):
        out = groups == group
        found = calibrate(data, ~out, memo=memo)
        forms[found.name] = forms.get(found.name, 0) + 1
        part = errors_of(data, found.fit, out)
        error[out], offset[out] = part.error[out], part.with_offset[out]
        width = found.spread.half_width(part.deviation, part.share)
        half[out] = np.where(data.in_scope, width, np.maximum(width, found.spread.beyond))[out]
        progress(done, len(wanted))
    return HeldOut(error=error, with_offset=offset, half_width=half, forms=forms)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Log errors of the scored rows, each predicted without its network: of the whole procedure, of MACs and parameters
    alone, and of a constant, the median of the others."""

    ours: Floats
    macs_and_parameters: Floats
    constant: Floats

    def as_json(self) -> dict[str, dict[str, float]]:
        """Median and mean of |predicted / printed - 1|, of all three."""
        columns = {
            "ours": self.ours, "macs_and_parameters": self.macs_and_parameters, "constant": self.constant
        }  # fmt: skip
        return {
            name: {"median": round(float(np.median(off)), 6), "mean": round(float(np.mean(off)), 6)}
            for name, off in ((name, relative(error)) for name, error in columns.items())
        }


def left_out_errors(data: Calibration, progress: Progress) -> LeftOut:
    """Leave networks out, each by itself where they are few, else in groups."""
    networks = data.identity % _OUTER if len(set(data.identity.tolist())) > FEW else data.identity
    held = hold_out(data, networks, progress, only=data.scored)
    constant = np.zeros(len(data.rows))
    for out in _groups(data.identity):
        constant[out] = np.median(data.log_latency[~out]) - data.log_latency[out]
    kept = data.scored
    return LeftOut(ours=held.error[kept], macs_and_parameters=baseline_errors(data)[kept], constant=constant[kept])


def fit_and_judge(data: Calibration, progress: Progress) -> tuple[Calibrated, LeftOut]:
    """Calibrate on all rows and leave networks out; MACs and parameters alone where it clearly loses to them.

    Raises `NasError` where neither it nor MACs and parameters predict networks that were left out better than a
    constant does.
    """
    rows, left = np.ones(len(data.rows), dtype=np.bool_), left_out_errors(data, progress)
    lost = len(left.ours) * (student_loss(left.ours) - student_loss(left.macs_and_parameters))
    found = calibrate(data, rows, sizes_alone=lost > _CLEARLY)
    used = left.macs_and_parameters if lost > _CLEARLY else left.ours
    if not relative(used).mean() < (1.0 - _LUCK / np.sqrt(len(used))) * relative(left.constant).mean():
        raise NasError(
            "a fit must predict networks that it has not seen better than one figure for all does, but is off by"
            f" {relative(used).mean():.1%} on average where a constant is off by {relative(left.constant).mean():.1%};"
            " check the names, units and latencies of networks.csv, or add networks of other sizes and kinds. Nothing"
            " was written."
        )
    return found, left


def relative(error: Floats) -> Floats:
    """|predicted / printed - 1| of log errors."""
    return np.asarray(np.abs(np.expm1(error)))


def baseline_errors(data: Calibration) -> Floats:
    """Log errors, network by network left out, of c0 + a·MACs + b·parameters (least squares of relative errors)."""
    table, network = data.workload, data.observations.network
    macs, weights = (table.counts @ getattr(table.operators, c) for c in ("macs", "weight_elements"))
    features = np.column_stack((np.ones(len(macs)), macs / 1e9, weights / 1e6))[network]
    scaled = features / data.observations.latency_ms[:, None]
    error = np.zeros(len(data.rows))
    for out in _groups(data.identity):
        solved = np.linalg.lstsq(scaled[~out], np.ones((~out).sum()), rcond=None)[0]
        error[out] = np.log(np.maximum(scaled[out] @ solved, 0.05))
    return error


def best_constant(error: Floats) -> float:
    """The half width that has the best interval score of those that cover `COVERAGE` of errors."""
    widths = np.sort(np.abs(error))
    widths = widths[int(np.ceil(COVERAGE * len(widths))) - 1 :]
    scores = [float((2.0 * w + MISS_PENALTY * np.maximum(np.abs(error) - w, 0.0)).mean()) for w in widths]
    return float(widths[int(np.argmin(scores))])


def constant_log_widths(data: Calibration, error: Floats) -> Floats:
    """A constant half width of log latency for each row, chosen on the other networks' errors in scope."""
    half = np.zeros(len(error))
    for out in _groups(data.identity):
        half[out] = best_constant(error[~out & data.in_scope])
    return half


def constant_ms_widths(data: Calibration, error: Floats) -> Floats:
    """A constant half width in ms for each row, chosen on the other networks' errors in scope."""
    return constant_log_widths(data, np.expm1(error) * data.observations.latency_ms)


def interval_scores_ms(data: Calibration, low: Floats, high: Floats) -> Floats:
    """The interval score of each row in ms: the width, plus 20 times the distance of a miss."""
    printed = data.observations.latency_ms
    missed = np.maximum(low - printed, 0.0) + np.maximum(printed - high, 0.0)
    return np.asarray(high - low + MISS_PENALTY * missed)


def _groups(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    for number in np.unique(numbers):
        yield numbers == number
