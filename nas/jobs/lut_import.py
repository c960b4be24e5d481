"""Latency tables from elsewhere, taken into a device's own: `table.csv` files and the lookup tables of other tools.

Within one call the order of the files does not matter. Where lookup tables of several image sizes time one segment,
the largest size's row is taken; a segment that comes twice with different figures in any other way is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError
from nas.files import write_bytes
from nas.latency.device import DEVICE_FILE, Device, device_folder, load_device
from nas.latency.estimate import WEAKNESS
from nas.latency.model import TABLE_FILE
from nas.latency.table.lookup import LookupRow, Refused, read_lookup_table
from nas.latency.table.plausible import require_milliseconds
from nas.latency.table.rows import COLUMNS, TableRow, read_table, read_text, shortened, table_text
from nas.resources import workspace

_LOOKUP = (".yaml", ".yml", ".json", ".csv")
_OWN = "table.csv"
_OPERATOR = re.compile(
    r"(conv2d|conv|depthwise_conv2d|activation|batch_norm|eltwise\w*|pool(?:ing|2d)|softmax|relu)[, ]"
)
"""How a row of operators begins in PaddleSlim's tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """One file's rows; `form` is whose it is (`table.csv`, or a tool's name); `image_size` is that of the networks
    whose layers were timed, where the file tells it; `refused` are the rows that are no layers here; `assumed` of the
    rows have no deviation in the file, and an interval of `ASSUMED_SPREAD`."""

    path: Path
    form: str
    image_size: int | None
    rows: Mapping[str, TableRow]
    refused: tuple[Refused, ...] = ()
    assumed: int = 0

    def as_json(self) -> dict[str, object]:
        """The record as a mapping, its rows as a number."""
        return {
            "file": str(self.path),
            "form": self.form,
            "image_size": self.image_size,
            "rows": len(self.rows),
            "without_deviation": self.assumed,
            "refused": [{"row": row.name, "reason": row.reason} for row in self.refused],
        }


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
        files = [file.as_json() for file in self.files]
        choices = {name: [choice.as_json() for choice in getattr(self, name)] for name in ("replaced", "kept", "sizes")}
        counts = {"rows": self.rows, "added": self.added, "unchanged": self.unchanged}
        return {"folder": str(self.folder), "files": files, **counts, **choices}


def import_tables(device: str, files: Sequence[Path], activations: Sequence[str] = ()) -> Imported:
    """Merge the rows of `files` into the table of `device`, in the workspace's folder of that device.

    `activations` are those of blocks whose file does not say it (`read_lookup_table`). The folder gets copies of all
    the device's files where the device is a shipped one. Rows of lookup tables are *measured*, by whom and when
    `device.yaml` says. Raises `InputError` for an unknown device or a bad file, and `NasError` where the folder cannot
    be written to; in either case the table stays what it was.
    """
    record, source = load_device(device), device_folder(device)
    read = tuple(_read(path, record, activations) for path in files)
    rows, sizes = _joined(read)
    before = read_table(source / TABLE_FILE) if (source / TABLE_FILE).exists() else {}
    both = [Choice(taken=row, left=before[key]) for key, row in rows.items() if before.get(key, row) != row]
    kept = [choice for choice in both if WEAKNESS[choice.taken.source] > WEAKNESS[choice.left.source]]
    merged = before | rows | {choice.left.segment: choice.left for choice in kept}
    folder = workspace() / "latency_tables" / device
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


def _read(path: Path, device: Device, activations: Sequence[str]) -> ImportedFile:
    suffix = path.suffix.lower()
    first = read_text(path, suffix[1:].upper() or "text").lstrip().split("\n", 2) if path.suffix else []
    if any(_OPERATOR.match(line) for line in first[:2]):
        raise InputError(
            f"{path} must hold layers, but its rows are operators, as PaddleSlim's tables have them: what an operator"
            " costs by itself is no row of a segment, whose operators run one behind the other; time whole blocks, or"
            " whole networks (networks.csv, then `nas lut fit`)."
        )
    if suffix not in _LOOKUP:
        raise InputError(
            f"{path}: a table must be a file in the form of table.csv (.csv) or another tool's lookup table"
            f" ({', '.join(_LOOKUP)}), but its name ends in neither; rename or convert it."
        )
    if suffix == ".csv" and _is_own(first[0] if first else ""):
        found = ImportedFile(path=path, form=_OWN, image_size=None, rows=read_table(path))
    else:
        table = read_lookup_table(path, activations)
        found = ImportedFile(
            path=path,
            form=table.form,
            image_size=table.image_size,
            rows={row.segment: _measured(row, device) for row in table.rows},
            refused=table.refused,
            assumed=sum(row.std_ms is None for row in table.rows),
        )
    if not found.rows:
        raise InputError(f"{path} must hold at least one row, but has none.")
    require_milliseconds(list(found.rows.values()), str(path))
    return found


def _is_own(header: str) -> bool:
    """Whether the first line of a CSV file is meant to be the header of a table like ours."""
    return not header or len(set(COLUMNS).intersection(header.strip().split(","))) > 1


def _measured(row: LookupRow, device: Device) -> TableRow:
    """A row as ours; at least one timing stands behind it where the file does not say how many."""
    low, high = row.interval_ms()
    return TableRow(
        segment=row.segment, mean_ms=row.mean_ms, low_ms=low, high_ms=high, count=row.count or 1, source="measured",
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
                if rows[key] == row:
                    continue
                raise InputError(
                    f"a segment must come from one file, from tables of different image sizes, or with the same"
                    f" figures, but both {first.path} and {file.path} have {shortened(key)}; import one of them, or"
                    " first the one and then the other."
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
