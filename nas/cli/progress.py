"""Progress of long work, on stderr: a bar on a terminal, one line a phase elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def phases() -> Iterator[Callable[[str, float | None], None]]:
    """A function that shows (what is being done, the predicted mean accuracy of the best network so far)."""
    terminal = sys.stderr.isatty()
    with tqdm(bar_format="{desc} ({elapsed})", file=sys.stderr, leave=False, disable=not terminal) as bar:
        last = ""

        def show(doing: str, best: float | None) -> None:
            nonlocal last
            text = doing if best is None else f"{doing}; predicted top-1 {100 * best:.1f} %"
            bar.set_description_str(text)
            phase = doing.partition(":")[0]
            if not terminal and phase != last:
                last = phase
                sys.stderr.write(f"{phase}\n")

        yield show


def watched(text: str) -> None:
    """Say on stderr what is being done, where a person watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
