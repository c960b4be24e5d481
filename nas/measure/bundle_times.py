"""`timings.csv` of a bundle: written to be filled in, and read back with all the care that hands and spreadsheets ask
for.

A row is a file of a network; the reference has two in each format, the first and the last. Rows may be in any order
and may lack; a comma, a semicolon or a tab parts the columns, whose order is free; times are in the unit that the
header names, or the cell itself.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError, unknown_name
from nas.latency.table.rows import read_text
from nas.measure import believable
from nas.measure.believable import UNIT, UNITS, TimedNetwork, read_cell
from nas.measure.bundle import Bundle, BundledNetwork, checksum

COLUMNS = ("network", "format", "file", "latency_ms", "sha256")
_TEXTS = tuple(column for column in COLUMNS if column != "latency_ms")
_HEADER = re.compile(rf"(?:(?:latency|time|median|mean|average|avg)(?:[ _]+|(?=[(\[])))?[(\[]?({UNIT})s?[)\]]?", re.I)
_DECIMAL_COMMA = re.compile(r"([-+]?[0-9]+),([0-9]+)(\s*[a-zµμ]*)", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledRow:
    """A row with a time; `where` names file and line, `is_sure` that the cell itself names the unit."""

    network: BundledNetwork
    latency_ms: float
    where: str
    is_sure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledTimes:
    """What is filled in of `timings.csv`: the format that was timed, the reference's times (two at most), the other
    networks' rows, and the names of those without a time."""

    path: Path
    format: str
    reference: tuple[FilledRow, ...]
    rows: tuple[FilledRow, ...]
    missing: tuple[str, ...]


def timings_text(bundle: Bundle) -> str:
    """The text of `timings.csv` before anyone fills it in: format by format, the reference first and last."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in bundle.formats:
        for network in (*bundle.networks, bundle.reference):
            file = network.files[name]
            writer.writerow((network.name, name, file.path, "", file.sha256))
    return stream.getvalue()


def read_times(path: Path, bundle: Bundle) -> FilledTimes:
    """What is filled in of the file at `path`, which lies in the folder of `bundle`.

    Raises `InputError` naming file, line and remedy for columns that lack, come twice or are not known, for a time
    without a unit, for a row of no network of the bundle, a network that comes twice, a checksum that is not the
    bundle's (in the row, or of a file that lies there), a time that is no positive finite number, times of two formats,
    and where no time is filled in.
    """
    filled = _rows(path, bundle)
    if not filled:
        raise InputError(f"{path}: latency_ms must be filled in for the networks that were timed, but all are empty.")
    formats = sorted({name for name, _ in filled})
    if len(formats) > 1:
        (first, row), (second, other) = (next(one for one in filled if one[0] == name) for name in formats[:2])
        raise InputError(
            f"{other.where}: all times must be of one format, but this one is of {second}, and {row.where} of {first};"
            " empty the column for one of them."
        )
    for _, row in filled:
        _check_file(path.parent, row.network, formats[0], row.where)
    rows = [row for _, row in filled]
    there = {row.network.digest for row in rows}
    return FilledTimes(
        path=path,
        format=formats[0],
        reference=tuple(row for row in rows if row.network is bundle.reference),
        rows=tuple(row for row in rows if row.network is not bundle.reference),
        missing=tuple(network.name for network in bundle.networks if network.digest not in there),
    )


def _rows(path: Path, bundle: Bundle) -> list[tuple[str, FilledRow]]:
    """The rows with a time, in their order, each behind its format; all rows are looked at."""
    text = read_text(path, "CSV")
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    found: list[tuple[str, FilledRow]] = []
    places: dict[str, list[str]] = {}
    names: list[str] = []
    factor = 1.0
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            stripped = [cell.strip() for cell in cells]
            if not names:
                names, factor = _header(stripped, where)
                continue
            if not any(stripped):
                continue
            record = _record(stripped, names, where)
            network = _network(record, bundle.networks, where)
            before = places.setdefault(f"{record['format']}/{network.digest}", [])
            if len(before) == 1 + (network is bundle.reference):
                raise InputError(
                    f"{where}: a network must come once, the reference twice, but {network.name} is in"
                    f" line {before[-1].rpartition(' ')[2]} as well; keep one row."
                )
            before.append(where)
            ms = _latency_ms(record["latency_ms"], factor, delimiter, where)
            if ms is not None:
                is_sure = record["latency_ms"][-1].isalpha()
                row = FilledRow(network=network, latency_ms=ms, where=where, is_sure=is_sure)
                found.append((record["format"], row))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: must be a CSV row, but: {error}; write it anew.") from error
    if not names:
        raise InputError(f"{path}, line 1: columns must be {','.join(COLUMNS)}, but the file is empty.")
    return found


def _header(cells: Sequence[str], where: str) -> tuple[list[str], float]:
    """The columns by our names, and ms a unit of the times."""
    names: list[str] = []
    factor = 1.0
    for cell in cells:
        match = _HEADER.fullmatch(cell)
        if match is not None:
            factor = UNITS[match[1].lower()]
        elif cell and cell not in _TEXTS:
            near = difflib.get_close_matches(cell, COLUMNS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "take it out."
            raise InputError(f"{where}: columns must be {','.join(COLUMNS)}, but got {cell!r}; {hint}")
        names.append("latency_ms" if match else cell)
    for name in COLUMNS:
        if names.count(name) != 1:
            came = "is missing" if name not in names else "comes more than once"
            raise InputError(
                f"{where}: columns must be {','.join(COLUMNS)} (or latency_us, latency_s), but {name} {came}."
            )
    return names, factor


def _record(cells: Sequence[str], names: Sequence[str], where: str) -> dict[str, str]:
    """A row's cells by our columns."""
    while len(cells) > len(names) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) != len(names):
        raise InputError(
            f"{where}: a row must have {len(names)} columns, but has {len(cells)}; write decimals with a point, and"
            " copy the row again."
        )
    return {name: cell for name, cell in zip(names, cells, strict=True) if name}


