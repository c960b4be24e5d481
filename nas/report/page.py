"""What a text is laid out for: a terminal of some width, or a file that takes everything."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

_NARROWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a text is laid out for.

    `width` is the number of characters in a line, None where there is no limit (a pipe, a file). With `wide` a table
    keeps all of its columns, whether they fit or not. `color` says whether the page shows more than characters.
    """

    width: int | None = None
    wide: bool = False
    color: bool = False

    def filled(self, text: str, *, indent: str = "", hanging: str | None = None) -> str:
        """`text` in lines that fit, the first one after `indent`, the others after `hanging` (by default `indent`).

        Breaks stand between words alone; a line break of `text` stays.
        """
        hanging = indent if hanging is None else hanging
        if self.width is None:
            return "\n".join(f"{indent}{line}" if line else "" for line in text.split("\n"))
        return "\n".join(
            textwrap.fill(
                line,
                max(self.width, _NARROWEST),
                initial_indent=indent,
                subsequent_indent=hanging,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in text.split("\n")
        )

    def strong(self, text: str) -> str:
        """`text`, emphasised where the page can."""
        return f"\033[1m{text}\033[0m" if self.color and text.strip() else text


PLAIN = Page()
"""A pipe or a file: everything, in lines of any length."""
