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
from statistics import median

from nas.errors import InputError, unknown_name
from nas.figures import entering
from nas.latency.table.rows import read_text
from nas.measure.bundle import Bundle, BundledNetwork, checksum

COLUMNS = ("network", "format", "file", "latency_ms", "sha256")
_TEXTS = tuple(column for column in COLUMNS if column != "latency_ms")
_UNITS = {
    "ms": 1.0, "msec": 1.0, "millisecond": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "usec": 1e-3, "microsecond": 1e-3,
    "ns": 1e-6, "nanosecond": 1e-6, "s": 1e3, "sec": 1e3, "second": 1e3,
}  # fmt: skip
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_HEADER = re.compile(rf"(?:(?:latency|time|median|mean|average|avg)(?:[ _]+|(?=[(\[])))?[(\[]?({_UNIT})s?[)\]]?", re.I)
_CELL = re.compile(rf"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*({_UNIT})?s?", re.I)
_DECIMAL_COMMA = re.compile(r"([-+]?[0-9]+),([0-9]+)(\s*[a-zµμ]*)", re.I)
_LARGE = 2e7
"""Multiply-adds that stand for what a network takes besides its own."""
_CPU, _OTHER = (2e5, 1e9), (1e6, 3e9)
"""Multiply-adds a ms, the slowest and the fastest typical network that is believed: on processors, on other units."""
_APART = 300.0
"""How many times more or less a network may take than the typical one of its size: a unit is a thousand."""


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
            factor = _UNITS[match[1].lower()]
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
    match = _CELL.fullmatch(text)
    if match is not None:
        ms = entering(match[1]) * (_UNITS[match[2].lower()] if match[2] else factor)
        if ms > 0:
            return ms
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
    rows = (*times.reference, *times.rows)
    rate = [(macs[row.network.digest] + _LARGE) / row.latency_ms for row in rows]
    typical = median(rate)
    alone = median(macs[row.network.digest] / row.latency_ms for row in rows)
    slowest, fastest = _CPU if "CPU" in compute_unit.upper() else _OTHER
    doubted = [(row, own) for row, own in zip(rows, rate, strict=True) if not row.is_sure]
    if doubted and (typical < slowest or alone > fastest):
        shown, remedy = (
            (typical, "if they are microseconds, call the column latency_us")
            if typical < slowest
            else (alone, "if they are seconds, call the column latency_s")
        )
        raise InputError(
            f"{times.path}, line 1: times must be those of networks of this size, but the typical one would do"
            f" {shown:.2g} multiply-adds a ms, where a {compute_unit} does {slowest:.0e} to {fastest:.0e}; {remedy}; if"
            f" they are right, write the unit into the cells ({doubted[0][0].latency_ms:g} ms)."
        )
    for row, own in doubted:
        if not typical / _APART < own < typical * _APART:
            raise InputError(
                f"{row.where}: latency_ms must be of the unit of the others, but {row.latency_ms:g} ms is"
                f" {max(own / typical, typical / own):.0f} times off what they say of a network of this size; write its"
                f" unit into the cell ({row.latency_ms:g} ms, if that is right), or time it again."
            )
