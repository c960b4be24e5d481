"""What a command prints to: a terminal of some width and perhaps colour, or a pipe that gets everything."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from nas.printable import printable

if TYPE_CHECKING:
    from nas.report.page import Page

_F = TypeVar("_F", bound=Callable[..., Any])
_WIDE = "nas.cli.wide"
_OURS = re.compile(r"(\x1b\[(?:0|1|31|33)m)")
"""The colours that `tell` and `Page.strong` write."""


class _Printable:
    """A stream of text that writes what is printable: the one way of texts to a person, whoever they come from.

    It is no binary stream, so that nothing goes around it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`; colours of ours stay, where the stream may have them."""
        parts = _OURS.split(text) if colored(self._stream) else [text]
        self._stream.write("".join(part if i % 2 else printable(part) for i, part in enumerate(parts)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Inside the block stdout and stderr write what is printable."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Printable(out), _Printable(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def unfiltered(stream: TextIO) -> TextIO:
    """The terminal behind a stream, for what draws there itself: texts for it go through `printable` first."""
    return stream._stream if isinstance(stream, _Printable) else stream


def wide_option(function: _F) -> _F:
    """Give a command the flag --wide, which `page` heeds."""
    option: Callable[[_F], _F] = click.option(
        "--wide",
        is_flag=True,
        expose_value=False,
        callback=lambda context, parameter, value: context.meta.__setitem__(_WIDE, value),
        help="All columns, whether they fit the terminal or not.",
    )
    return option(function)


def page() -> Page:
    """What stdout is: a terminal's width and colour, no limit where it is none."""
    from nas.report.page import Page

    context = click.get_current_context(silent=True)
    wide = bool(context and context.meta.get(_WIDE))
    return Page(width=width(sys.stdout), wide=wide, color=colored(sys.stdout))


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads `stream`."""
    return stream.isatty()


def width(stream: TextIO) -> int | None:
    """The columns of the terminal that `stream` is (80 where it does not say), or None where it is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns if is_terminal(stream) else None


def colored(stream: TextIO) -> bool:
    """Whether `stream` may be given colours: it is a terminal that has some, and NO_COLOR is not set (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tell(kind: str, text: str) -> None:
    """Print "kind: text" on stderr, in lines that fit a terminal."""
    from nas.report.page import Page

    line = Page(width=width(sys.stderr)).filled(f"{kind}: {text}")
    if colored(sys.stderr):
        line = click.style(kind, fg="red" if kind == "error" else "yellow", bold=True) + line[len(kind) :]
    click.echo(line, err=True)
