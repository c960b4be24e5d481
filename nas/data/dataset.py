"""A data set that was read and checked: every image known by its content, none in two splits."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.check import Checked, check_files
from nas.data.csv_file import read_csv
from nas.data.division import SHARES, copies_in_training, divide
from nas.data.findings import Findings, Unreadable, size_counts
from nas.data.folder import read_folder
from nas.data.image import NOTES, pixels_digest
from nas.data.listing import SPLITS, Listing
from nas.data.npz import Arrays, read_npz
from nas.data.sources import ArrayImages, FileImages, Images
from nas.data.words import shown
from nas.errors import InputError
from nas.progress import OnProgress, silent
from nas.resources import runs_folder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """What can be trained on, in the order of its source, without unreadable files and without copies across splits.

    Of each image: its name in texts, the position of its class, that of the split it was given (in `SPLITS`), the
    digest of its content, a number that it shares with its copies, and (height, width). `channels` is 1 where every
    image is gray, else 3. All arrays have n rows.
    """

    path: Path
    form: str
    classes: tuple[str, ...]
    images: Images
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    given: NDArray[np.int8]
    contents: tuple[str, ...]
    groups: NDArray[np.int64]
    sizes: NDArray[np.int64]
    channels: int
    findings: Findings

    def __len__(self) -> int:
        return len(self.labels)

    def splits(self, seed: int) -> NDArray[np.int8]:
        """The split of each image, of shape (n,): the given ones, and those drawn with `seed` (`divide`)."""
        return divide(self.labels, self.given, self.groups, self.contents, self.classes, seed)

    def as_json(self) -> dict[str, Any]:
        """The record that `nas data show --json` prints."""
        return {"path": shown(str(self.path)), "form": self.form, **self.findings.as_json(self.classes)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Images that can be read, before copies are looked for."""

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    contents: tuple[str, ...]
    pixels: tuple[str, ...]
    sizes: NDArray[np.int64]
    channels: tuple[int, ...]
    formats: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]


