"""Ctrl-C and kill while training: the step under way is finished, and a checkpoint kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """A function that says whether the process was asked to stop (SIGINT, SIGTERM) since the block began.

    Who handled the signal before hears of it, but interrupts nothing yet. The second time it is asked the process stops
    at once. Outside the main thread, where no signal arrives, nobody asks.
    """
    asked = threading.Event()
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        former = before.get(number)
        if callable(former):
            with suppress(KeyboardInterrupt):
                former(number, frame)

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before |= {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            # None is a handler that was not set by Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
