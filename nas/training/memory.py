"""Memory that a step frees stays with the process for the next one.

glibc gives large blocks back to the system as soon as they are freed, and every step then begins with thousands of page
faults: a tenth of the time of a training on small images (`benchmarks/freed_memory.md`). The most that is held at a
time does not change, only when it is given back.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_OPTIONS = ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26))
"""mallopt(3): blocks below 1 GiB come from the heap, which grows by 64 MiB and keeps up to 2 GiB that are free."""


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what it frees. Whether it does: not where its C library is another than glibc."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, value) == 1 for option, value in _OPTIONS)
