"""Latency tables from elsewhere, taken into a device's own: `table.csv` files and tables of once-for-all's users.

Within one call the order of the files does not matter. Where once-for-all's tables of several image sizes time one
segment, the largest size's row is taken; a segment that comes twice in any other way is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError
from nas.files import write_bytes
from nas.latency.device import DEVICE_FILE, Device
from nas.latency.estimate import WEAKNESS
from nas.latency.home import DeviceHome
from nas.latency.model import TABLE_FILE
from nas.latency.table.ofa import OfaRow, read_ofa_table
from nas.latency.table.plausible import require_milliseconds
from nas.latency.table.rows import TableRow, read_table, shortened, table_text

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """One file's rows; `image_size` is that of the networks whose layers were timed, where the file tells it."""

    path: Path
    image_size: int | None
    rows: Mapping[str, TableRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Two rows for one segment, of which `taken` was kept and `left` was not."""

    taken: TableRow
    left: TableRow

    def as_json(self) -> dict[str, object]:
        """The segment and both means in ms."""
        return {"segment": self.taken.segment, "taken_ms": self.taken.mean_ms, "left_ms": self.left.mean_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import made of the table in `folder`, which has `rows` rows now.

    `replaced` are rows of the table that gave way to imported ones; `kept` those that did not, as the imported ones are
    of a weaker source; `sizes` the choices between image sizes.
    """

    folder: Path
    files: tuple[ImportedFile, ...]
    rows: int
    added: int
    unchanged: int
    replaced: tuple[Choice, ...]
    kept: tuple[Choice, ...]
    sizes: tuple[Choice, ...]

    def as_json(self) -> dict[str, object]:
        """The record as a mapping; every choice with its segment and both means in ms."""
        files = [{"file": str(file.path), "image_size": file.image_size, "rows": len(file.rows)} for file in self.files]
        choices = {name: [choice.as_json() for choice in getattr(self, name)] for name in ("replaced", "kept", "sizes")}
        counts = {"rows": self.rows, "added": self.added, "unchanged": self.unchanged}
        return {"folder": str(self.folder), "files": files, **counts, **choices}


def import_tables(home: DeviceHome, files: Sequence[Path]) -> Imported:
    """Merge the rows of `files` into the table of a device, in the workspace's folder of that device.

    The folder gets copies of all the device's files where the device is a shipped one. Rows of once-for-all's tables
    are *measured*, by whom and when `device.yaml` says. Raises `InputError` for a bad file, and
    `NasError` where the folder cannot be written to; in either case the table stays what it was.
    """
    source, folder = home.folder, home.own_folder
    read = tuple(_read(path, home.device) for path in files)
    rows, sizes = _joined(read)
    before = read_table(source / TABLE_FILE) if (source / TABLE_FILE).exists() else {}
    both = [Choice(taken=row, left=before[key]) for key, row in rows.items() if before.get(key, row) != row]
    kept = [choice for choice in both if WEAKNESS[choice.taken.source] > WEAKNESS[choice.left.source]]
    merged = before | rows | {choice.left.segment: choice.left for choice in kept}
    _write(merged.values(), source, folder)
    return Imported(
        folder=folder,
        files=read,
        rows=len(merged),
        added=len(rows.keys() - before.keys()),
        unchanged=sum(before.get(key) == row for key, row in rows.items()),
        replaced=tuple(choice for choice in both if choice not in kept),
        kept=tuple(Choice(taken=choice.left, left=choice.taken) for choice in kept),
        sizes=tuple(sizes),
    )


def _read(path: Path, device: Device) -> ImportedFile:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        found = ImportedFile(path=path, image_size=None, rows=read_table(path))
    elif suffix in _YAML:
        table = read_ofa_table(path)
        rows = {row.segment: _measured(row, device) for row in table.rows}
        found = ImportedFile(path=path, image_size=table.image_size, rows=rows)
    else:
        raise InputError(
            f"{path}: a table must be a file in the form of table.csv (.csv) or a lookup table of once-for-all's users"
            f" ({', '.join(_YAML)}), but its name ends in neither; rename or convert it."
        )
    if not found.rows:
        raise InputError(f"{path} must hold at least one row, but has none.")
    require_milliseconds(list(found.rows.values()), str(path))
    return found


def _measured(row: OfaRow, device: Device) -> TableRow:
    low, high = row.interval_ms()
    return TableRow(
        segment=row.segment, mean_ms=row.mean_ms, low_ms=low, high_ms=high, count=row.count, source="measured",
        date=device.date,
    )  # fmt: skip


def _joined(files: Iterable[ImportedFile]) -> tuple[dict[str, TableRow], list[Choice]]:
    """All rows, and the choices made between image sizes: the largest is taken, whatever the order of the files."""
    rows: dict[str, TableRow] = {}
    origin: dict[str, ImportedFile] = {}
    choices: list[Choice] = []
    for file in sorted(files, key=lambda file: -(file.image_size or 0)):
        for key, row in file.rows.items():
            first = origin.setdefault(key, file)
            if first is file:
                rows[key] = row
                continue
            if None in (first.image_size, file.image_size) or first.image_size == file.image_size:
                raise InputError(
                    f"a segment must come from one file, or from tables of different image sizes, but both {first.path}"
                    f" and {file.path} have {shortened(key)}; import one of them, or first the one and then the other."
                )
            choices.append(Choice(taken=rows[key], left=row))
    return rows, choices


def _write(rows: Iterable[TableRow], source: Path, folder: Path) -> None:
    """Write the table, after copies of the device's other files where `folder` is not their place yet.

    device.yaml comes last: a folder without it is no device, so half a copy never hides a shipped one.
    """
    text = table_text(sorted(rows, key=lambda row: row.segment))
    copied = sorted(source.iterdir()) if folder.resolve() != source.resolve() else []
    for path in copied:
        if path.is_file() and path.name[0] != "." and path.name not in (TABLE_FILE, DEVICE_FILE):
            write_bytes(folder / path.name, path.read_bytes())
    write_bytes(folder / TABLE_FILE, text.encode())
    if copied:
        write_bytes(folder / DEVICE_FILE, (source / DEVICE_FILE).read_bytes())
