"""Tables as text: columns chosen and aligned, in lines that fit the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from nas.printable import in_markdown, printable
from nas.report.page import PLAIN, Page

_GAP = "  "
_NARROWEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name, how its texts are aligned, and what becomes of it where the page is narrow.

    Columns of a `priority` above 0 are left out, the highest first, of equal ones the last; then those that `wrap` are
    broken into lines.
    """

    name: str
    align: Literal["left", "right"] = "left"
    priority: int = 0
    wrap: bool = False


def numeric(name: str, priority: int = 0) -> Column:
    """A column of numbers: aligned to the right."""
    return Column(name=name, align="right", priority=priority)


def textual(name: str, priority: int = 0, *, wrap: bool = False) -> Column:
    """A column of texts: aligned to the left."""
    return Column(name=name, priority=priority, wrap=wrap)


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], page: Page = PLAIN) -> str:
    """The table of `rows` (a value for each column, printed by `str`; None is "-"): names, a rule, a line a row.

    Where columns had to be left out, a last line names them.
    """
    cells = [["-" if value is None else printable(str(value)).expandtabs() for value in row] for row in rows]
    width = None if page.wide else page.width
    widths = [
        max(cell_len(line) for line in [column.name, *(part for row in cells for part in row[i].split("\n"))])
        for i, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    while width is not None and _total(widths, kept) > width and any(columns[i].priority for i in kept):
        kept.remove(max(kept, key=lambda i: (columns[i].priority, i)))
    if width is not None:
        words = [_longest_word([column.name, *(row[i] for row in cells)]) for i, column in enumerate(columns)]
        _narrow([i for i in kept if columns[i].wrap], words, widths, kept, width)
        _narrow([i for i in kept if columns[i].align == "left"], [_NARROWEST] * len(words), widths, kept, width)
    lines = [
        *(page.strong(line) for line in _lines([column.name for column in columns], columns, widths, kept)),
        _GAP.join("-" * widths[i] for i in kept),
        *(line for row in cells for line in _lines(row, columns, widths, kept)),
    ]
    hidden = [column.name for i, column in enumerate(columns) if i not in kept]
    if hidden:
        lines.append(page.filled(f"(--wide shows {', '.join(hidden)} as well)"))
    return "\n".join(lines)


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[i] for i in kept) + len(_GAP) * (len(kept) - 1)


def _longest_word(texts: Sequence[str]) -> int:
    return max(cell_len(word) for text in texts for word in ("", *text.split()))


def _narrow(chosen: Sequence[int], least: Sequence[int], widths: list[int], kept: Sequence[int], width: int) -> None:
    """Make `chosen` columns narrower, the widest first and none below its `least` width, until the table fits."""
    while _total(widths, kept) > width:
        able = [i for i in chosen if widths[i] > least[i]]
        if not able:
            return
        widths[max(able, key=lambda i: widths[i])] -= 1


def _lines(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int]) -> list[str]:
    """The lines of one row; a cell that is too wide goes on below."""
    parts = [_broken(row[i], widths[i]) for i in kept]
    lines = []
    for at in range(max(map(len, parts))):
        found = [
            _aligned(part[at] if at < len(part) else "", columns[i], widths[i])
            for i, part in zip(kept, parts, strict=True)
        ]
        lines.append(_GAP.join(found).rstrip())
    return lines


def _broken(cell: str, width: int) -> list[str]:
    return [part for line in cell.split("\n") for part in (_wrapped(line, width) if cell_len(line) > width else [line])]


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, break_on_hyphens=True)


def _aligned(cell: str, column: Column, width: int) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if column.align == "right" else cell + space


def markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The same as a table of Markdown (GitHub's), for pages."""
    cells = [[in_markdown(str(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    padded = [
        "| " + " | ".join(cell + " " * (w - cell_len(cell)) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in [names, *cells]
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])
