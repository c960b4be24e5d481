"""Texts of files made fit to be shown: what steers a terminal, hides or turns text is written out instead.

Names, cards, operators and messages come from files of others. `printable` is what every stream of the command line
and every table passes texts through, `in_markdown` what a card does.
"""

from __future__ import annotations

import re
import unicodedata

_HARMLESS = "\n\t"
_HIDING = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters by their category that show as nothing."""
_STEERING = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Control characters, formats (directions, joiners, tags), halves of characters, private and unassigned ones,
breaks."""
_SUSPECT = re.compile(r"[^\x20-\x7e\n\t]")
_CELL_END, _LINK = re.compile(r"(\\*)\|"), re.compile(r"\](?=[(\[:])")


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    if character in _HARMLESS or not (unicodedata.category(character) in _STEERING or character in _HIDING):
        return character
    return "".join(f"\\u{unit:04x}" for unit in _units(character))


def _units(character: str) -> tuple[int, ...]:
    """The code of a character as JSON writes it: two halves above the basic plane."""
    code = ord(character)
    return (code,) if code < 0x10000 else (0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF))


def printable(text: str) -> str:
    """`text` with every character that a terminal would obey, or a reader not see, as JSON writes it (`\\u001b`).

    Line breaks and tabs stay. What is printable already is given back as it is, so JSON stays the same document.
    """
    return text if text.isascii() and text.isprintable() else _SUSPECT.sub(_written_out, text)


def on_one_line(text: str) -> str:
    """`text` printable, its breaks and tabs as spaces."""
    return " ".join(printable(text).split())


def in_markdown(text: str) -> str:
    """`text` on one line of a Markdown page, where it ends no cell, and is no link, image or HTML."""
    line = on_one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _LINK.sub(r"\]", _CELL_END.sub(r"\1\1\|", line))
