"""Whether the times of a table can be milliseconds: a check on units before its rows are trusted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import median

from nas.errors import InputError
from nas.latency.table.rows import TableRow, shortened

_WORD = re.compile(r"\S+ (?:[0-9]+(?:x[0-9]+)*>)?([0-9]{1,9}(?:x[0-9]{1,9})*)(?:\+\S+)?")
_LEAST_MS, _MOST_MS = 1e-6, 1e5
_LARGE = 10_000
"""Numbers written by a segment whose time is more than the cost of starting it."""
_SLOWEST, _FASTEST = 300.0, 1e8
"""Numbers written a millisecond. Typical segments on a phone's CPU write 1e5, on its accelerator 2e7; a microcontroller
writes 500."""


def written_numbers(segment: str) -> int | None:
    """How many numbers the operators of a segment write, from its key; None for a text that is no key."""
    total = 0
    for word in segment.split("; "):
        match = _WORD.fullmatch(word)
        if match is None:
            return None
        total += math.prod(int(size) for size in match[1].split("x"))
    return total


def require_milliseconds(rows: Sequence[TableRow], where: str) -> None:
    """Raise `InputError` naming `where` for a key that is no segment, or for times that are clearly no milliseconds."""
    rates = []
    for row in rows:
        numbers = written_numbers(row.segment)
        if numbers is None:
            raise InputError(
                f"{where}: segment must be the text of its operators with their shapes, as `conv1x1s1"
                f" 16x56x56>24x56x56+relu`, but got {shortened(row.segment)!r}."
            )
        if not _LEAST_MS <= row.mean_ms <= _MOST_MS:
            raise InputError(
                f"{where}: mean_ms must be the milliseconds of one segment, {_LEAST_MS:g} to {_MOST_MS:g}, but got"
                f" {row.mean_ms:g} for {shortened(row.segment)}; convert the file's times to ms."
            )
        if numbers >= _LARGE:
            rates.append(numbers / row.mean_ms)
    rate = median(rates) if rates else _SLOWEST
    if not _SLOWEST <= rate <= _FASTEST:
        unit = "microseconds" if rate < _SLOWEST else "seconds"
        raise InputError(
            f"{where}: times must be milliseconds, but its typical segment would write {rate:.3g} numbers a ms, where"
            f" devices write {_SLOWEST:g} to {_FASTEST:g}; if they are {unit}, convert them."
        )