def _network(record: Mapping[str, str], networks: Sequence[BundledNetwork], where: str) -> BundledNetwork:
    """The network that a row is of, all of whose texts must agree."""
    called = [network for network in networks if network.name == record["network"]]
    if not called:
        names = [network.name for network in networks]
        raise InputError(f"{where}: {unknown_name('network', record['network'], names, remedy='Take the row out.')}")
    named = next((n for n in called if record["file"] in [file.path for file in n.files.values()]), called[0])
    formats = list(named.files)
    if record["format"] not in formats:
        raise InputError(f"{where}: format must be one of {', '.join(formats)}, but got {record['format']!r}.")
    file = named.files[record["format"]]
    if record["file"] != file.path:
        raise InputError(f"{where}: file must be {file.path}, which is {named.name}, but got {record['file']!r}.")
    if record["sha256"].lower() != file.sha256:
        raise InputError(
            f"{where}: sha256 must be that of {file.path}, {file.sha256[:12]}…, but got"
            f" {record['sha256'][:12] or 'nothing'}…; the row is of another bundle's file, or was changed: copy it from"
            " the manifest, and time that file."
        )
    return named


def _latency_ms(cell: str, factor: float, delimiter: str, where: str) -> float | None:
    """A time in ms, None where the cell is empty."""
    if not cell:
        return None
    text = _DECIMAL_COMMA.sub(r"\1.\2\3", cell) if delimiter != "," else cell
    found = read_cell(text, factor)
    if found is not None and found.ms > 0:
        return found.ms
    raise InputError(
        f"{where}: latency_ms must be a positive finite number such as 12.5, but got {cell!r}; leave it empty where"
        " nothing was timed."
    )


def _check_file(folder: Path, network: BundledNetwork, timed: str, where: str) -> None:
    """Raises `InputError` where the file that lies there is not the one that was to be timed; it may be gone."""
    file = network.files[timed]
    path = folder / file.path
    if path.exists() and checksum(path) != file.sha256:
        raise InputError(
            f"{where}: {file.path} must be the file that the bundle was written with, but was replaced or damaged: its"
            f" checksum is {checksum(path)[:12]}…, not {file.sha256[:12]}…; `nas lut bundle` writes it again, then time"
            " that."
        )


def require_believable(times: FilledTimes, macs: Mapping[str, int], compute_unit: str) -> None:
    """Raises `InputError` naming file and line for times that can be no milliseconds of networks of so many
    multiply-adds (`macs`, by digest): of all of them, or of one beside the others. Times with a unit of their own are
    believed."""
    rows = [
        TimedNetwork(where=row.where, macs=macs[row.network.digest], latency_ms=row.latency_ms, is_sure=row.is_sure)
        for row in (*times.reference, *times.rows)
    ]
    believable.require_believable(
        rows, compute_unit, where=f"{times.path}, line 1", remedy=lambda unit: f"call the column latency_{unit}"
    )
