"""Where data lives: search spaces, latency tables, predictors and recipes, shipped or the user's own.

Shipped data is read-only: in a wheel it lies under `nas/_data/`, in a checkout in the top-level rooms. A
workspace (the current folder, `NAS_WORKSPACE`, or what the command line was given) is looked up first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from nas.errors import InputError

ROOMS = ("search_spaces", "latency_tables", "predictors", "training_recipes")
_PACKAGE = Path(__file__).resolve().parent
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
_LONGEST = 200
"""Characters of a name: with what files and hidden folders add, disks take 255."""
_ENDING = 20
"""Characters that may be put behind a name that was made: a digest, a word."""


def shipped_room(room: str) -> Path:
    """The folder of shipped data called `room` (one of `ROOMS`)."""
    if room not in ROOMS:
        raise ValueError(f"room must be one of {ROOMS}, but got {room!r}")
    in_wheel = _PACKAGE / "_data" / room
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / room


def workspace() -> Path:
    """The user's workspace: `NAS_WORKSPACE`, or the current folder."""
    return Path(os.environ.get("NAS_WORKSPACE") or ".").resolve()


def rooms(room: str) -> list[Path]:
    """The folders to search for `room`, the user's own first; only those that exist."""
    own = workspace() / room
    found = [own] if own.is_dir() else []
    shipped = shipped_room(room)
    if shipped.is_dir() and shipped.resolve() not in [path.resolve() for path in found]:
        found.append(shipped)
    return found


def check_name(name: str, *, what: str) -> str:
    """`name` if it is a plain name (letters, digits, `.`, `_`, `-`, `@`, `+`) of at most 200 characters; anything else
    is an `InputError`."""
    if len(name) > _LONGEST:
        raise InputError(f"{what} must have at most {_LONGEST} characters, but got {len(name)}: {name!r}; shorten it.")
    if not _NAME.fullmatch(name) or ".." in name:
        raise InputError(
            f"{what} must be a plain name (letters, digits, '.', '_', '-', '@'), but got {name!r};"
            f" to use your own, put it under {workspace()} and give its name."
        )
    return name


def plain_name(text: str) -> str:
    """A name as `check_name` takes it, as like `text` as can be: what may not be in one becomes a hyphen, and of what
    is too long for a name with an ending the middle is left out."""
    name = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._@+-]+", "-", text)).lstrip("-._@+").rstrip("-.")
    if len(name) > _LONGEST - _ENDING:
        name = name[: _LONGEST - _ENDING - 60] + name[-60:]
    return name or "network"


def find(room: str, relative: str) -> Path | None:
    """The first existing path `relative` inside `room`, the user's own before the shipped one, or None."""
    for folder in rooms(room):
        path = folder / relative
        if path.exists():
            return path
    return None


def names(room: str, pattern: str) -> dict[str, Path]:
    """Name → path of what `pattern` (a glob) matches inside `room`; the user's own hide shipped ones.

    The name is the folder's for a pattern like `*/device.yaml`, the file's stem otherwise.
    """
    found: dict[str, Path] = {}
    for folder in rooms(room):
        for path in sorted(folder.glob(pattern)):
            name = path.parent.name if "/" in pattern and pattern.startswith("*/") else path.stem
            found.setdefault(name, path)
    return found


def runs_folder() -> Path:
    """The folder that commands write to: `runs/` in the workspace (not created here)."""
    return workspace() / "runs"
