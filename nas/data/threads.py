"""Work on many images at once: Pillow and digests release the interpreter while they work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from nas.data.image import quiet

_T = TypeVar("_T")
_R = TypeVar("_R")

_MOST = 4
"""Each thread may hold an image of the greatest size that is allowed."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """The results of `function` for `items`, in order; few are begun before the earlier ones are taken."""
    count = min(_MOST, cores())
    waiting: deque[Future[_R]] = deque()
    with quiet(), ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
