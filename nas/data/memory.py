"""How much memory and disk there is for images."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from nas.data.words import shown
from nas.errors import NasError
from nas.units import bytes_text

_SPARE_BYTES = 2**26


def free_memory() -> int:
    """The bytes that may be taken without anything being pushed out: what Linux says, elsewhere half of the memory."""
    try:
        found = re.search(
            r"^MemAvailable:\s*(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE
        )
    except OSError:
        found = None
    if found:
        return 1024 * int(found.group(1))
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


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
