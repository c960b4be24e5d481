"""What a search says of a space that a table does not cover, where a device has a table alone."""

from __future__ import annotations

from nas.errors import UnknownOperatorError
from nas.evaluate import Models, space_coverage
from nas.evaluate.coverage import lacking_text
from nas.space.compile.compiled import CompiledSpace


def check_coverage(compiled: CompiledSpace, models: Models, *, covered_only: bool) -> list[str]:
    """A note for each device whose table lacks rows for layers of the space, where the search goes on without these.

    Raises `UnknownOperatorError` for such a device otherwise, and where its table covers no network.
    """
    notes = []
    for latency, column in models.tables:
        found = space_coverage(compiled, column)
        if not found.lacking:
            continue
        text = lacking_text(found, compiled.space, latency)
        if found.is_empty or not covered_only:
            way = "" if found.is_empty else ", or search in what is covered (--covered-only)"
            raise UnknownOperatorError(f"{text}; measure or import the rows, or fit operator coefficients{way}.")
        notes.append(f"Searched only in what the table covers: {text}.")
    return notes


def left_out(models: Models, what: str, kept: int, count: int) -> list[str]:
    """A note where of `count` networks that are `what` only the `kept` ones have a latency on every device."""
    if kept == count:
        return []
    devices = [latency.device.name for latency, _ in models.tables]
    have = "has" if len(devices) == 1 else "have"
    note = (
        f"{count - kept} of {count} {what} are left out of the comparison: the table of {' or '.join(devices)} lacks"
        f" rows for their layers, and {' and '.join(devices)} {have} no operator costs."
    )
    return [note]
