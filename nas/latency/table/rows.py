"""`table.csv` of a device: one row a segment, keyed by the canonical text of its operators."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.latency.estimate import SOURCES, Source

COLUMNS = ("segment", "mean_ms", "low_ms", "high_ms", "count", "source", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A segment's latency with its central 90 % interval; `count` timings stand behind it (0: none, a model)."""

    segment: str
    mean_ms: float
    low_ms: float
    high_ms: float
    count: int
    source: Source
    date: str


def shortened(key: str, length: int = 100) -> str:
    """A segment's key for an error message: its beginning."""
    return key if len(key) <= length else f"{key[:length]} …"


def read_table(path: Path) -> dict[str, TableRow]:
    """Segment → row, from the CSV file at `path`.

    Raises `InputError` naming file, row (line of the file) and column for missing columns, a truncated row, a
    segment given twice with different figures, a number that is no finite positive one, low above mean or mean above
    high, or an unknown source; the header's faults come first.
    """
    text = read_text(path, "CSV")
    rows: dict[str, TableRow] = {}
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise InputError(f"{path}, row 1: columns must be {','.join(COLUMNS)} (times in ms), but {_fault(header)}.")
        require_whole(text, path)
        for cells in reader:
            row = _row(cells, f"{path}, row {reader.line_num}")
            if rows.setdefault(row.segment, row) != row:
                raise InputError(
                    f"{path}, row {reader.line_num}: a segment that comes again must have the same figures, but this"
                    f" one has others: {shortened(row.segment)}; keep one of them."
                )
    except csv.Error as error:
        raise InputError(f"{path}, row {reader.line_num}: must be a CSV row, but: {error}.") from error
    return rows


def read_text(path: Path, form: str) -> str:
    """The text of the file at `path`, without a byte order mark. Raises `InputError` for what is no UTF-8."""
    return text_of(read_content(path, f"a {form} file"), path, f"a {form} file")


def require_whole(text: str, path: Path) -> None:
    """Raise `InputError` where the last row does not end with a line break: a figure cut short is another figure."""
    if text and not text.endswith(("\n", "\r")):
        raise InputError(
            f"{path}, row {len(text.splitlines())}: rows must end with a line break, but this is cut off; get the whole"
            " file, or end it with one where nothing is missing."
        )


def _fault(header: list[str]) -> str:
    """What is wrong with a header that is not `COLUMNS`."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    faults = [f"{name!r} is none of them" for name in header if name not in COLUMNS][:4]
    faults += [f"{name} is missing" for name in COLUMNS if name not in header]
    faults += [f"{name!r} comes more than once" for name in repeated]
    return ", ".join(faults) or f"their order is {','.join(header)}"


def _row(cells: list[str], where: str) -> TableRow:
    if len(cells) != len(COLUMNS):
        raise InputError(f"{where}: a row must have {len(COLUMNS)} columns, but has {len(cells)}.")
    record = dict(zip(COLUMNS, cells, strict=True))
    if not record["segment"]:
        raise InputError(f"{where}: segment must be the text of its operators, but is empty.")
    mean, low, high = (_positive(record[column], column, where) for column in ("mean_ms", "low_ms", "high_ms"))
    if not low <= mean <= high:
        column = "low_ms" if low > mean else "high_ms"
        raise InputError(f"{where}: {column} must hold `low_ms <= mean_ms <= high_ms`, but got {low}, {mean}, {high}.")
    if not (record["count"].isascii() and record["count"].isdigit() and len(record["count"]) <= 12):
        raise InputError(f"{where}: count must be a whole number of at least 0, but got {record['count']!r}.")
    for source in SOURCES:
        if source == record["source"]:
            return TableRow(
                segment=record["segment"], mean_ms=mean, low_ms=low, high_ms=high, count=int(record["count"]),
                source=source, date=record["date"],
            )  # fmt: skip
    raise InputError(f"{where}: source must be one of {', '.join(SOURCES)}, but got {record['source']!r}.")


def _positive(text: str, column: str, where: str) -> float:
    value = entering(text)
    if not value > 0:
        raise InputError(f"{where}: {column} must be a positive finite number of ms, but got {text!r}.")
    return value


def table_text(rows: Iterable[TableRow]) -> str:
    """The text of a table that `read_table` reads back exactly."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([getattr(row, column) for column in COLUMNS])
    return stream.getvalue()
