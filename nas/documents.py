"""YAML documents read once, at the edge, into plain values: nothing in them is executed or constructed.

The reader builds the value from the parser's events. It knows mappings with string keys, lists, strings,
integers, floats, booleans and null, by the core schema of YAML 1.2 (so `1:1:7:1`, `no` and `2024-05-01` are
strings). Tags are refused, and so is anything meant to exhaust memory: documents over 1 MB, nesting deeper than
`MAX_DEPTH`, aliases that expand to more than `MAX_VALUES` values or that refer to themselves.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.errors import InputError
from nas.figures import entering

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 100_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that the YAML file at `path` holds.

    Raises `InputError` naming the file (and the line, where there is one) for a file that is unreadable, too
    large, no UTF-8, no YAML, empty, more than one document or no mapping; for tags, recursive or exploding
    aliases, too deep a nesting, keys that are no strings or are given twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} must be at most {MAX_BYTES} bytes, but has {path.stat().st_size}.")
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be a YAML file in UTF-8, but byte {error.start} is not.") from error
    except OSError as error:
        raise InputError(f"{path} must be a readable YAML file, but: {error.strerror}.") from error
    return parse_yaml(text, name=str(path))


def parse_yaml(text: str, *, name: str) -> dict[str, Any]:
    """The mapping that the YAML document `text` holds; `name` stands for the file in errors, as `read_yaml`'s."""
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{name}{where} must be valid YAML, but: {problem}.") from error
    if not isinstance(builder.document, dict) or not builder.document:
        kind = "is empty" if not builder.document else f"holds a {_noun(builder.document)}"
        raise InputError(f"{name} must hold a mapping of keys to values, but {kind}.")
    return builder.document


def check_keys(
    mapping: object, allowed: Collection[str], where: str, *, required: Collection[str] = ()
) -> Mapping[str, Any]:
    """`mapping` itself, when it is a mapping whose keys are all in `allowed` and include those `required`.

    `where` is the file and the path inside it ("mobile.yaml: stages[2].block"). Raises `InputError` naming it,
    the offending key and the nearest allowed one.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where} must be a mapping with the keys {', '.join(allowed)}, but is a {_noun(mapping)}.")
    for key in mapping:
        if key not in allowed:
            near = difflib.get_close_matches(str(key)[:80], list(allowed), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(allowed)}."
            raise InputError(f"{where}: keys must be known, but got {key!r}; {hint}")
    for key in required:
        if key not in mapping:
            raise InputError(f"{where}: the key {key!r} must be given, but is missing.")
    return mapping


class _Builder:
    """A value grown from parser events; `document` is the first document's value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document: Any = None
        self._documents = 0
        self._values = 0
        # Each open collection: the value, its pending key (mappings), its anchor, the count of values before it.
        self._open: list[tuple[dict[str, Any] | list[Any], list[str], str | None, int]] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            self._rule(self._documents == 1, event, "there must be one document", "a second one begins")
        elif isinstance(event, yaml.AliasEvent):
            anchor = event.anchor or ""
            self._rule(anchor in self._anchors, event, "an alias must refer to a finished value", f"got *{anchor}")
            value, size = self._anchors[anchor]
            self._count(size, event)
            self._place(value, event, is_scalar=False)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._rule(event.tag is None or event.tag == "!", event, "tags are not allowed", f"got {event.tag}")
            self._count(1, event)
            if isinstance(event, yaml.ScalarEvent):
                value = _scalar(event.value) if event.implicit[0] else event.value
                enters = not isinstance(value, int | float) or entering(float(value)) == value
                self._rule(enters, event, "a number must be finite, and at most 1e30", f"got {event.value}")
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1)
                self._place(value, event, is_scalar=True)
            else:
                self._rule(len(self._open) < MAX_DEPTH, event, f"nesting must be at most {MAX_DEPTH} deep", "is deeper")
                opened: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
                self._open.append((opened, [], event.anchor, self._values))
        elif isinstance(event, yaml.CollectionEndEvent):
            done, _, name, before = self._open.pop()
            if name:
                self._anchors[name] = (done, self._values - before + 1)
            self._place(done, event, is_scalar=False)

    def _place(self, value: Any, event: yaml.Event, *, is_scalar: bool) -> None:
        if not self._open:
            self.document = value
            return
        into, pending, _, _ = self._open[-1]
        if isinstance(into, list):
            into.append(value)
        elif pending:
            into[pending.pop()] = value
        else:
            is_key = is_scalar and isinstance(value, str)
            self._rule(is_key, event, "keys must be strings", f"got {value!r}; put it in quotes")
            self._rule(value not in into, event, "a key must be given once", f"{value!r} comes again")
            pending.append(value)

    def _count(self, size: int, event: yaml.Event) -> None:
        self._values += size
        few = self._values <= MAX_VALUES
        self._rule(few, event, f"a document must hold at most {MAX_VALUES} values", "has more (aliases expanded)")

    def _rule(self, holds: bool, event: yaml.Event, rule: str, came: str) -> None:
        if not holds:
            line = f", line {event.start_mark.line + 1}" if event.start_mark else ""
            raise InputError(f"{self.name}{line}: {rule}, but {came}.")


def _scalar(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar by YAML 1.2's core schema."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text.lower()):
        return _SPECIAL[text.lower()] if text.lower() in _SPECIAL else float(text)
    return text


def _noun(value: object) -> str:
    nouns = {dict: "mapping", list: "list", str: "string", int: "number", float: "number", bool: "truth value"}
    return nouns.get(type(value), "null")
