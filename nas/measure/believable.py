"""Times of whole networks as people write them: the units of cells, and whether they can be milliseconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from nas.errors import InputError
from nas.figures import entering

UNITS = {
    "ms": 1.0, "msec": 1.0, "millisecond": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "usec": 1e-3, "microsecond": 1e-3,
    "ns": 1e-6, "nanosecond": 1e-6, "s": 1e3, "sec": 1e3, "second": 1e3,
}  # fmt: skip
"""Milliseconds a unit."""
UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
"""A pattern of any of them, without the plural's s."""
_CELL = re.compile(rf"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*({UNIT})?s?", re.I)
_LARGE = 2e7
"""Multiply-adds that stand for what a network takes besides its own."""
_CPU, _OTHER = (2e5, 1e9), (1e6, 3e9)
"""Multiply-adds a ms, the slowest and the fastest typical network that is believed: on processors, on other units."""
_APART = 300.0
"""How many times more or less a network may take than the typical one of its size: a unit is a thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A time that was written down: the `number`, how many ms its unit has, and whether the cell itself `names` it."""

    number: str
    unit_ms: float
    names: bool

    @property
    def ms(self) -> float:
        """The time in ms."""
        return entering(self.number) * self.unit_ms


def read_cell(text: str, unit_ms: float = 1.0) -> Cell | None:
    """The time in a cell such as "12.5" or "850 us", whose unit is else `unit_ms`; None for what is none."""
    match = _CELL.fullmatch(text)
    if match is None:
        return None
    return Cell(
        number=match[1], unit_ms=UNITS[match[2].lower()] if match[2] else unit_ms, names=match[2] is not None
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedNetwork:
    """A time that somebody gave; `where` names file and line, `is_sure` that its unit is beyond doubt."""

    where: str
    macs: float
    latency_ms: float
    is_sure: bool


def work(macs: float) -> float:
    """What a network's time goes by: its multiply-adds, and those that stand for what it takes besides."""
    return macs + _LARGE


def require_believable(
    rows: Sequence[TimedNetwork], compute_unit: str, *, where: str, remedy: Callable[[str], str]
) -> None:
    """Raises `InputError` for times that can be no milliseconds of networks of so many multiply-adds: of all of them
    (`where`, and what the `remedy` is if they are of the unit "us" or "s"), or of one beside the others."""
    rate = [work(row.macs) / row.latency_ms for row in rows]
    typical = median(rate)
    alone = median(row.macs / row.latency_ms for row in rows)
    slowest, fastest = _CPU if "CPU" in compute_unit.upper() else _OTHER
    doubted = [(row, own) for row, own in zip(rows, rate, strict=True) if not row.is_sure]
    if doubted and (typical < slowest or alone > fastest):
        shown, unit, name = (typical, "us", "microseconds") if typical < slowest else (alone, "s", "seconds")
        raise InputError(
            f"{where}: times must be those of networks of this size, but the typical one would do"
            f" {shown:.2g} multiply-adds a ms, where a {compute_unit} does {slowest:.0e} to {fastest:.0e}; if they are"
            f" {name}, {remedy(unit)}; if they are right, write the unit into the cells"
            f" ({doubted[0][0].latency_ms:g} ms)."
        )
    for row, own in doubted:
        if not typical / _APART < own < typical * _APART:
            raise InputError(
                f"{row.where}: latency_ms must be of the unit of the others, but {row.latency_ms:g} ms is"
                f" {max(own / typical, typical / own):.0f} times off what they say of a network of this size; write its"
                f" unit into the cell ({row.latency_ms:g} ms, if that is right), or time it again."
            )
