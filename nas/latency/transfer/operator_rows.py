"""Records of single operators as columns, and what is read off their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.latency.published.cost_model import Floats

REQUIRED = ("kind", "in_channels", "out_channels")
DEFAULTS: Mapping[str, float] = {"batch": 1, "height": 1, "width": 1, "kernel": 1, "stride": 1, "groups": 0}
"""Attributes that may be missing; no groups stands for one, of a depthwise kind for as many as channels."""
SIZES = ("in_channels", "out_channels", *DEFAULTS)
_POINTS = ("batch", "in_channels", "height", "width", "out_channels", "kernel", "stride")
_DEPTHWISE = ("dw", "depthwise")
_PARALLEL_CHANNELS, _PARALLEL_PLACES, _UNITS = 64, 128, 80
"""A product is cut into tiles of so many channels and places, which fill so many units of a large accelerator at once:
what makes time a staircase of the sizes. Elsewhere these are features that say nothing, and are given no weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRows:
    """n operators: kinds (n,), sizes by name (n,), and further attributes by name (n,)."""

    kind: NDArray[np.str_]
    sizes: Mapping[str, Floats]
    further: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def depthwise(self) -> NDArray[np.bool_]:
        """Whether each channel is its own group, shape (n,)."""
        return np.asarray((self.sizes["groups"] > 1) & (self.sizes["groups"] >= self.sizes["in_channels"]))

    def select(self, rows: NDArray[Any] | slice) -> OperatorRows:
        """Some of the operators."""
        return OperatorRows(
            kind=self.kind[rows],
            sizes={name: values[rows] for name, values in self.sizes.items()},
            further={name: values[rows] for name, values in self.further.items()},
        )


def read_rows(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> OperatorRows:
    """Records of operators, or a mapping of whole columns, as `OperatorRows`.

    A record has `kind` (a text), `in_channels` and `out_channels`, as a rule `batch`, `height` and `width` of its
    input, `kernel`, `stride` and `groups`; any further attribute must be a number. Raises `InputError` naming the
    attribute for one that is missing in some record, for sizes that are not positive, and for what is not finite.
    """
    columns = rows if isinstance(rows, Mapping) else _columns(rows)
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(f"an operator must have {', '.join(REQUIRED)}, but got no {missing[0]}.")
    kind = np.array(columns["kind"], dtype=np.str_)
    sizes = {name: _numbers(columns[name], name, len(kind)) for name in SIZES if name in columns}
    for name, values in sizes.items():
        if not (values > 0).all():
            raise InputError(f"{name} of an operator must be positive, but got {values.min():g}.")
    for name, value in DEFAULTS.items():
        sizes.setdefault(name, np.full(len(kind), float(value)))
    lower = np.char.lower(kind)
    apart = np.isin(lower, _DEPTHWISE) if len(kind) else np.zeros(0, dtype=np.bool_)
    sizes["groups"] = np.where(sizes["groups"] > 0, sizes["groups"], np.where(apart, sizes["in_channels"], 1.0))
    further = {
        name: _numbers(values, name, len(kind))
        for name, values in sorted(columns.items())
        if name not in sizes and name != "kind"
    }
    return OperatorRows(kind=kind, sizes=sizes, further=further)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(rows[0]) if len(rows) else list(REQUIRED)
    try:
        found = {name: [row[name] for row in rows] for name in names}
    except KeyError as error:
        raise InputError(f"all operators must have the same attributes, but one has no {error.args[0]}.") from None
    odd = next((row for row in rows if len(row) != len(names)), None)
    if odd is not None:
        more = sorted(odd.keys() - set(names))
        raise InputError(
            f"all operators must have the same attributes, but one has {more[0]}, which the first has not."
        )
    return found


def _numbers(values: Any, name: str, count: int) -> Floats:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} of an operator must be a number; leave out what is none, or make it a kind."
        ) from None
    if found.shape != (count,):
        raise InputError(f"{name} must have a number for each of {count} operators, but has shape {found.shape}.")
    if not np.isfinite(found).all():
        raise InputError(f"{name} of an operator must be finite, but one is not.")
    return found


def rooflines(rows: OperatorRows) -> Floats:
    """What a roofline charges each operator for, shape (n, 7), none negative: a call, 10⁹ multiply-adds, 10⁶ elements
    read, written and of weights, 10⁹ multiply-adds of whole blocks of channels, and of whole tiles."""
    size = rows.sizes
    read, made, groups = size["in_channels"], size["out_channels"], size["groups"]
    places = size["batch"] * np.ceil(size["height"] / size["stride"]) * np.ceil(size["width"] / size["stride"])
    area = size["kernel"] ** 2
    weights = area * read * made / groups
    apart = rows.depthwise
    inner = read / groups
    blocked = np.where(apart, made, _up(inner, 4) * _up(made, 32))
    tiled = np.where(apart, made, _up(inner, 8) * _up(made, _PARALLEL_CHANNELS))
    image = size["batch"] * size["height"] * size["width"]
    return np.column_stack([
        np.ones(len(rows)),
        places * weights / 1e9,
        image * read / 1e6,
        places * made / 1e6,
        weights / 1e6,
        places * area * blocked / 1e9,
        _up(places, _PARALLEL_PLACES) * area * tiled / 1e9,
    ])  # fmt: skip


def features(rows: OperatorRows) -> Floats:
    """The operators as points, shape (n, k): logarithms (base 2) of sizes and costs, how badly channels fill blocks,
    tiles and the last round of tiles, and the further attributes."""
    size, terms = rows.sizes, rooflines(rows)
    read, made = size["in_channels"] / size["groups"], size["out_channels"]
    places = size["batch"] * np.ceil(size["height"] / size["stride"]) * np.ceil(size["width"] / size["stride"])
    tiles = np.ceil(places / _PARALLEL_PLACES) * np.ceil(made / _PARALLEL_CHANNELS)
    moved = terms[:, 2] + terms[:, 3] + terms[:, 4]
    return np.column_stack([
        rows.depthwise,
        *(_log2(size[name]) for name in _POINTS),
        _log2(size["groups"] / size["in_channels"]),
        *(_log2(terms[:, i]) for i in range(1, 5)),
        _log2(1e3 * terms[:, 1] / moved),
        np.mod(read, 4),
        _up(read, 4) / read,
        _up(made, 32) / made,
        _log2(tiles),
        _up(tiles, _UNITS) / tiles,
        *rows.further.values(),
    ])  # fmt: skip


def _up(values: Floats, block: int) -> Floats:
    return np.asarray(np.ceil(values / block) * block)


def _log2(values: Floats) -> Floats:
    return np.asarray(np.log2(np.maximum(values, 1e-12)))
