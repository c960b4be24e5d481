"""`networks.csv` of a device: whole networks as published or measured, and the rows a fit reads from them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable, as_traced
from nas.latency.published.fit import Observations, Priors, Workload

COLUMNS = (
    "network", "family", "resolution", "head", "scope", "latency_ms", "rounding_ms", "protocol", "source", "date",
)  # fmt: skip
MAX_PIXELS = 300
"""Above this input size published figures contradict each other too much to judge a model by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A whole network's latency as printed. `protocol` is the source whose offset it shares; `rounding_ms` the step
    of the printed figure; `scope` says what the network is made of (convolutional, attention, …)."""

    network: str
    family: str
    resolution: int
    head: str
    scope: str
    latency_ms: float
    rounding_ms: float
    protocol: str
    source: str
    date: str

    @property
    def convolutional(self) -> bool:
        """Whether the row can calibrate: a convolutional network."""
        return self.scope.startswith("convolutional")


def read_published(path: Path) -> list[PublishedRow]:
    """The rows of the CSV file at `path`, in order.

    Raises `InputError` naming file, row and column for missing columns, a short row, or a number out of range.
    """
    text = text_of(read_content(path, "a CSV file"), path, "a CSV file")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            got = ",".join(reader.fieldnames or ()) or "none"
            raise InputError(f"{path}, row 1: columns must be {','.join(COLUMNS)}, but got {got}.")
        return [_row(record, f"{path}, row {reader.line_num}") for record in reader]
    except csv.Error as error:
        raise InputError(f"{path} must be a CSV file, but: {error}; get the whole file.") from error


def _row(record: dict[str, str], where: str) -> PublishedRow:
    if None in record:
        raise InputError(f"{where}: a row must have {len(COLUMNS)} columns, but has more.")
    for column in COLUMNS:
        if not record[column]:
            raise InputError(f"{where}: {column} must be given, but is empty.")
    latency, rounding, resolution = (
        _number(record, column, where) for column in ("latency_ms", "rounding_ms", "resolution")
    )
    texts = {c: record[c] for c in COLUMNS if c not in ("latency_ms", "rounding_ms", "resolution")}
    return PublishedRow(latency_ms=latency, rounding_ms=rounding, resolution=int(resolution), **texts)


def _number(record: Mapping[str, str], column: str, where: str) -> float:
    value = entering(record[column])
    if not value > 0:
        raise InputError(f"{where}: {column} must be a positive finite number, but got {record[column]!r}.")
    return value


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Published rows with the operators of their networks: what a fit and its scores read.

    All arrays have one element a row. `identity` numbers networks: two are one network where they share every
    convolution, whatever their names, input size, classifier, activations or squeeze-and-excitation. `priors` are the
    device's own; where `by_kind`, the rows choose them among `nas.latency.published.priors.PRIOR_SETS` instead.
    """

    rows: Sequence[PublishedRow]
    tables: Mapping[str, OperatorTable]
    priors: Priors = field(default_factory=dict)
    by_kind: bool = False

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """The networks in the order of their first rows: the workload's order."""
        return tuple(dict.fromkeys(row.network for row in self.rows))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The protocols, sorted: the order of offsets."""
        return tuple(sorted({row.protocol for row in self.rows}))

    @cached_property
    def workload(self) -> Workload:
        """The operators of `networks`."""
        return Workload.of([self.tables[name] for name in self.networks])

    @cached_property
    def observations(self) -> Observations:
        """The rows as the fit reads them."""
        network = {name: i for i, name in enumerate(self.networks)}
        source = {name: i for i, name in enumerate(self.sources)}
        return Observations(
            network=np.array([network[row.network] for row in self.rows]),
            source=np.array([source[row.protocol] for row in self.rows]),
            latency_ms=np.array([row.latency_ms for row in self.rows]),
            rounding_ms=np.array([row.rounding_ms for row in self.rows]),
        )

    @cached_property
    def identity(self) -> NDArray[np.int64]:
        """The number of each row's network."""
        texts = [_convolutions(self.tables[row.network]) for row in self.rows]
        order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        return np.array([order[text] for text in texts])

    @cached_property
    def family(self) -> NDArray[np.str_]:
        """The family of each row's network."""
        return np.array([row.family for row in self.rows])

    @cached_property
    def in_scope(self) -> NDArray[np.bool_]:
        """Rows at `MAX_PIXELS` and below."""
        return np.array([row.resolution <= MAX_PIXELS for row in self.rows])

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """Rows in scope whose networks hold no operators but plain convolutional ones."""
        plain = np.array([row.scope == "convolutional" for row in self.rows], dtype=np.bool_)
        return np.logical_and(self.in_scope, plain)

    @cached_property
    def log_latency(self) -> NDArray[np.float64]:
        """Natural logarithms of the printed latencies in ms."""
        return np.log(self.observations.latency_ms)


def _convolutions(table: OperatorTable) -> str:
    kept = np.isin(table.kind, ("dense", "grp", "dw", "pw"))
    columns = (table.kernel, table.stride, table.groups, table.in_channels, table.out_channels)
    return repr([table.kind[kept].tolist(), *(column[kept].tolist() for column in columns)])


def calibration(
    rows: Sequence[PublishedRow],
    lists: Mapping[str, OperatorTable],
    resolve: Callable[[str], OperatorTable] | None,
    priors: Priors | None = None,
) -> Calibration:
    """The convolutional `rows` with their operators, from `lists` or else from `resolve` (a name, a digest, a file).
    Without `priors` the rows choose them.

    Raises `InputError` naming the network for which neither has operators, and where no row is convolutional.
    """
    kept = [row for row in rows if row.convolutional]
    if not kept:
        raise InputError("networks.csv must hold convolutional networks to calibrate with, but has none.")
    tables: dict[str, OperatorTable] = {}
    for name in dict.fromkeys(row.network for row in kept):
        if name in lists:
            tables[name] = lists[name]
        elif resolve is not None:
            tables[name] = resolve(name)
        else:
            raise InputError(
                f"a network of networks.csv must have its operators in operators.csv.gz, but {name!r} has not."
            )
    return Calibration(rows=kept, tables=tables, priors=priors or {}, by_kind=priors is None)


class PublishedIndex:
    """Published rows by what their networks compute: a network is found by its operators, under any name."""

    def __init__(self, rows: Sequence[PublishedRow], lists: Mapping[str, OperatorTable]) -> None:
        self._rows: dict[tuple[tuple[object, ...], ...], list[PublishedRow]] = {}
        known = {name: _multiset(table) for name, table in lists.items()}
        for row in rows:
            if row.network in known:
                self._rows.setdefault(known[row.network], []).append(row)

    def find(self, operators: OperatorTable) -> list[PublishedRow]:
        """The rows of the network with these operators, in any order; none where it was not published."""
        return self._rows.get(_multiset(operators), [])


def _multiset(table: OperatorTable) -> tuple[tuple[object, ...], ...]:
    """The operators of a traced list sorted; ReLU6 counts as ReLU, which papers do not tell apart."""
    table = as_traced(table)
    kinds = ["act:relu" if kind == "act:relu6" else kind for kind in table.kind.tolist()]
    return tuple(sorted(zip(kinds, *(getattr(table, c).tolist() for c in NUMERIC_COLUMNS), strict=True)))
