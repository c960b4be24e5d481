"""A data set as a folder: one folder a class, perhaps inside `train/`, `val/` and `test/`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nas.data.image import SUFFIXES
from nas.data.listing import SPLIT_NAMES, Listing, check_classes, refuse_links_out
from nas.data.words import few, shown
from nas.errors import InputError

_FORM = "it must hold a folder of images for each class, or train/, val/ and test/ with such folders"


def read_folder(folder: Path) -> Listing:
    """The images below `folder`, by split, class and path. What is hidden (begins with a dot) is passed over.

    Raises `InputError` for what is no such folder, a class without an image, and links that lead out.
    """
    folder = folder.resolve()
    place = shown(str(folder))
    others: list[str] = []
    tops = _split_folders(folder, others)
    found: list[tuple[int, str, Path]] = []
    for split, top in tops:
        for kind in _folders(top, folder, others):
            images = list(_images(kind, folder, others))
            if not images:
                raise InputError(
                    f"each class must have images ({' '.join(sorted(SUFFIXES))}), but"
                    f" {shown(str(kind.relative_to(folder)))} in {place} has none; fill the folder, or remove it."
                )
            found += [(split, kind.name, path) for path in images]
    if not found:
        came = f"no folder in it, but {few(others)}" if others else "nothing"
        raise InputError(f"{place}: {_FORM}, but there is {came}.")
    names = sorted({name for _, name, _ in found})
    classes = check_classes(names, place)
    return Listing(
        files=tuple(path for _, _, path in found),
        names=tuple(shown(path.relative_to(folder).as_posix()) for _, _, path in found),
        labels=tuple(names.index(name) for _, name, _ in found),
        splits=tuple(split for split, _, _ in found),
        classes=classes,
        others=tuple(others),
    )


def _split_folders(folder: Path, others: list[str]) -> list[tuple[int, Path]]:
    """The folders that hold the folders of classes, with their splits; `folder` itself where it has no splits."""
    inside = _folders(folder, folder, [])
    splits = {path: SPLIT_NAMES[path.name.lower()] for path in inside if path.name.lower() in SPLIT_NAMES}
    if not splits:
        return [(0, folder)]
    strange = [f"{shown(path.name)}/" for path in inside if path not in splits]
    absent = 0 not in splits.values()
    twice = len(set(splits.values())) < len(splits)
    if strange or absent or twice:
        came = (
            f"{few(strange)} stands beside them" if strange else "train/ is absent" if absent else "one is there twice"
        )
        raise InputError(
            f"{shown(str(folder))} must hold either classes or train/, val/ and test/, but {came}; rename or move it."
        )
    others += [shown(entry.name) for entry in _entries(folder) if not entry.is_dir()]
    return sorted((split, path) for path, split in splits.items())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in `folder` and not hidden, by name."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)


def _folders(folder: Path, root: Path, others: list[str]) -> list[Path]:
    """The folders in `folder`; the names of what else is there join `others`."""
    folders = []
    for entry in _entries(folder):
        path = Path(entry.path)
        if entry.is_dir():
            _refuse_link(entry, root)
            folders.append(path)
        else:
            others.append(shown(path.relative_to(root).as_posix()))
    return folders


def _images(folder: Path, root: Path, others: list[str]) -> Iterator[Path]:
    """The images below `folder`, at any depth; the names of other files join `others`."""
    for entry in _entries(folder):
        path = Path(entry.path)
        if entry.is_dir():
            _refuse_link(entry, root)
            yield from _images(path, root, others)
        elif path.suffix.lower() in SUFFIXES:
            if entry.is_symlink():
                refuse_links_out(path, root)
            yield path
        else:
            others.append(shown(path.relative_to(root).as_posix()))


def _refuse_link(entry: os.DirEntry[str], root: Path) -> None:
    """A folder that is a link is refused wherever it leads: it may lead in a circle."""
    if entry.is_symlink():
        refuse_links_out(Path(entry.path), root)
        raise InputError(
            f"folders of images must be folders themselves, but {shown(str(Path(entry.path).relative_to(root)))} in"
            f" {shown(str(root))} is a link; put the folder itself there."
        )
