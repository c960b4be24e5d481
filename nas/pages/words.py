"""Numbers of documents in words; what a document lacks is a dash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.pages.parts import Cell
from nas.units import bytes_text, count_text

DASH = "–"
_LONGEST = 64

SOURCES = {
    "measured": "timed or counted here",
    "predicted": "by a model",
    "modelled": "by a model of published figures",
    "published": "printed by others",
}
"""The kinds of sources, and what each means."""


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else nothing."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The mappings in a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """`value` where it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text(value: Any) -> str:
    """`value` as text; a dash for nothing."""
    return DASH if value is None or value == "" else str(value)


def metric(value: Any) -> str:
    """What an accuracy counts."""
    return text(value).replace("top1", "top-1")


def short(name: Any) -> str:
    """A name that fits a line."""
    found = " ".join(text(name).split())
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"


def ms(value: Any, *, unit: bool = True) -> str:
    """Milliseconds, to four digits."""
    found = number(value)
    if found is None:
        return DASH
    shown = f"{found:.3f}" if found < 100 else f"{found:.1f}"
    return f"{shown} ms" if unit else shown


def percent(value: Any, *, digits: int = 1, unit: bool = True) -> str:
    """A fraction in percent."""
    found = number(value)
    return DASH if found is None else f"{100 * found:.{digits}f}{' %' if unit else ''}"


def signed_points(value: Any) -> str:
    """A difference of fractions in points."""
    found = number(value)
    return DASH if found is None else f"{100 * found:+.1f}"


def millions(value: Any) -> str:
    """A count in millions."""
    found = number(value)
    return DASH if found is None else count_text(found)


def size(value: Any) -> str:
    """Bytes."""
    found = number(value)
    return DASH if found is None else bytes_text(found)


def seconds(value: Any) -> str:
    """A duration."""
    found = number(value)
    if found is None:
        return DASH
    if found < 60:
        return f"{found:.3g} s"
    return f"{found / 60:.1f} min" if found < 3600 else f"{found / 3600:.1f} h"


def latency_text(record: Any) -> str:
    """A latency with its 90 % interval."""
    found = mapping(record)
    interval = f" [{ms(found.get('low_ms'), unit=False)}, {ms(found.get('high_ms'), unit=False)}]"
    return ms(found.get("mean_ms")) + (interval if number(found.get("low_ms")) is not None else "")


def accuracy_text(record: Any) -> str:
    """An accuracy with its 90 % interval."""
    found = mapping(record)
    interval = f" [{percent(found.get('low'), unit=False)}, {percent(found.get('high'), unit=False)}]"
    return percent(found.get("mean")) + (interval if number(found.get("low")) is not None else "")


def ms_cell(value: Any) -> Cell:
    """A cell of milliseconds."""
    return Cell(text=ms(value, unit=False), sort=number(value))


def percent_cell(value: Any) -> Cell:
    """A cell of percent."""
    return Cell(text=percent(value, unit=False), sort=number(value))


def million_cell(value: Any) -> Cell:
    """A cell of millions."""
    found = number(value)
    return Cell(text=DASH if found is None else f"{found / 1e6:.2f}", sort=found)


def interval_cell(low: Any, high: Any, *, fractions: bool = False) -> Cell:
    """A cell of an interval, sorted by its lower end."""
    ends: Sequence[str] = [percent(one, unit=False) if fractions else ms(one, unit=False) for one in (low, high)]
    return Cell(text=DASH if number(low) is None else "–".join(ends), sort=number(low))


def number_cell(value: Any, form: str = "g") -> Cell:
    """A cell of any number."""
    found = number(value)
    return Cell(text=DASH if found is None else f"{found:{form}}", sort=found)


def text_cell(value: Any) -> Cell:
    """A cell of text."""
    return Cell(text=short(value))
