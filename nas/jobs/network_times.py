"""Latencies of whole networks in a CSV file that a person wrote: two columns, or all of a device's `networks.csv`."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.graph import Graph
from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable
from nas.latency.device import Device
from nas.latency.load import read_network
from nas.latency.model import LatencyModel
from nas.latency.published.rows import COLUMNS, PublishedRow
from nas.measure.believable import TimedNetwork, read_cell, require_believable
from nas.space import Architecture
from nas.space.load import network_called
from nas.space.seeds import known_as

NEEDED = ("network", "latency_ms")
_FORM = "a CSV file of networks and latencies"


def is_network_times(path: Path) -> bool:
    """Whether `path` is a CSV file of networks and latencies, and not of a bundle."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        columns = [column.strip(b' "\r\n\xef\xbb\xbf') for column in file.readline(1000).split(b",")]
    return {name.encode() for name in NEEDED} <= set(columns) and b"sha256" not in columns


def operators_of_network(device: Device, network: Architecture | Graph) -> OperatorTable:
    """The operators of a network, as the device's runtime executes it."""
    graph = network.graph() if isinstance(network, Architecture) else network
    return LatencyModel(device=device, rows={}, operators=None).operators_of(graph)


def read_network_times(path: Path, device: Device) -> tuple[list[PublishedRow], dict[str, OperatorTable]]:
    """The rows of the CSV file at `path`, and the operators, as the device's runtime has them, of those networks that
    are no known ones.

    `network` is a known name, a digest, or an architecture or ONNX file, from the CSV's folder; what else a row of
    `networks.csv` says is filled in. A cell may name its unit (`850 us`). Raises `InputError` naming file, row and
    column for anything else, and for times that can be no milliseconds of networks of their size, unless their cells
    name a unit.
    """
    text = text_of(read_content(path, _FORM), path, _FORM)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = tuple(name.strip() for name in reader.fieldnames or ())
        if not set(NEEDED) <= set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
            raise InputError(
                f"{path}, row 1: columns must be {' and '.join(NEEDED)}, and may be others of {','.join(COLUMNS)}, but"
                f" got {','.join(columns) or 'none'}."
            )
        reader.fieldnames = list(columns)
        records = [(f"{path}, row {reader.line_num}", record) for record in reader]
    except csv.Error as error:
        raise InputError(f"{path} must be {_FORM}, but: {error}; get the whole file.") from error
    if not records:
        raise InputError(f"{path} must hold at least one row, but has none.")
    lists: dict[str, OperatorTable] = {}
    rows: list[PublishedRow] = []
    times: list[TimedNetwork] = []
    for where, record in records:
        row, own, time = _row(record, where, path, device, rows, lists)
        times.append(time)
        if own is not None:
            lists[row.network] = own
        if any((row.network, row.protocol) == (other.network, other.protocol) for other in rows):
            raise InputError(f"{where}: {row.network} must come once, but comes again; keep one of its latencies.")
        rows.append(row)
    require_believable(
        times, device.compute_unit, where=str(path), remedy=lambda unit: f"write that into the cells (12.5 {unit})"
    )
    return rows, lists


def _name_of(file: Path, own: OperatorTable, before: Sequence[PublishedRow], lists: Mapping[str, OperatorTable]) -> str:
    """The name of a network in a file: the file's, with its folders in front as far as other networks have that name
    (exporters call every file alike), or else a number behind."""
    taken = {row.network for row in before if row.network not in lists or not _same(own, lists[row.network])}
    names = [file.stem]
    for folder in file.parent.parts[::-1]:
        if folder not in (".", ".."):
            names.append(f"{folder}-{names[-1]}")
    numbered = (f"{file.stem}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain(names, numbered) if name not in taken)


def _same(a: OperatorTable, b: OperatorTable) -> bool:
    """Whether two networks have the same operators."""
    return len(a) == len(b) and all(np.array_equal(getattr(a, c), getattr(b, c)) for c in ("kind", *NUMERIC_COLUMNS))


def _row(
    record: Mapping[str | None, Any],
    where: str,
    path: Path,
    device: Device,
    before: Sequence[PublishedRow],
    lists: Mapping[str, OperatorTable],
) -> tuple[PublishedRow, OperatorTable | None, TimedNetwork]:
    """The row of a record, behind the rows `before`, the operators of a network that is no known one, and its time;
    `lists` are those of the rows before."""
    if None in record or None in record.values():
        raise InputError(f"{where}: a row must have a value in each column and no more; correct it.")
    given = {str(key): str(value).strip() for key, value in record.items()}
    cell = read_cell(given["latency_ms"])
    if cell is None or not cell.ms > 0:
        raise InputError(f"{where}: latency_ms must be a positive finite number, but got {given['latency_ms']!r}.")
    if not given["network"]:
        raise InputError(f"{where}: network must be given, but is empty.")
    found = _network(given["network"], path.parent, where)
    known = known_as(found) if isinstance(found, Architecture) else None
    own = None if known else operators_of_network(device, found)
    name = known.name if known else ""
    family = name.partition("-")[0]
    if own is not None:
        name = family = _name_of(Path(given["network"]), own, before, lists)
    defaults = {
        "family": family, "resolution": str(max(found.input_shape[-2:])), "head": "yes", "scope": "convolutional",
        "rounding_ms": f"{_step(cell.number) * cell.unit_ms:g}", "protocol": "imported", "source": path.name,
        "date": datetime.date.today().isoformat(),
    }  # fmt: skip
    texts = {key: given.get(key) or default for key, default in defaults.items()}
    numbers = {key: entering(texts.pop(key)) for key in ("rounding_ms", "resolution")}
    if not all(value > 0 for value in numbers.values()):
        raise InputError(
            f"{where}: rounding_ms and resolution must be positive numbers; correct them, or leave them out."
        )
    row = PublishedRow(
        network=name, latency_ms=cell.ms, rounding_ms=numbers["rounding_ms"], resolution=int(numbers["resolution"]),
        **texts,
    )  # fmt: skip
    unsized = isinstance(found, Graph) and found.macs_are_a_lower_bound
    time = TimedNetwork(where=where, macs=found.macs, latency_ms=cell.ms, is_sure=cell.names or unsized)
    return row, own, time


def _network(name: str, folder: Path, where: str) -> Architecture | Graph:
    """The file of that name in `folder`, or the network of that name or digest: a row opens no file elsewhere."""
    try:
        beside = (folder / name).resolve()
        is_file = beside.is_relative_to(folder.resolve()) and beside.is_file()
    except (OSError, RuntimeError, ValueError):  # no name of a file
        is_file = False
    if is_file:
        return read_network(beside)
    try:
        return network_called(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _step(printed: str) -> float:
    """The last digit of a printed figure."""
    whole, _, digits = printed.lower().partition("e")[0].partition(".")
    return float(10.0 ** -len(digits)) if whole or digits else 1.0


def networks_text(rows: Sequence[PublishedRow]) -> str:
    """`networks.csv` of these rows."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = {name: getattr(row, name) for name in COLUMNS}
        writer.writerow([f"{value:.12g}" if isinstance(value, float) else value for value in values.values()])
    return stream.getvalue()
