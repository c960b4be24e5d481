"""Progress of long work, on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from nas.cli.terminal import unfiltered
from nas.printable import on_one_line
from nas.progress import OnProgress, Step

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_S, EVERY_S = 2.0, 10.0
"""Where stderr is no terminal: how long nothing is said, and the time between two lines of one phase."""


@contextmanager
def progress() -> Iterator[OnProgress]:
    """A function that shows a `Step`. Where stderr is no terminal short work is silent, so an error stands alone."""
    if not sys.stderr.isatty():
        yield Lines(sys.stderr)
        return
    bar = _Bar()
    bar(Step(doing="starting"))
    try:
        yield bar
    finally:
        bar.close()


class Lines:
    """Progress as lines: one for a phase, then one every `EVERY_S` seconds of `clock`; none in the first `QUIET_S`."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._doing, self._told = "", ""
        self._start = self._began = self._said = clock()

    def __call__(self, step: Step) -> None:
        now = self._clock()
        if step.doing != self._doing:
            self._doing, self._began = step.doing, now
        if now - self._start < QUIET_S:
            return
        if step.doing != self._told or now - self._said >= EVERY_S:
            line = step.doing if now - self._began < QUIET_S else _line(step, now - self._began)
            self._told, self._said = step.doing, now
            self._stream.write(f"{line}\n")
            self._stream.flush()


def _line(step: Step, spent_s: float) -> str:
    texts = [step.note] if step.note else []
    if step.share is None:
        texts.insert(0, f"for {duration_text(spent_s)}")
    else:
        texts.insert(0, f"{100 * step.share:.0f} %")
        if step.share > 0:
            texts.insert(1, f"about {duration_text(spent_s * (1 / step.share - 1))} left")
    return f"{step.doing}: {', '.join(texts)}"


def duration_text(seconds: float) -> str:
    """ "8 s", "3 min", "1 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class _Bar:
    """A bar of the phase."""

    def __init__(self) -> None:
        self._progress = _rich_progress()
        self._task = self._progress.add_task("", total=None, note="")
        self._progress.start()
        self._doing = ""

    def __call__(self, step: Step) -> None:
        total = None if step.share is None else step.of
        if step.doing != self._doing:
            self._doing = step.doing
            self._progress.reset(self._task, description=on_one_line(step.doing), total=total, note="")
        note = f"; {on_one_line(step.note)}" if step.note else ""
        self._progress.update(self._task, completed=step.done, total=total, note=note)

    def close(self) -> None:
        self._progress.stop()


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    words = TextColumn(
        "{task.description}{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
    )
    left = TimeRemainingColumn(compact=True, elapsed_when_finished=False)
    shown = (words, BarColumn(bar_width=12), TaskProgressColumn(), left, TextColumn("left"))
    # An empty NO_COLOR means nothing (no-color.org).
    console = Console(file=unfiltered(sys.stderr), highlight=False, no_color=bool(os.environ.get("NO_COLOR")))
    return Progress(*shown, console=console, transient=True)
