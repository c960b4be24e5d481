"""Files of latencies that other tools write: a text a row, and figures in milliseconds.

YAML and JSON map a row's text to `mean`, `std` or `var` (in ms²) of its timings and their `count`, or to its mean
alone; CSV has the text and then the same figures, by their names where the file has a header (without one: the mean
alone). Only the mean must be there. What the texts mean is for others to say (`nas.latency.table.lookup`).
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.documents import MAX_BYTES, check_keys, read_yaml
from nas.errors import InputError
from nas.figures import entering
from nas.latency.table.rows import read_text, require_whole

FIGURES = ("count", "mean", "std", "var")
_MEANS = ("ms", "mean_ms", "latency_ms")
"""Other names of the mean in a CSV file's header."""
_OTHER_UNIT = re.compile(r"(?:.*[^a-z])?(us|µs|μs|ns|s|secs?|seconds?|micros\w*|nanos\w*)[^a-z]*", re.IGNORECASE)
"""A column's name, or a word for the unit of a file, that is of other times than ms."""
_MAX_COUNT = 10**12 - 1
_MAX_STD = 10.0
"""Standard deviation over mean: timings that stray by more are no timings of one thing, or of another unit."""
_AMOUNT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a file says of the row `name`: the mean of its timings, and, where it says so, their standard deviation and
    number. `where` names the file and the row in errors."""

    name: str
    where: str
    mean_ms: float
    std_ms: float | None
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedText:
    """A row of a file: its text, and figures that nobody has looked at yet; `where` names the file and the row."""

    name: str
    where: str
    figures: object

    def timing(self) -> Timing:
        """The row with its figures. Raises `InputError` naming file, row and rule for figures that are missing, unknown
        (another unit's, too) or no positive finite ms."""
        record = {"mean": self.figures} if _is_number(self.figures) else self.figures
        record = _checked(record, self.where)
        count, mean = record.get("count"), record["mean"]
        if not _is_number(mean) or mean <= 0:
            raise InputError(f"{self.where}: mean must be a positive finite number of ms, but got {_shown(mean)}.")
        if count is not None and not (type(count) is int and 1 <= count <= _MAX_COUNT):
            raise InputError(
                f"{self.where}: count must be a whole number of timings, at least 1, but got {_shown(count)}."
            )
        std = _std(record, mean, self.where)
        return Timing(name=self.name, where=self.where, mean_ms=float(mean), std_ms=std, count=count)


def read_timed_texts(path: Path) -> list[TimedText]:
    """The rows of the file at `path`, in its order; its form goes by its suffix (.json, .csv, else YAML).

    Raises `InputError` naming the file, and the row where there is one, for what cannot be read, is cut off or names a
    row twice, for columns that are no figures, and for a `unit` beside the rows that is not ms.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _csv_rows(path)
    document = dict(_document(path, suffix))
    for name in ("unit", "units"):
        unit = document.pop(name, "ms")
        if str(unit).lower() not in ("ms", "milliseconds"):
            raise InputError(f"{path}: times must be in ms, but {name} is {_shown(unit)}; convert the file's times.")
    return [TimedText(name=name.strip(), where=f"{path}: {name}", figures=value) for name, value in document.items()]


def _document(path: Path, suffix: str) -> Mapping[str, Any]:
    if suffix == ".json":
        return _read_json(path)
    document = read_yaml(path)
    if not path.read_bytes().rstrip(b" ").endswith((b"\n", b"}")):
        raise InputError(f"{path}: the last row must end with a line break, but is cut off; get the whole file.")
    return document


def _read_json(path: Path) -> Mapping[str, Any]:
    text = read_text(path, "JSON")
    if len(text) > MAX_BYTES:
        raise InputError(f"{path} must be at most {MAX_BYTES} bytes, but has more.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise InputError(f"{path}: a key must be given once, but {name!r} comes again.")
            found[name] = value
        return found

    try:
        document = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must be valid JSON, but: {error}; is it whole?") from error
    if not isinstance(document, dict) or not document:
        raise InputError(f"{path} must hold a mapping of rows to figures, but holds {_shown(document)}.")
    return document


def _csv_rows(path: Path) -> list[TimedText]:
    text = read_text(path, "CSV")
    reader = csv.reader(text.splitlines(), strict=True)
    found: list[TimedText] = []
    columns: tuple[str, ...] = ("mean",)
    try:
        for cells in reader:
            where = f"{path}, row {reader.line_num}"
            if not cells:
                raise InputError(f"{where}: a row must have its text and its mean, but is empty; take it out.")
            if reader.line_num == 1:
                is_header = not any(_AMOUNT.fullmatch(cell.strip()) for cell in cells[1:])
                columns = _header(cells, where) if is_header else columns
                require_whole(text, path)
                if is_header:
                    continue
            if len(cells) != len(columns) + 1:
                raise InputError(
                    f"{where}: a row must have {len(columns) + 1} columns ({', '.join(('its text', *columns))}), but"
                    f" has {len(cells)}; name the figures in a header where there are others."
                )
            record = {column: _amount(cell) for column, cell in zip(columns, cells[1:], strict=True) if cell}
            found.append(TimedText(name=cells[0].strip(), where=where, figures=record))
    except csv.Error as error:
        raise InputError(f"{path}, row {reader.line_num}: must be a CSV row, but: {error}.") from error
    return found


def _header(cells: list[str], where: str) -> tuple[str, ...]:
    """The figures that the columns behind the first one hold."""
    columns = ["mean" if cell in _MEANS else cell for cell in map(str.strip, cells[1:])]
    if not columns:
        raise InputError(f"{where}: a row must have its text and its mean with a comma between, but got {cells[0]!r}.")
    _checked(dict.fromkeys(columns), where)
    if len(set(columns)) < len(columns):
        raise InputError(f"{where}: a column must come once, but got {','.join(cells)}.")
    return tuple(columns)


def _amount(text: str) -> float | int | str:
    """A cell as a number where it is one."""
    if not _AMOUNT.fullmatch(text.strip()):
        return text
    return int(text) if text.strip().isdigit() else float(text)


def _checked(record: object, where: str) -> Mapping[str, Any]:
    """Figures by their names, the mean among them. Raises `InputError` for other names, first for other units."""
    for name in record if isinstance(record, Mapping) else ():
        if name not in FIGURES and _OTHER_UNIT.fullmatch(str(name)):
            raise InputError(
                f"{where}: times must be in ms, but {name!r} names another unit; convert the file's times."
            )
    return check_keys(record, FIGURES, where, required=("mean",))


def _std(record: Mapping[str, Any], mean: float, where: str) -> float | None:
    """The standard deviation in ms, given itself or as its square."""
    if "std" in record and "var" in record:
        raise InputError(f"{where}: std and var say the same, but both are given; take one out.")
    for name, unit in (("std", "ms"), ("var", "ms²")):
        if name in record:
            value = record[name]
            std = math.sqrt(value) if name == "var" and _is_number(value) and value >= 0 else value
            if not _is_number(std) or not 0 <= std <= _MAX_STD * mean:
                rule = f"{_MAX_STD:g} times the mean ({mean:g})" + (", squared" if name == "var" else "")
                raise InputError(
                    f"{where}: {name} must be a number of {unit} from 0 to {rule}, but got {_shown(value)}."
                )
            return float(std)
    return None


def _is_number(value: object) -> bool:
    return entering(value) == value and not isinstance(value, str)


def _shown(value: object) -> str:
    """A value for an error message: its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
