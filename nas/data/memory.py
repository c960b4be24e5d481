"""How much memory and disk there is for images."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from nas.data.words import shown
from nas.errors import NasError
from nas.units import bytes_text

_SPARE_BYTES = 2**26


_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_NEW_FILES = ("memory.max", "memory.current", "inactive_file")
_OLD_FILES = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""A control group's limit, what it uses, and the row of its memory.stat that can be pushed out: version 2 and 1."""


def free_memory() -> int:
    """The bytes that may be taken without anything being pushed out: what Linux says, but no more than the control
    groups of a container leave; elsewhere half of the memory."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB$", (_PROC / "meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return min([1024 * int(found.group(1)), *_left_by_groups()])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _left_by_groups() -> Iterator[int]:
    """The bytes that each control group with a limit leaves, of all that this process is in."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for number, controllers, path in (line.split(":", 2) for line in lines):
        if number == "0":
            root, files = _GROUPS, _NEW_FILES
        elif "memory" in controllers.split(","):
            root, files = _GROUPS / "memory", _OLD_FILES
        else:
            continue
        inner = root / path.strip("/")
        for folder in (inner, *inner.parents):
            left = _left_by(folder, *files) if folder.is_relative_to(root) else None
            if left is not None:
                yield left


def _left_by(folder: Path, limit: str, used: str, spare: str) -> int | None:
    """The bytes that the control group at `folder` leaves; None without a limit, or where it is not seen from here."""
    try:
        rows = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        most, taken = (int((folder / name).read_text()) for name in (limit, used))
        return max(0, most - taken + int(rows[spare]))
    except (OSError, ValueError, KeyError):  # "max" is no limit
        return None


def refuse_without_room(folder: Path, size_bytes: int) -> None:
    """Raise `NasError` where the disk of `folder` (which need not exist) has no room for `size_bytes` and some more."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size_bytes + _SPARE_BYTES:
        raise NasError(
            f"the decoded images take {bytes_text(size_bytes)}, which must fit the disk of {shown(str(folder))}, but"
            f" {bytes_text(free)} are free there; free some, or choose another place with --workspace."
        )
