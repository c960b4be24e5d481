"""Single operators at new shapes: a non-negative roofline, a Gaussian process on what it leaves over, boosted trees on
what that misses.

    t = roofline(kind, kernel, stride) · exp(process + trees)

The trees see what the process misses of rows that it has not seen, and the interval comes from rows that neither saw,
wider where such rows were missed by more, and beyond the sizes that were measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.figures import entering
from nas.latency.published.cost_model import Floats
from nas.latency.transfer.boosting import Trees, fit_trees
from nas.latency.transfer.milliseconds import Milliseconds
from nas.latency.transfer.operator_rows import OperatorRows, features, read_rows, rooflines
from nas.latency.transfer.residuals import Residuals, fit_residuals

MIN_ROWS = 20
_CENTRES = 1200
_TREES, _SPREAD_TREES, _SPREAD_DEPTH = 400, 80, 3
_FOLDS = 3
_ENOUGH = 40
"""Rows that a roofline of one kernel and stride needs; with fewer, all of the kind, or all rows, have one together."""
_PULL, _OUTLIER, _ROUNDS = 1e-3, 0.3, 4
_COVERAGE, _HALF = 0.9, 1.645
_CHUNK = 1 << 16
_LEAST = 0.01
"""Half of the narrowest interval of log latency that is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTimes:
    """Times of operators on a device, fitted to some that were measured. All of it is numbers and texts.

    `rooflines`: by group, by kind and, under "", of all; ms a term of `nas.latency.transfer.operator_rows.rooflines`.
    `deviation` (k,) scales features; `widths` are logarithms of what rows were missed by, `factor` makes of these half
    of a 90 % interval of log latency.
    """

    further: tuple[str, ...]
    rooflines: Mapping[str, Floats]
    deviation: Floats
    residuals: Residuals
    trees: Trees
    widths: Trees
    factor: float

    def predict(self, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Milliseconds:
        """Milliseconds of each operator, shape (n,), with the central 90 % intervals `.low` and `.high`.

        `rows` as in `fit_operators`. Raises `InputError` for bad records, and for other further attributes.
        """
        found = read_rows(rows)
        if tuple(found.further) != self.further:
            raise InputError(
                f"operators must have the further attributes that were fitted ({', '.join(self.further) or 'none'}),"
                f" but have {', '.join(found.further) or 'none'}."
            )
        mean, half = np.zeros((2, len(found)))
        with threadpool_limits(limits=1, user_api="blas"):
            for start in range(0, len(found), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                mean[chunk], half[chunk] = self._predicted(found.select(chunk))
        return Milliseconds(mean, mean * np.exp(-half), mean * np.exp(half))

    def _predicted(self, rows: OperatorRows) -> tuple[Floats, Floats]:
        """Milliseconds, and half the width of the interval of their logarithm, each (n,)."""
        base, (names, number) = _base(rows, self.rooflines), _groups(rows)
        points = np.column_stack([features(rows), np.log2(base)])
        process, beyond = self.residuals.predict(points / self.deviation, names, number)
        points = np.column_stack([points, process])
        half = np.hypot(self.factor * np.exp(self.widths.predict(points)), _HALF * np.sqrt(beyond))
        return base * np.exp(process + self.trees.predict(points)), half


def fit_operators(
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], latency_ms: Sequence[float] | Floats
) -> OperatorTimes:
    """Times of operators of any shape on the device on which `rows` took `latency_ms` (n,).

    A row is a record of an operator's attributes: `kind`, `in_channels`, `out_channels`, as a rule `batch`, `height`,
    `width` (of the input), `kernel`, `stride`, `groups` ("dw" and "depthwise" are kinds with one for each channel), and
    any further numbers; all rows have the same. A mapping of attributes to columns does too. The same rows give the
    same predictions. Raises `InputError` for fewer than 20 rows, bad records, and latencies that are not positive.
    """
    found = read_rows(rows)
    timed = np.array([entering(value) for value in latency_ms])
    if timed.shape != (len(found),) or len(found) < MIN_ROWS:
        raise InputError(
            f"fit_operators needs a latency for each of at least {MIN_ROWS} rows, but got {len(timed)} for"
            f" {len(found)}."
        )
    if not (timed > 0).all():
        raise InputError(f"latencies must be positive and finite, but the lowest is {timed.min():g} ms.")
    with threadpool_limits(limits=1, user_api="blas"):
        return _fit(found, timed)


def _fit(rows: OperatorRows, timed: Floats) -> OperatorTimes:
    fitted, (names, number) = _fit_rooflines(rows, timed), _groups(rows)
    base = _base(rows, fitted)
    points, left = np.column_stack([features(rows), np.log2(base)]), np.log(timed / base)
    deviation = points.std(axis=0)
    deviation[deviation < 1e-9] = 1.0
    residuals, missed = fit_residuals(points / deviation, left, names, number, centres=_CENTRES)
    points = np.column_stack([points, left - missed])
    depth = int(np.clip(np.log2(len(points) / 40.0), 2, 6))
    off = np.zeros(len(points))
    folds = np.random.default_rng(1).permutation(len(points)) % _FOLDS
    for fold in range(_FOLDS):
        out = folds == fold
        part = fit_trees(points[~out], missed[~out], trees=_TREES, depth=depth)
        off[out] = missed[out] - part.predict(points[out])
    logs = np.log(np.hypot(off, _LEAST))
    expected = np.zeros(len(points))
    for fold in range(_FOLDS):
        out = folds == fold
        part = fit_trees(points[~out], logs[~out], trees=_SPREAD_TREES, depth=min(depth, _SPREAD_DEPTH))
        expected[out] = part.predict(points[out])
    share = min(_COVERAGE * (1.0 + 1.0 / len(off)), 1.0)
    return OperatorTimes(
        further=tuple(rows.further),
        rooflines=fitted,
        deviation=deviation,
        residuals=residuals,
        trees=fit_trees(points, missed, trees=_TREES, depth=depth),
        widths=fit_trees(points, logs, trees=_SPREAD_TREES, depth=min(depth, _SPREAD_DEPTH)),
        factor=float(np.quantile(np.abs(off) / np.exp(expected), share, method="higher")),
    )


def _groups(rows: OperatorRows) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """What operators share a roofline with: kind, kernel and stride as texts (g,), and each one's number (n,)."""
    kinds, kind = np.unique(rows.kind, return_inverse=True)
    kernels, kernel = np.unique(rows.sizes["kernel"], return_inverse=True)
    strides, stride = np.unique(rows.sizes["stride"], return_inverse=True)
    code = (kind.reshape(-1) * len(kernels) + kernel.reshape(-1)) * len(strides) + stride.reshape(-1)
    used, number = np.unique(code, return_inverse=True)
    at = np.unravel_index(used, (len(kinds), len(kernels), len(strides)))
    parts = zip(kinds[at[0]], kernels[at[1]], strides[at[2]], strict=True)
    texts = (f"{name} {kernel:g}/{stride:g}" for name, kernel, stride in parts)
    return tuple(texts), number.reshape(-1)


def _fit_rooflines(rows: OperatorRows, timed: Floats) -> dict[str, Floats]:
    terms, (names, number) = rooflines(rows), _groups(rows)
    found = {"": _roofline(terms, timed)}
    for label, kept in (
        *((str(kind), rows.kind == kind) for kind in np.unique(rows.kind)),
        *((name, number == i) for i, name in enumerate(names)),
    ):
        if kept.sum() >= _ENOUGH:
            found[label] = _roofline(terms[kept], timed[kept])
    return found


def _roofline(terms: Floats, timed: Floats) -> Floats:
    """Non-negative ms a term, by least squares of relative errors in which rows far off count less."""
    scale = np.maximum(np.abs(terms).max(axis=0), 1e-12)
    typical = float(np.median(timed))
    prior = typical / scale  # each term alone would explain the median at its largest
    pull = _PULL * np.eye(terms.shape[1])
    told, weight = timed, np.ones(len(timed))
    ms = prior
    for _ in range(_ROUNDS):
        columns = terms * prior / told[:, None] * weight[:, None]
        ms = nnls(np.vstack([columns, pull]), np.append(timed / told * weight, np.zeros(len(pull))))[0] * prior
        told = np.maximum(terms @ ms, 1e-3 * timed)
        weight = 1.0 / np.sqrt(1.0 + (np.log(timed / told) / _OUTLIER) ** 2)
        told = timed
    return np.asarray(ms)


def _base(rows: OperatorRows, fitted: Mapping[str, Floats]) -> Floats:
    """The roofline of each operator, ms, shape (n,): of its group, else of its kind, else of all."""
    terms, (names, number) = rooflines(rows), _groups(rows)
    kinds = (name.rpartition(" ")[0] for name in names)
    ms = np.stack([
        next(fitted[key] for key in (name, kind, "") if key in fitted) for name, kind in zip(names, kinds, strict=True)
    ])  # fmt: skip
    return np.asarray(np.maximum((terms * ms[number]).sum(axis=1), 1e-9))