def open_data(path: str | Path, *, progress: OnProgress = silent) -> DataSet:
    """Read and check the data set at `path`: a folder of classes, an `.npz` file or a `.csv` file.

    Every image is decoded once, and told apart by its pixels; files that cannot be read are left out and named in the
    findings. An image with copies in several given splits stays in the one that is held back most. What was found of
    files is remembered under `runs/data`. Raises `InputError` for data that cannot be trained on.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    if place.is_dir():
        return _of_files(place, "folder", read_folder(place), progress)
    if place.is_file() and suffix == ".csv":
        return _of_files(place, "csv", read_csv(place), progress)
    if place.is_file() and suffix == ".npz":
        return _of_arrays(place, read_npz(place))
    came = "is another file" if place.is_file() else "is not there"
    raise InputError(
        f"data must be a folder with a folder of images for each class, an .npz or a .csv file, but {shown(str(path))}"
        f" {came}."
    )


def kept_folder(path: Path) -> Path:
    """The folder under `runs/` for what is kept of the data set at `path` (not created here)."""
    resolved = path.resolve()
    name = re.sub(r"[^A-Za-z0-9._-]", "_", resolved.stem)[:40].lstrip(".") or "data"
    return runs_folder() / "data" / f"{name}-{hashlib.sha256(os.fsencode(resolved)).hexdigest()[:8]}"


def _of_files(path: Path, form: str, listing: Listing, progress: OnProgress) -> DataSet:
    checked = check_files(listing.files, kept_folder(path) / "checked.json", progress=progress)
    good = [(i, one, one.facts) for i, one in enumerate(checked) if one.facts is not None]
    unreadable = tuple(
        Unreadable(name=name, reason=one.reason)
        for name, one in zip(listing.names, checked, strict=True)
        if one.facts is None
    )
    _refuse_unreadable(path, listing, checked)
    rows = _Rows(
        names=tuple(listing.names[i] for i, _, _ in good),
        labels=np.array([listing.labels[i] for i, _, _ in good], np.int64),
        splits=np.array([listing.splits[i] for i, _, _ in good], np.int8),
        contents=tuple(one.content for _, one, _ in good),
        pixels=tuple(facts.pixels for _, _, facts in good),
        sizes=np.array([(facts.height, facts.width) for _, _, facts in good], np.int64),
        channels=tuple(facts.channels for _, _, facts in good),
        formats=tuple(facts.format for _, _, facts in good),
        notes=tuple(facts.notes for _, _, facts in good),
    )
    files = tuple(listing.files[i] for i, _, _ in good)

    def images(kept: NDArray[np.int64]) -> Images:
        return FileImages(
            files=tuple(files[i] for i in kept.tolist()), contents=tuple(rows.contents[i] for i in kept.tolist())
        )

    return _assembled(path, form, listing.classes, rows, images, unreadable, listing.others)


def _refuse_unreadable(path: Path, listing: Listing, checked: Sequence[Checked]) -> None:
    """Raise `InputError` for a class of which no file can be read."""
    readable = {label for label, one in zip(listing.labels, checked, strict=True) if one.facts is not None}
    for label, name, one in zip(listing.labels, listing.names, checked, strict=True):
        if label not in readable:
            whose = f"class {listing.classes[label]} of {shown(str(path))}" if readable else shown(str(path))
            raise InputError(
                f"images must be readable, but no file of {whose} is: {name} {one.reason}; export them again, as"
                " JPEG or PNG."
            )


def _of_arrays(path: Path, arrays: Arrays) -> DataSet:
    digests = tuple(pixels_digest(image) for image in arrays.images)
    count, height, width, channels = arrays.images.shape
    rows = _Rows(
        names=arrays.names,
        labels=arrays.labels,
        splits=arrays.splits,
        contents=digests,
        pixels=digests,
        sizes=np.tile(np.array([height, width], np.int64), (count, 1)),
        channels=(channels,) * count,
        formats=("npz",) * count,
        notes=((),) * count,
    )
    return _assembled(
        path, "npz", arrays.classes, rows, lambda kept: ArrayImages(array=arrays.images, rows=kept), (), ()
    )


def _assembled(
    path: Path,
    form: str,
    classes: tuple[str, ...],
    rows: _Rows,
    images: Callable[[NDArray[np.int64]], Images],
    unreadable: tuple[Unreadable, ...],
    others: tuple[str, ...],
) -> DataSet:
    """The data set of `rows` without copies across splits, with what was found; `images` are those of chosen rows."""
    groups = np.unique(np.array(rows.pixels), return_inverse=True)[1].astype(np.int64)
    left_out = copies_in_training(groups, rows.splits)
    kept = np.flatnonzero(~left_out)
    given, labels = rows.splits[kept], rows.labels[kept]
    contents = tuple(rows.contents[i] for i in kept.tolist())
    splits = divide(labels, given, groups[kept], contents, classes, 0)
    counts = np.zeros((len(classes), len(SPLITS)), np.int64)
    np.add.at(counts, (labels, splits), 1)
    findings = Findings(
        counts=tuple((train, val, test) for train, val, test in counts.tolist()),
        drawn=tuple(SPLITS[split] for split in SHARES if not (given == split).any()),
        sizes=size_counts(rows.sizes[kept]),
        channels=dict(sorted(Counter(rows.channels[i] for i in kept.tolist()).items())),
        formats=dict(Counter(rows.formats[i] for i in kept.tolist()).most_common()),
        notes={note: sum(note in rows.notes[i] for i in kept.tolist()) for note in NOTES},
        unreadable=unreadable,
        others=others,
        copies_left_out=tuple(rows.names[i] for i in np.flatnonzero(left_out).tolist()),
        copies=len(kept) - len(np.unique(groups[kept])),
        contradictions=_contradictions(groups, rows),
    )
    return DataSet(
        path=path,
        form=form,
        classes=classes,
        images=images(kept),
        names=tuple(rows.names[i] for i in kept.tolist()),
        labels=labels,
        given=given,
        contents=contents,
        groups=groups[kept],
        sizes=rows.sizes[kept],
        channels=max(findings.channels),
        findings=findings,
    )


def _contradictions(groups: NDArray[np.int64], rows: _Rows) -> tuple[str, ...]:
    """The names of images that have a copy in another class."""
    least = np.full(groups.max() + 1, np.iinfo(np.int64).max)
    most = np.full(groups.max() + 1, -1)
    np.minimum.at(least, groups, rows.labels)
    np.maximum.at(most, groups, rows.labels)
    return tuple(rows.names[i] for i in np.flatnonzero((least != most)[groups]).tolist())
