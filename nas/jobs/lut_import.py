"""Latency tables from elsewhere, taken into a device's own: `table.csv` files and the lookup tables of other tools,
whose rows become those of its table, and tables of operators, which its operator costs are fitted to.

Within one call the order of the files does not matter. Where lookup tables of several image sizes time one segment,
the largest size's row is taken; a segment that comes twice with different figures in any other way is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import InputError
from nas.files import sha256, write_bytes
from nas.latency.device import DEVICE_FILE, Device
from nas.latency.estimate import WEAKNESS
from nas.latency.home import DeviceHome
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE, read_latency_model
from nas.latency.table.lookup import LookupRow, Refused, read_lookup_table
from nas.latency.table.operator_times import OperatorTime, OperatorTimes, is_operator_table, read_operator_times
from nas.latency.table.plausible import require_milliseconds
from nas.latency.table.rows import COLUMNS, TableRow, read_table, read_text, shortened, table_text
from nas.latency.timed.alone import fit_alone
from nas.latency.timed.regression import MIN_NETWORKS
from nas.latency.timed.regressor import OperatorRegressor

_LOOKUP = (".yaml", ".yml", ".json", ".csv")
_OWN = "table.csv"


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


def import_any(
    home: DeviceHome, files: Sequence[Path], activations: Sequence[str] = ()
) -> Imported | ImportedOperators:
    """`import_operators` for a table of operators, else `import_tables`."""
    if any(is_operator_table(path) for path in files):
        if len(files) > 1:
            raise InputError(f"a table of operators must be imported by itself, but got {len(files)} files.")
        return import_operators(home, files[0])
    return import_tables(home, files, activations)


def import_tables(home: DeviceHome, files: Sequence[Path], activations: Sequence[str] = ()) -> Imported:
    """Merge the rows of `files` into the table of a device, in the workspace's folder of that device.

    `activations` are those of blocks whose file does not say it (`read_lookup_table`). The folder gets copies of all
    the device's files where the device is a shipped one. Rows of lookup tables are *measured*, by whom and when
    `device.yaml` says. Raises `InputError` for a bad file, and `NasError` where the folder cannot be written to; in
    either case the table stays what it was.
    """
    source, folder = home.folder, home.own_folder
    read = tuple(_read(path, home.device, activations) for path in files)
    rows, sizes = _joined(read)
    before = read_table(source / TABLE_FILE) if (source / TABLE_FILE).exists() else {}
    both = [Choice(taken=row, left=before[key]) for key, row in rows.items() if before.get(key, row) != row]
    kept = [choice for choice in both if WEAKNESS[choice.taken.source] > WEAKNESS[choice.left.source]]
    merged = before | rows | {choice.left.segment: choice.left for choice in kept}
    _copy(source, folder, {TABLE_FILE: table_text(sorted(merged.values(), key=lambda row: row.segment))})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedOperators:
    """Operator costs that were fitted to a table of operators, written to `folder`."""

    folder: Path
    found: OperatorTimes
    costs: OperatorRegressor

    def as_json(self) -> dict[str, object]:
        """The record as a mapping."""
        return {
            "folder": str(self.folder),
            "file": str(self.found.path),
            "form": "PaddleSlim",
            "rows": 0,
            "operators": len(self.found.times),
            "refused": [{"row": row.name, "reason": row.reason} for row in self.found.refused],
            "left_out": dict(self.costs.manifest["scores"]["operators"]),
        }


def import_operators(home: DeviceHome, path: Path) -> ImportedOperators:
    """Fit the operator costs of a device to the table of operators at `path`; its table gets no rows from it.

    Writes coefficients.json to the workspace's folder of the device. Raises `InputError` for a bad file, for one of too
    few operators, and for a device whose costs come from elsewhere.
    """
    record, source, folder = home.device, home.folder, home.own_folder
    costs_before = read_latency_model(record, source).operators if (source / COEFFICIENTS_FILE).exists() else None
    if costs_before is not None and "operators" not in costs_before.manifest:
        raise InputError(
            f"{home.name} must have no operator costs but those of an imported table of operators, but its are fitted"
            " to networks; add a device of another name."
        )
    found = read_operator_times(path)
    if len(found.times) < MIN_NETWORKS:
        refused = f"; refused: {'; '.join(map(str, found.refused))}" if found.refused else ""
        raise InputError(
            f"{path}: costs of operators need at least {MIN_NETWORKS} of them to be fitted to, but it has"
            f" {len(found.times)}{refused}. They are operators, not blocks: none of them can be a row of the table."
        )
    rows = [_alone(time, record) for time in found.times]
    require_milliseconds(rows, str(path))
    manifest = {
        "device": home.name,
        "date": record.date,
        "operators": len(found.times),
        "header": found.header,
        "inputs_sha256": {path.name: sha256(path)},
    }
    latency_ms = np.array([row.mean_ms for row in rows])
    costs = fit_alone([time.segment for time in found.times], latency_ms, manifest)
    _copy(source, folder, {COEFFICIENTS_FILE: costs.to_json()})
    return ImportedOperators(folder=folder, found=found, costs=costs)


def _alone(time: OperatorTime, device: Device) -> TableRow:
    return TableRow(
        segment=time.segment.key, mean_ms=time.mean_ms, low_ms=time.mean_ms, high_ms=time.mean_ms, count=1,
        source="measured", date=device.date,
    )  # fmt: skip


def _read(path: Path, device: Device, activations: Sequence[str]) -> ImportedFile:
    suffix = path.suffix.lower()
    if suffix not in _LOOKUP:
        raise InputError(
            f"{path}: a table must be a file in the form of table.csv (.csv) or another tool's lookup table"
            f" ({', '.join(_LOOKUP)}), but its name ends in neither; rename or convert it."
        )
    if suffix == ".csv" and _is_own(read_text(path, "CSV").partition("\n")[0]):
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


def _copy(source: Path, folder: Path, texts: Mapping[str, str]) -> None:
    """Write `texts` by their names, after copies of the device's other files where `folder` is not their place yet.

    device.yaml comes last: a folder without it is no device, so half a copy never hides a shipped one.
    """
    copied = sorted(source.iterdir()) if folder.resolve() != source.resolve() else []
    for path in copied:
        if path.is_file() and path.name[0] != "." and path.name not in (*texts, DEVICE_FILE):
            write_bytes(folder / path.name, path.read_bytes())
    for name, text in texts.items():
        write_bytes(folder / name, text.encode())
    if copied:
        write_bytes(folder / DEVICE_FILE, (source / DEVICE_FILE).read_bytes())
