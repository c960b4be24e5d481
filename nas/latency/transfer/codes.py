"""A latency for a space of codes from few measurements: a table of genes and their choices.

What is known before: tables of other devices, costs that no device has (multiply-adds, bytes, a count of operators),
and the structure of the space: choices cost about as much in genes nearby where they are the same, in proportion to
what they cost elsewhere, or the same everywhere where calls cost more than work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.figures import entering
from nas.latency.estimate import Estimate
from nas.latency.published.cost_model import Floats, Ints
from nas.latency.transfer.gaussian import Prior, fit_linear, joined, most_telling, root_of
from nas.latency.transfer.milliseconds import Milliseconds
from nas.space.codes import CodeSpace, Point

MIN_POINTS = 3
_ASKED, _PER_CHOICE = 1000, 5
"""Points that a device is asked for its table: so many, or so many for each choice of a gene."""
_LEARNT_FROM = 150
"""Points of each other device that tell the amplitudes."""
_PRIOR: Mapping[str, float] = {"costs": 0.06, "devices": 0.08, "scaled": 0.04, "same": 0.03, "noise": 0.05}
"""Relative deviations that each block would explain of a device of which nothing is known."""
_WIDE, _FIRM = 1.5, 0.7
"""Deviations of their logarithms: where other devices tell them, and for a new device."""
_NEAR = 4.0
"""Genes over which the structural part forgets."""
_LEAST_NOISE = 0.005
_RIDGE = 1.0
_CHUNK = 4096

Costs = Callable[[list[Point]], Any]


class HasLatency(Protocol):
    """A device that says how long points take."""

    def latency_ms(self, points: Any, /) -> Any:
        """Milliseconds, shape (n,)."""
        ...


Known = HasLatency | tuple[Sequence[Point], Sequence[float] | Floats]
"""What is known of another device: a model of it, or points that it was timed on with their latencies in ms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeLatency:
    """Latency of the points of `space`: `constant_ms` and `choices_ms` (choices of all genes,), which are summed.

    `root` (choices + 1, r): the squared length of its sum over a point's choices and the constant, last, is the
    variance of the mean, `noise_ms` what a timing strays by besides, `factor` makes of a deviation half of a central
    90 % interval.
    """

    space: CodeSpace
    constant_ms: float
    choices_ms: Floats
    root: Floats
    noise_ms: float
    factor: float
    least_ms: float

    def codes_ms(self, codes: Ints) -> Floats:
        """Milliseconds of codes (n, genes), shape (n,), none below half of the fastest that was measured."""
        sums = self.choices_ms[_places(self.space, codes)].sum(axis=1)
        return np.asarray(np.maximum(self.constant_ms + sums, self.least_ms))

    def predict(self, points: Sequence[Point]) -> Milliseconds:
        """Milliseconds of points, shape (n,), with the central 90 % intervals `.low` and `.high`."""
        return self.predict_codes(_codes(self.space, points))

    def predict_codes(self, codes: Ints) -> Milliseconds:
        """As `predict`, of codes (n, genes)."""
        mean = self.codes_ms(codes)
        deviation = np.zeros(len(codes))
        for start in range(0, len(codes), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            spread = _hot(self.space, codes[chunk]) @ self.root[:-1] + self.root[-1]
            deviation[chunk] = np.linalg.norm(spread, axis=1)
        half = self.factor * np.hypot(deviation, self.noise_ms)
        return Milliseconds(mean, np.maximum(mean - half, 0.0), mean + half)

    def latency_ms(self, points: Sequence[Point]) -> Floats:
        """Milliseconds of points, shape (n,)."""
        return self.codes_ms(_codes(self.space, points))

    def estimate(self, point: Point) -> Estimate:
        """The latency of one point as a record."""
        found = self.predict([point])
        mean, low, high = float(found[0]), float(found.low[0]), float(found.high[0])
        return Estimate(mean_ms=mean, low_ms=low, high_ms=high, source="predicted", shares={"predicted": 1.0})


class Before:
    """What is known of `space` before a new device is timed: tables of other devices, costs, structure, amplitudes.

    `devices` are others: anything with `latency_ms(points)`, or pairs (points, ms) of what was timed there. `costs`
    gives numbers of points, shape (n, k), that latency may grow with. Raises `InputError` for points of another space,
    latencies that are not positive, and costs that are not finite or of another shape.
    """

    def __init__(self, space: CodeSpace, devices: Sequence[Known] = (), costs: Costs | None = None) -> None:
        self._space, self._sizes = space, space.cardinalities
        self._timed = [_timed(space, device) for device in devices]
        with _one_thread():
            self._costs = _cost_tables(space, costs)
            self._devices = [_table(space, codes, latency) for codes, latency in self._timed]
            self._structure = _structure(space, [*self._devices, *self._costs])

    def fit(self, points: Sequence[Point], latency_ms: Sequence[float] | Floats) -> CodeLatency:
        """The latency of all points of the space on a device that took `latency_ms` (n,) for `points`; the same
        arguments give the same model. Raises `InputError` for fewer than 3 points, points of another space, and
        latencies that are not positive."""
        codes, timed = _codes(self._space, points), latencies(latency_ms, len(points))
        rows = np.column_stack(self._by_choice)
        with _one_thread():
            fit = fit_linear(self._blocks(codes, self._by_choice), timed, self.prior)
            # Choices and the constant are fewer than features.
            to_choices = np.zeros((len(rows) + 1, rows.shape[1] + 1))
            to_choices[:-1, :-1], to_choices[-1, -1] = rows, 1.0
            root = root_of(to_choices @ fit.covariance @ to_choices.T)
        at = fit.typical_ms
        return CodeLatency(
            space=self._space,
            constant_ms=at * (1.0 + float(fit.weights[-1])),
            choices_ms=at * (rows @ fit.weights[:-1]),
            root=at * root,
            noise_ms=at * fit.noise,
            factor=fit.factor,
            least_ms=0.5 * float(timed.min()),
        )

    def choose(self, among: Sequence[Point], count: int) -> list[int]:
        """Positions of the `count` points of `among` to measure on a new device: those that tell most together
        (D-optimal)."""
        blocks = self._blocks(_codes(self._space, among), self._by_choice)
        return most_telling(joined(blocks, np.log(list(_PRIOR.values()))), _PRIOR["noise"], count)

    @cached_property
    def prior(self) -> Prior:
        """The amplitudes: halfway between what is taken where nothing is known and what the other devices had, each of
        them predicted from the rest."""
        usual = np.log(list(_PRIOR.values()))
        firm, wide = np.full(len(usual), _FIRM), np.full(len(usual), _WIDE)
        if len(self._devices) < 2:
            return Prior(mean=usual, deviation=firm)
        told = []
        for i, (codes, latency) in enumerate(self._timed):
            kept = np.random.default_rng(i).permutation(len(codes))[:_LEARNT_FROM]
            rest = [table for j, table in enumerate(self._devices) if j != i]
            rows = self._rows(rest, _structure(self._space, [*rest, *self._costs]))
            blocks = self._blocks(codes[kept], rows)
            told.append(fit_linear(blocks, latency[kept], Prior(mean=usual, deviation=wide), rounds=0).logs)
        logs = np.array(told)
        logs[:, -1] = np.maximum(logs[:, -1], np.log(_LEAST_NOISE))
        return Prior(mean=(logs.mean(axis=0) + usual) / 2.0, deviation=firm)

    @cached_property
    def _by_choice(self) -> list[Floats]:
        """The features that each choice adds, a block for each amplitude, each (choices, k)."""
        return self._rows(self._devices, self._structure)

    def _rows(self, devices: Sequence[Floats], structure: Sequence[Floats]) -> list[Floats]:
        choices = int(self._sizes.sum())
        parts = (
            np.array(tables).T / np.sqrt(len(tables)) if len(tables) else np.zeros((choices, 0))
            for tables in (self._costs, devices)
        )
        return [*parts, *structure]

    def _blocks(self, codes: Ints, by_choice: Sequence[Floats]) -> list[Floats]:
        hot = _hot(self._space, codes)
        return [hot @ rows for rows in by_choice]


def _one_thread() -> threadpool_limits:
    """Small matrices: more threads would wait for each other longer than they work."""
    return threadpool_limits(limits=1, user_api="blas")


def _timed(space: CodeSpace, device: Known) -> tuple[Ints, Floats]:
    """Codes and latencies of another device."""
    if isinstance(device, tuple):
        points, latency = device
        return _codes(space, points), latencies(latency, len(points))
    codes = _drawn(space)
    ask = getattr(device, "codes_ms", None)
    found = ask(codes) if ask is not None else device.latency_ms([space.decode(code) for code in codes])
    return codes, latencies(found, len(codes))


def _drawn(space: CodeSpace) -> Ints:
    count = max(_ASKED, _PER_CHOICE * int(space.cardinalities.sum()))
    return np.asarray(space.sample_codes(count, np.random.default_rng(0)))


def _cost_tables(space: CodeSpace, costs: Costs | None) -> list[Floats]:
    if costs is None:
        return []
    codes = _drawn(space)
    found = np.asarray(costs([space.decode(code) for code in codes]), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(codes) or not np.isfinite(found).all():
        raise InputError(f"costs must give finite numbers of shape ({len(codes)}, k), but gave shape {found.shape}.")
    return [_table(space, codes, column) for column in found.T if np.ptp(column) > 0.0]


def _table(space: CodeSpace, codes: Ints, values: Floats) -> Floats:
    """What each choice adds to the values of random points, of deviation 1 over the space; shape (choices,)."""
    sizes = space.cardinalities
    hot = _hot(space, codes)
    hot -= hot.mean(axis=0)
    found = np.linalg.solve(hot.T @ hot + _RIDGE * np.eye(hot.shape[1]), hot.T @ (values - values.mean()))
    found = _centred(found[:, None], sizes)[:, 0]
    return np.asarray(found / max(_deviation(found[:, None], sizes), 1e-12))


def _structure(space: CodeSpace, tables: Sequence[Floats]) -> list[Floats]:
    """Two ways in which choices are alike, as features of each choice (choices, k), of deviation 1 over the space: in
    proportion to what they cost elsewhere, by themselves and with their like nearby; and the same in all genes."""
    sizes = space.cardinalities
    scale = np.sqrt(np.mean(np.square(tables), axis=0)) if len(tables) else np.ones(int(sizes.sum()))
    gene = np.repeat(np.arange(len(sizes)), sizes)
    values = [repr(value) for choices in space.genes.values() for value in choices]
    number = np.unique(values, return_inverse=True)[1].reshape(-1)
    same = (number[:, None] == number).astype(np.float64)
    near = np.exp(-np.abs(gene[:, None] - gene) / _NEAR)
    scaled = np.outer(scale, scale) * (0.5 * np.eye(len(gene)) + 0.5 * same * near)
    found = []
    for covariance in (scaled, same):
        level, vectors = np.linalg.eigh(covariance)
        kept = level > 1e-9 * level.max()
        rows = _centred(vectors[:, kept] * np.sqrt(level[kept]), sizes)
        found.append(rows / max(_deviation(rows, sizes), 1e-12))
    return found


def _centred(rows: Floats, sizes: Ints) -> Floats:
    """Rows of choices (choices, k) without the mean of their gene."""
    starts = np.cumsum(sizes) - sizes
    means = np.add.reduceat(rows, starts, axis=0) / sizes[:, None]
    return np.asarray(rows - np.repeat(means, sizes, axis=0))


def _deviation(centred: Floats, sizes: Ints) -> float:
    """The deviation, over points with uniform genes, of the sum of their choices' rows."""
    return float(np.sqrt(((centred**2).sum(axis=1) / np.repeat(sizes, sizes)).sum()))


def _places(space: CodeSpace, codes: Ints) -> Ints:
    """Where the choices of codes (n, genes) stand among those of all genes, same shape."""
    sizes = space.cardinalities
    return np.asarray(np.asarray(codes, dtype=np.int64) + (np.cumsum(sizes) - sizes))


def _hot(space: CodeSpace, codes: Ints) -> Floats:
    """Codes (n, genes) as ones at the places of their choices, shape (n, choices)."""
    found = np.zeros((len(codes), int(space.cardinalities.sum())))
    np.put_along_axis(found, _places(space, codes), 1.0, axis=1)
    return found


def _codes(space: CodeSpace, points: Sequence[Point]) -> Ints:
    return np.array([space.encode(point) for point in points], dtype=np.int64).reshape(-1, len(space.genes))


def latencies(values: Any, count: int) -> Floats:
    """`values` as milliseconds, shape (count,); `InputError` where they are too few or not positive and finite."""
    found = np.array([entering(value) for value in values])
    if found.shape != (count,) or count < MIN_POINTS:
        raise InputError(
            f"a fit needs a latency for each of at least {MIN_POINTS} points, but got {len(found)} for {count}."
        )
    if not (found > 0).all():
        raise InputError(f"latencies must be positive and finite, but the lowest is {found.min():g} ms.")
    return found
