"""Names that others gave to files and classes, made fit to be printed."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 3


def shown(name: str) -> str:
    """`name` with everything that does not print (control characters, line breaks, broken encodings) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def few(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
