"""What a data set of files says it holds, before any of them is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.data.words import few, shown
from nas.errors import InputError

SPLITS = ("train", "val", "test")
"""Their positions stand for them wherever an image says what split it is of."""
SPLIT_NAMES = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
"""How people write them, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files in order: where each is, its name in texts, the position of its class in `classes`, and of its split
    in `SPLITS`. `others` are the names of files that are no images."""

    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[int, ...]
    classes: tuple[str, ...]
    others: tuple[str, ...] = ()


def refuse_links_out(path: Path, folder: Path) -> None:
    """Raise `InputError` where `path` leads out of `folder` (which is resolved), by whatever links."""
    if not path.resolve().is_relative_to(folder):
        raise InputError(
            f"images must lie inside {shown(str(folder))}, but {shown(str(path.relative_to(folder)))} is a link that"
            " leads out of it; put the file itself there."
        )


def check_classes(classes: Sequence[str], place: str) -> tuple[str, ...]:
    """`classes` as texts that print. Raises `InputError` for fewer than two, for one without a name and for two that
    are the same."""
    texts = tuple(shown(name) for name in classes)
    if len(texts) < 2:
        raise InputError(
            f"{place} must hold at least two classes, but holds {f'one ({texts[0]})' if texts else 'none'}; a network"
            " learns to tell them apart."
        )
    twice = sorted({name for name in texts if texts.count(name) > 1})
    if twice or not all(name.strip() for name in texts):
        came = f"{few(twice)} stands there twice" if all(name.strip() for name in texts) else "one has none"
        raise InputError(f"each class of {place} must have a name of its own, but {came}; rename it.")
    return texts
