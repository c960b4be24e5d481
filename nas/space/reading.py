"""Search spaces of networks from YAML documents, refused where any of their networks could not be built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.graph.ops import ACTIVATIONS
from nas.space.architecture import SCHEMA, Layer, ends_of, integer_of, make_layer, text_of
from nas.space.divisor import LARGEST_DIVISOR, LEAST_DIVISOR, check_divisor, common_divisor
from nas.space.resolution import LARGEST, Resolution, parse_resolution
from nas.space.search_space import SearchSpace
from nas.space.stage import SE_PATTERNS, Stage
from nas.space.template import Kind, parse_template
from nas.space.validate import check_space

MAX_CHOICES = 64
"""Choices of one gene."""
MAX_STAGES = 16
MAX_DEPTH = 64
MAX_REDUCTION = 32
"""Resolution over the size of the last map, at most: no side is smaller."""

_ACTS = ("none", *ACTIVATIONS, *DYNAMIC_ACTIVATIONS)
_KEYS = (
    "schema",
    "name",
    "description",
    "num_classes",
    "in_channels",
    "resolution",
    "divisor",
    "stems",
    "kinds",
    "stages",
    "heads",
)
_STAGE_KEYS = ("stride", "kinds", "depth", "width", "kernel", "expansion", "se", "act", "free_blocks")
_KIND_KEYS = ("block", "transition")


def read_search_space(path: Path) -> SearchSpace:
    """The space in a YAML file. Raises `InputError` naming file, place, rule and remedy."""
    return parse_search_space(read_yaml(path), str(path))


def parse_search_space(document: Mapping[str, Any], where: str) -> SearchSpace:
    """The space that a document states; `where` names its origin in errors."""
    check_keys(document, _KEYS, where, required=("schema", "name", "resolution", "stems", "kinds", "stages", "heads"))
    if document["schema"] != SCHEMA:
        raise InputError(f"{where}: schema must be {SCHEMA}, but got {document['schema']!r}; convert the file.")
    stated = "divisor" in document
    divisor = integer_of(document, "divisor", where, low=1, high=LARGEST_DIVISOR, default=LEAST_DIVISOR)
    kinds = {
        name: _kind(name, kind, divisor, f"{where}: kinds.{name}") for name, kind in _mapping(document, "kinds", where)
    }
    entries = _list(document, "stages", where, at_most=MAX_STAGES)
    stages = tuple(_stage(i, entry, kinds, f"{where}: stages[{i}]") for i, entry in enumerate(entries))
    if not any(stage.stride == 2 for stage in stages):
        raise InputError(f"{where}: stages must hold at least one with stride 2, but none has.")
    if math.prod(stage.stride for stage in stages) > MAX_REDUCTION // 2:
        raise InputError(
            f"{where}: stem and stages must reduce the size at most {MAX_REDUCTION} times, but do more often."
        )
    num_classes, in_channels = ends_of(document, where)
    space = SearchSpace(
        name=text_of(document, "name", where),
        description=text_of(document, "description", where) if "description" in document else "",
        num_classes=num_classes,
        in_channels=in_channels,
        resolutions=_resolutions(document, where),
        stems=_chains(document, "stems", where),
        kinds=kinds,
        stages=stages,
        heads=_chains(document, "heads", where),
        divisor=divisor,
        source=where,
    )  # fmt: skip
    check_space(space)
    if stated:
        check_divisor(space)
        return space
    return replace(space, divisor=common_divisor(space))


def choices_of(
    document: Mapping[str, Any], key: str, where: str, rule: str, fits: Callable[[Any], bool], default: Any = None
) -> tuple[Any, ...]:
    """The different choices that a document lists under `key`; each must fit, `rule` says how."""
    values = _list({key: document.get(key, default)}, key, where, at_most=MAX_CHOICES)
    for i, value in enumerate(values):
        if not fits(value):
            raise InputError(f"{where}: {key} must hold {rule}, but got {value!r}.")
        if value in values[:i]:
            raise InputError(f"{where}: {key} must be a list of different choices, but got {value!r} twice.")
    return tuple(values)


def _resolutions(document: Mapping[str, Any], where: str) -> tuple[Resolution, ...]:
    """Sides of squares, and pairs of height and width, all at least what a network may reduce its input by."""
    rule = f"integers from {MAX_REDUCTION} to {LARGEST}, or [height, width] of such"

    def parsed(value: Any) -> Resolution | None:
        return parse_resolution(value, low=MAX_REDUCTION)

    values = choices_of(document, "resolution", where, rule, lambda value: parsed(value) is not None)
    found = [resolution for value in values if (resolution := parsed(value)) is not None]
    for i, resolution in enumerate(found):
        if resolution in found[:i]:
            raise InputError(f"{where}: resolution must be a list of different choices, but got {values[i]!r} twice.")
    return tuple(found)


def _list(document: Mapping[str, Any], key: str, where: str, *, at_most: int) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: {key} must be a list with at least one entry, but got {value!r}.")
    if len(value) > at_most:
        raise InputError(f"{where}: {key} must have at most {at_most} entries, but has {len(value)}.")
    return value


def _mapping(document: Mapping[str, Any], key: str, where: str) -> list[tuple[str, Any]]:
    value = document.get(key)
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{where}: {key} must be a mapping with at least one entry, but got {value!r}.")
    return list(value.items())


def _kind(name: str, document: Any, divisor: int, where: str) -> Kind:
    check_keys(document, _KIND_KEYS, where, required=("block",))
    transition = document.get("transition")
    return Kind(
        name=name,
        block=parse_template(document["block"], f"{where}.block", divisor=divisor),
        transition=None if transition is None else parse_template(transition, f"{where}.transition", divisor=divisor),
    )


def _is_integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _stage(position: int, document: Any, kinds: Mapping[str, Kind], where: str) -> Stage:
    check_keys(document, _STAGE_KEYS, where, required=("depth", "width"))

    def choices(key: str, rule: str, fits: Callable[[Any], bool], default: Any = None) -> tuple[Any, ...]:
        return choices_of(document, key, where, rule, fits, default)

    stage = Stage(
        name=f"stage{position + 1}",
        stride=integer_of(document, "stride", where, low=1, high=2, default=1),
        kinds=choices(
            "kinds", f"names of kinds ({', '.join(kinds)})", lambda v: isinstance(v, str) and v in kinds, list(kinds)
        ),
        depth=choices("depth", f"integers from 0 to {MAX_DEPTH}", _is_integer(0, MAX_DEPTH)),
        width=choices("width", "integers from 1 to 65536", _is_integer(1, 65_536)),
        kernel=choices("kernel", "odd integers", lambda v: _is_integer(1, 255)(v) and v % 2 == 1, [3]),
        expansion=choices(
            "expansion", "numbers above 0, at most 64", lambda v: type(v) in (int, float) and 0 < v <= 64, [1]
        ),
        se=choices("se", f"patterns ({', '.join(SE_PATTERNS)})", lambda v: v in SE_PATTERNS, ["none"]),
        act=choices("act", f"activations ({', '.join(_ACTS)})", lambda v: v in _ACTS, ["relu"]),
        free_blocks=integer_of(document, "free_blocks", where, low=1, high=MAX_DEPTH, default=4),
    )
    if stage.depth == (0,):
        raise InputError(f"{where}: depth must have a choice above 0, but the stage is always absent; leave it out.")
    if stage.stride == 2 and 0 in stage.depth:
        raise InputError(f"{where}: depth must be at least 1 where stride is 2, but got 0; maps would keep their size.")
    return replace(stage, expansion=tuple(map(float, stage.expansion)))


def _chains(document: Mapping[str, Any], key: str, where: str) -> tuple[tuple[Layer, ...], ...]:
    """Stems or heads: each entry is a list of layers; a list as a value stands for one chain a choice."""
    chains: list[tuple[Layer, ...]] = []
    for i, entry in enumerate(_list(document, key, where, at_most=MAX_CHOICES)):
        place = f"{where}: {key}[{i}]"
        if not isinstance(entry, list) or not entry:
            raise InputError(f"{place} must be a list of layers, but got {entry!r}.")
        slots = [(j, k) for j, layer in enumerate(entry) if isinstance(layer, dict) for k in layer]
        open_slots = [(j, k) for j, k in slots if isinstance(entry[j][k], list)]
        count = math.prod(len(entry[j][k]) for j, k in open_slots)
        if not 1 <= count <= MAX_CHOICES:
            raise InputError(f"{place} must stand for 1 to {MAX_CHOICES} chains, but its lists give {count}.")
        for chosen in itertools.product(*(entry[j][k] for j, k in open_slots)):
            layers = [dict(layer) if isinstance(layer, dict) else layer for layer in entry]
            for (j, k), value in zip(open_slots, chosen, strict=True):
                layers[j][k] = value
            chains.append(tuple(_fixed_layer(layer, f"{place}[{j}]") for j, layer in enumerate(layers)))
            if chains[-1] in chains[:-1]:
                raise InputError(f"{place} must differ from all others in {key}, but one chain is there twice.")
    return tuple(chains)


def _fixed_layer(document: Any, where: str) -> Layer:
    template = parse_template(document, where, names=())
    return make_layer(template.block, template.evaluate({}), where)
