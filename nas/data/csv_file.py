"""A data set as a CSV file: the path of an image, its label, and perhaps its split in each row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from nas.data.listing import SPLIT_NAMES, SPLITS, Listing, check_classes, refuse_links_out
from nas.data.words import few, shown
from nas.errors import InputError


def read_csv(path: Path) -> Listing:
    """The images that `path` names, in its order.

    The first row names the columns `path`, `label` and perhaps `split` (train, val or test); further ones are passed
    over. Paths are relative to the file's folder, with `/`. Raises `InputError` for anything else, for paths that lead
    out of the folder, and for files that are absent.
    """
    place = shown(str(path))
    rows = _rows(path, place)
    folder = path.parent.resolve()
    files = [_file(row["path"], folder, f"{place}, row {i}") for i, row in enumerate(rows, 2)]
    absent = [shown(row["path"]) for row, file in zip(rows, files, strict=True) if not _is_there(file)]
    if absent:
        raise InputError(f"every file that {place} names must be there, but {len(absent)} are not: {few(absent)}.")
    for file in files:
        refuse_links_out(file, folder)
    labels = [row["label"].strip() for row in rows]
    names = sorted(set(labels))
    classes = check_classes(names, place)
    position = {name: i for i, name in enumerate(names)}
    return Listing(
        files=tuple(files),
        names=tuple(shown(row["path"]) for row in rows),
        labels=tuple(position[label] for label in labels),
        splits=tuple(_split(row.get("split"), f"{place}, row {i}") for i, row in enumerate(rows, 2)),
        classes=classes,
    )


def _rows(path: Path, place: str) -> list[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            rows: list[Mapping[str, str]] = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{place} must be a readable CSV file in UTF-8, but: {shown(str(error))}.") from error
    if not {"path", "label"} <= set(columns) or len(set(columns)) < len(columns):
        raise InputError(
            f"the first row of {place} must name the columns path, label and perhaps split, each once, but names"
            f" {few([shown(str(column)) for column in columns]) or 'nothing'}."
        )
    wanted = [column for column in ("path", "label", "split") if column in columns]
    for i, row in enumerate(rows, 2):
        if None in row or any(not (row[column] or "").strip() for column in wanted):
            raise InputError(
                f"{place}, row {i}: each row must have a value for {', '.join(wanted)} and no more values than there"
                " are columns; complete it, or put quotes around a value with a comma."
            )
    if not rows:
        raise InputError(f"{place} must name images, but has no row below its first.")
    return rows


def _file(text: str, folder: Path, place: str) -> Path:
    relative = PurePosixPath(text)
    if relative.is_absolute() or ".." in relative.parts or "\\" in text or "\0" in text or PureWindowsPath(text).drive:
        raise InputError(
            f"{place}: a path must be relative to the file's folder, with / and without .., but got {shown(text)!r};"
            " put the images below that folder."
        )
    return folder / relative


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _split(text: str | None, place: str) -> int:
    if text is None:
        return 0
    split = SPLIT_NAMES.get(text.strip().lower())
    if split is None:
        raise InputError(f"{place}: split must be one of {', '.join(SPLITS)}, but got {shown(text)!r}.")
    return split
