"""What a network costs on a device: a fixed time plus its segments, each from one place.

A segment with a row in the device's `table.csv` is served by that row; any other by the operator cost model, if
the device has one; never by both. Rows whose source is *modelled*, and rows of the model's source of which nothing was
timed, are a printout of the cost model, for people to read: the model itself serves those segments. The source of a sum
is that of its weakest part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError, UnknownOperatorError
from nas.graph.graph import OWN_GRAPH, Graph, single
from nas.graph.operators import OperatorTable
from nas.latency.caution import cautious
from nas.latency.day import HALF, LEVELS_FILE, LevelSpread, level_spread, read_looks
from nas.latency.device import Device
from nas.latency.estimate import SOURCES, WEAKNESS, Estimate, Source
from nas.latency.operator_file import read_operators
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats, Ints
from nas.latency.published.warnings import is_large
from nas.latency.table.rows import TableRow, read_table, shortened
from nas.runtimes import Runtime, find_runtime, usual_key

TABLE_FILE, COEFFICIENTS_FILE = "table.csv", "coefficients.json"
_MODELLED: Source = "modelled"
_STAND_IN_MS = 1.0
"""What a segment that nothing serves is given, so that sums stay numbers; nobody may show it."""
_LISTED = 12
"""Segments that an error names before it counts the rest."""


class HasSegments(Protocol):
    """One segment: its key in a table, and its operators."""

    @property
    def key(self) -> str: ...

    @property
    def operators(self) -> OperatorTable: ...


Resolver = Callable[[object, Runtime], Sequence[HasSegments] | Graph]
"""What a user names as the segments that a runtime executes (of an architecture, a known network), or as a graph (of an
ONNX file)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCosts:
    """n segments: `mean_ms` (n,), `features` (n, k) for `LatencyModel.bounds`, `source` (n,) positions in `SOURCES`.

    All are additive: a network's mean is `LatencyModel.fixed_ms` plus the sum over its segments.
    """

    mean_ms: Floats
    features: Floats
    source: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatencyModel:
    """Latency on `device`: rows for the segments that have one, `operators` for the rest.

    `rows` leaves out those that `operators` itself printed. `level_sd` is the deviation of the logarithm of the
    device's speed, whenever a latency is asked for, about the one that the latencies are for. A model is equal to
    itself alone, so it may be a key.
    """

    device: Device
    rows: Mapping[str, TableRow]
    operators: OperatorModel | None
    resolve: Resolver | None = None
    level_sd: float = 0.0

    @property
    def runtime(self) -> Runtime:
        """What the device's runtime makes of a network: the segments that its rows and operators speak of."""
        return find_runtime(self.device.runtime)

    @property
    def fixed_ms(self) -> float:
        """The time of a network without segments."""
        return self.operators.fixed_ms if self.operators else 0.0

    @property
    def num_features(self) -> int:
        """k: the features of the cost model, and one for the widths of rows."""
        return (self.operators.num_features if self.operators else 0) + 1

    @property
    def needs_keys(self) -> bool:
        """Whether segments' keys change their costs: not where all rows are a printout of the cost model."""
        return self.operators is None or bool(self.rows)

    def covers(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """Which of n segments have a latency, shape (n,): those with a row, and all where the device has a cost
        model."""
        if self.operators is not None:
            return np.ones(len(keys), dtype=np.bool_)
        return np.array([row is not None for row in self._rows(keys)], dtype=np.bool_)

    def segment_costs(self, keys: Sequence[str], tables: Sequence[OperatorTable]) -> SegmentCosts:
        """The costs of n segments, given their keys and operators.

        Raises `UnknownOperatorError` naming all segments that have no latency (`covers`).
        """
        covered = self.covers(keys)
        if not covered.all():
            raise UnknownOperatorError(
                f"{self.device.name} must have a row for every segment, but its {TABLE_FILE} lacks"
                f" {_lacking(keys, covered)}; measure or import them, or fit operator coefficients."
            )
        lengths = [len(table) for table in tables]
        return self.packed_costs(keys, OperatorTable.concatenate(tables), np.repeat(np.arange(len(keys)), lengths))

    def packed_costs(self, keys: Sequence[str], operators: OperatorTable, owner: Ints) -> SegmentCosts:
        """As `segment_costs`, the operators of all segments in one table; `owner` (operators,) says whose each is.

        Of segments that have no latency (`covers`) the costs mean nothing.
        """
        count, k = len(keys), self.num_features
        mean, features = np.zeros(count), np.zeros((count, k))
        if self.operators is None:
            mean[:] = _STAND_IN_MS
        source = np.full(count, SOURCES.index(self.operators.source if self.operators else _MODELLED))
        if self.operators:
            each, own = self.operators.costs(operators)
            mean += np.bincount(owner, each, count)
            for column in range(k - 1):
                features[:, column] = np.bincount(owner, own[:, column], count)
        for i, row in enumerate(self._rows(keys) if self.needs_keys else ()):
            if row is not None:
                mean[i] = row.mean_ms
                features[i] = 0.0
                features[i, -1] = (np.log(row.high_ms) - np.log(row.low_ms)) / 2.0 * row.mean_ms
                source[i] = SOURCES.index(row.source)
        return SegmentCosts(mean_ms=mean, features=features, source=source)

    def _rows(self, keys: Sequence[str]) -> list[TableRow | None]:
        """The row that serves each segment, or None for the cost model."""
        return [self.rows.get(key) or self.rows.get(usual_key(key)) for key in keys]

    def bounds(
        self, mean_ms: Floats, sums: Floats, *, large: NDArray[np.bool_] | bool = False
    ) -> tuple[Floats, Floats]:
        """The central 90 % interval of n networks in ms: `mean_ms` (n,) with the fixed time, `sums` (n, k) of features.

        The widths of rows add up fully: a table's errors are common to its rows. What joins them is the rule of
        `operators` (`OperatorModel.half_width`, as is `large`, for all networks or for each). What the device's speed
        strays by joins in squares.
        """
        own, rows_ms = sums[:, :-1], sums[:, -1]
        half = self.operators.half_width(mean_ms, own, rows_ms, large=large) if self.operators else rows_ms / mean_ms
        spread = np.exp(np.hypot(half, HALF * self.level_sd))
        return mean_ms / spread, mean_ms * spread

    def latency_ms(self, items: Iterable[object]) -> Floats:
        """Milliseconds of each item, shape (n,): the means that `estimate` gives; an item is whatever `segments`
        takes."""
        networks, often = [], []
        for item in items:
            segments, images = self._of_one(self._read(item))
            networks.append(segments)
            often.append(images)
        costs = self._costs([segment for network in networks for segment in network])
        owner = np.repeat(np.arange(len(networks)), [len(network) for network in networks])
        sums = np.bincount(owner, costs.mean_ms, len(networks)) * np.array(often)
        return np.asarray(self.fixed_ms + sums, dtype=np.float64)

    def segment_bounds(self, costs: SegmentCosts) -> tuple[Floats, Floats]:
        """The central 90 % interval of each segment by itself, each shape (n,), in ms."""
        own, rows_ms = costs.features[:, :-1], costs.features[:, -1]
        half = rows_ms / costs.mean_ms
        if self.operators:
            alone = self.operators.half_width(costs.mean_ms, own, np.zeros_like(rows_ms), whole=False)
            half = np.where(half > 0.0, half, alone)
        spread = np.exp(half)
        return costs.mean_ms / spread, costs.mean_ms * spread

    def estimate(self, item: object) -> Estimate:
        """The latency of one item as a record: interval, weakest source, shares, warnings. What a file says of itself
        is heeded (`nas.latency.caution`)."""
        read = self._read(item)
        segments, images = self._of_one(read)
        found = self.estimate_segments(segments)
        if images > 1:
            often = (self.fixed_ms + images * (found.mean_ms - self.fixed_ms)) / found.mean_ms
            found = replace(
                found, mean_ms=found.mean_ms * often, low_ms=found.low_ms * often, high_ms=found.high_ms * often
            )
        if not isinstance(read, Graph):
            return found
        return cautious(found, read.reading, self.device, self.runtime.remarks(read))

    def operators_of(self, item: object) -> OperatorTable:
        """The operators of whatever `segments` takes, as the device's runtime executes them: of a batch those of one
        image, as often as there are images, as `latency_ms` has it."""
        segments, images = self._of_one(self._read(item))
        return OperatorTable.concatenate([segment.operators for segment in segments] * images)

    def _of_one(self, found: Sequence[HasSegments] | Graph) -> tuple[Sequence[HasSegments], int]:
        """The segments of one image of a batch, and how often they run: each image takes as long as one alone, but for
        the fixed time. Where images cannot be told apart, the segments of all, once."""
        if not isinstance(found, Graph):
            return found, 1
        one = single(found)
        return self._lowered(one), found.batch // one.batch

    def estimate_segments(self, segments: Sequence[HasSegments]) -> Estimate:
        """The latency of a network made of `segments`.

        Where rows serve all of it, the fixed time of operators that were fitted together with the rows counts as timed.
        """
        costs = self._costs(segments)
        mean = self.fixed_ms + float(costs.mean_ms.sum())
        if not mean > 0.0:
            raise InputError(
                f"a network must have an operator that takes time on {self.device.name}, but none of its"
                f" {len(segments)} layers does; give one that computes something."
            )
        operators = OperatorTable.concatenate([segment.operators for segment in segments])
        low, high = self.bounds(np.array([mean]), costs.features.sum(axis=0)[None, :], large=is_large(operators))
        parts = np.bincount(costs.source, costs.mean_ms, len(SOURCES)).astype(np.float64)  # of no layers integers
        if self.operators:
            own = SOURCES.index(self.operators.source)
            timed = self.operators.source == "predicted" and own not in costs.source[costs.mean_ms > 0.0]
            parts[SOURCES.index("measured") if timed else own] += self.fixed_ms
        shares = {name: float(part / mean) for name, part in zip(SOURCES, parts, strict=True) if part > 0}
        return Estimate(
            mean_ms=mean,
            low_ms=float(low[0]),
            high_ms=float(high[0]),
            source=max(shares, key=WEAKNESS.__getitem__),
            shares=shares,
            warnings=self.operators.warnings(operators) if self.operators else (),
        )

    def segments(self, item: object) -> Sequence[HasSegments]:
        """The segments of an operator table (one without a key), of a graph, or of what `resolve` understands, as the
        device's runtime executes them: those of a file as that very network needs them."""
        return self._lowered(self._read(item))

    def _lowered(self, found: Sequence[HasSegments] | Graph) -> Sequence[HasSegments]:
        if isinstance(found, Graph):
            return self.runtime.segments(found) if found.reading == OWN_GRAPH else self.runtime.in_context(found)
        return found

    def _read(self, item: object) -> Sequence[HasSegments] | Graph:
        if isinstance(item, OperatorTable):
            return (_Anonymous(operators=item),)
        if isinstance(item, Graph):
            return item
        if self.resolve is None:
            raise InputError(f"a latency needs operators or a graph, but got {type(item).__name__}.")
        return self.resolve(item, self.runtime)

    def _costs(self, segments: Sequence[HasSegments]) -> SegmentCosts:
        return self.segment_costs([s.key for s in segments], [s.operators for s in segments])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anonymous:
    """A network known only by its operators: no row of a table is meant for it."""

    operators: OperatorTable
    key: str = ""


def _lacking(keys: Sequence[str], covered: NDArray[np.bool_]) -> str:
    """The segments without a row: their numbers from 1 (in a network those of its layers) and how their text begins."""
    places: dict[str, list[str]] = {}
    for position in np.flatnonzero(~covered):
        places.setdefault(keys[position], []).append(str(position + 1))
    named = [f"{' and '.join(at[:4])} [{shortened(key, 64)}]" for key, at in places.items()]
    more = f", and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    return f"{(~covered).sum()} of {len(keys)}: segment {', '.join(named[:_LISTED])}{more}"


def read_latency_model(device: Device, folder: Path, *, resolve: Resolver | None = None) -> LatencyModel:
    """The latency model of `device` from the files in `folder`."""
    table, coefficients = folder / TABLE_FILE, folder / COEFFICIENTS_FILE
    rows = read_table(table) if table.exists() else {}
    operators = read_operators(coefficients) if coefficients.exists() else None
    if not rows and operators is None:
        how = "measure" if device.is_timed else "fit or import"
        command = f"nas lut {'build' if device.is_timed else 'fit'} --device {device.name}"
        raise InputError(
            f"{device.name} must have a {TABLE_FILE} or {COEFFICIENTS_FILE}, but has neither in {folder}; {how} one:"
            f" `{command}`."
        )
    if operators:
        rows = {key: row for key, row in rows.items() if not _is_printed(row, operators)}
    spread = level_spread(operators.manifest, read_looks(folder / LEVELS_FILE)) if operators else LevelSpread()
    return LatencyModel(device=device, rows=rows, operators=operators, resolve=resolve, level_sd=spread.any_day)


def _is_printed(row: TableRow, operators: OperatorModel) -> bool:
    """Whether a row is a printout of the operator costs: nothing was timed for it."""
    return row.source == _MODELLED or (row.source == operators.source and row.count == 0)
