"""The document that a page is made of: a run and its result as JSON, whichever version wrote them.

    {"schema": 1, "kind": "search", "run": {the record of `nas runs show --json`} or null, "result": {...}}

Texts in it come from files of others: they are made printable here, once, and are text from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nas.errors import InputError
from nas.printable import printable

SCHEMA = 1
_KINDS = {
    "best": "search", "answers": "search", "study": "study", "space_segments": "build", "others": "build",
    "sustained_s": "sustained",
}  # fmt: skip
"""A key of a document without a run → its kind; the first that is there counts."""
_DEEPEST = 60


def of_run(record: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a run's record with its result. `InputError` where the run has left no result."""
    if not isinstance(record.get("result"), Mapping):
        why = f"it {record.get('status')}" if record.get("status") != "done" else "it has none"
        raise InputError(
            f"a page shows the result of a run, but run {record.get('run')} has left none ({why}); run its command"
            f" again: {record.get('command')}"
        )
    own = {key: value for key, value in record.items() if key != "result"}
    return _document(str(record.get("kind")), own, record["result"])


def of_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """The document of what a command printed with --json. `InputError` for what no command prints."""
    if isinstance(result.get("result"), Mapping) and "command" in result:
        return of_run(result)
    if "rounds" in result and "best" in result:
        kind = "adapt"
    elif "images_per_s" in result and "zoo" in result:
        kind = "train"
    elif "networks" in result and "inside_interval" in result:
        kind = "check"
    else:
        kind = next((kind for key, kind in _KINDS.items() if key in result), "")
    if not kind:
        raise InputError(
            "a page shows a document of search, adapt, train, study, lut build, lut verify or measure --sustained"
            f" (--json), but this one has the keys {', '.join(map(str, list(result)[:8]))}; name a run (`nas runs"
            " list`) or such a document."
        )
    return _document(kind, None, result)


def of_device(record: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a device (`nas.jobs.device_record`)."""
    return _document("device", None, record)


def _document(kind: str, run: Mapping[str, Any] | None, result: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _clean({"schema": SCHEMA, "kind": kind, "run": run, "result": result}, 0)
    return found


def _clean(value: Any, depth: int) -> Any:
    """`value` with printable texts, and without numbers that are none."""
    if depth > _DEEPEST:
        raise InputError(f"a result must be nested at most {_DEEPEST} deep, but this one is deeper; restore it.")
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _clean(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one, depth + 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
