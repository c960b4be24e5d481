"""What a page consists of: facts, tables and figures, whichever library draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Role = Literal["answer", "front", "known", "published", "start", "done", "stopped", "failed", "best", "other"]
"""What a series shows; colour and mark follow from it, the same in every figure."""

Number = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value with its name, and where it comes from (empty: counted or asked)."""

    label: str
    value: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points, a line or bars of one role.

    `x` and `y` are numbers, or names on the axis of a bar; None breaks a line. `low` and `high` are ends of the 90 %
    interval of y, `left` and `right` those of x (empty: none). `texts` are shown for each point, `keys` name the
    network that a point stands for (empty: none).
    """

    name: str
    role: Role
    form: Literal["points", "line", "bars"] = "points"
    x: Sequence[Any]
    y: Sequence[Any]
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    left: Sequence[Number] = ()
    right: Sequence[Number] = ()
    texts: Sequence[str] = ()
    keys: Sequence[str] = ()
    step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis: its title with the unit, logarithmic or not, from zero or not; `shown` are its ends at first, where that
    is not all there is."""

    title: str
    log: bool = False
    zero: bool = False
    shown: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure: `lines` are (x, label) of vertical lines, `bands` (low, high, label) of y; `diagonal` draws y = x.

    `note` says where its numbers come from.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    note: str = ""
    lines: Sequence[tuple[float, str]] = ()
    bands: Sequence[tuple[float, float, str]] = ()
    diagonal: bool = False
    compared: str = ""
    """The part of a network whose bars the chosen network's are shown beside: "sizes" or "kinds"."""

    @property
    def count(self) -> int:
        """How many points there are."""
        return sum(sum(value is not None for value in one.y) for one in self.series)

    def as_json(self) -> dict[str, Any]:
        """What the script draws."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table; numbers stand at the right."""

    title: str
    numeric: bool = False


def columns_of(*titles: str) -> list[Column]:
    """A column for each title; one that begins with # has numbers."""
    return [Column(title=title.removeprefix("#"), numeric=title.startswith("#")) for title in titles]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A text, and what it is sorted by where that is a number."""

    text: str
    sort: Number = None
    shade: Number = None
    """How much of the accent lies behind it, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cells; `key` names the network that the row is about, `role` marks it."""

    cells: Sequence[Cell]
    key: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that is sorted by a click; `note` stands below it."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""
    matrix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page; its order: texts, facts, figures, tables, then what `extra` names."""

    name: str
    title: str
    texts: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    code: str = ""
    extra: Literal["", "architecture"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page. `networks` are what a click shows, by key; the first one is the answer, `beside` the one that is
    shown at its side first."""

    title: str
    kind: str
    headline: str
    lead: Sequence[str] = ()
    cards: Sequence[Fact] = ()
    sections: Sequence[Section] = ()
    networks: Sequence[dict[str, Any]] = field(default=())
    beside: str = ""
    missing: Sequence[str] = ()

    @property
    def figures(self) -> list[Figure]:
        """All figures in their order."""
        return [figure for section in self.sections for figure in section.figures]
