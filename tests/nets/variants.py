"""The variants of every block, derived from what its signature declares: a new block brings its own tests."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas.blocks import Block, Value
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.blocks.registry import Act, Channels, Count, Gate, KernelSize, OptionalChannels, Parameter, Stride
from nas.graph import Builder, Graph
from nas.graph.ops import ACTIVATIONS

NUM_CLASSES = 10

# Input width, and what the widths of a block are tried at. The first scale at which a block can be built is taken: most
# can at the first one; parts that must divide evenly or grow need more.
_SCALES = ((8, (8, 16)), (16, (16, 32)), (16, (16, 256)))
_Widths = tuple[int, ...]

# What a parameter is, by its annotation: the values to try. Those of the first group are tried in every combination.
_COMBINED: dict[Any, tuple[Value, ...]] = {
    Stride: (1, 2),
    OptionalChannels: (8, 0),
}
_ALONE: dict[Any, tuple[Value, ...]] = {
    KernelSize: (3, 5, 7),
    Count: (1, 2, 3, 4),
    Act: ("relu", "none", *(name for name in (*ACTIVATIONS, *DYNAMIC_ACTIVATIONS) if name != "relu")),
    Gate: ("sigmoid", "hsigmoid"),
}
_ANY_INTEGER = (1, 2, 3, 4, 0, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A block with arguments for an input of `width` channels."""

    block: Block
    args: Mapping[str, Value]
    width: int

    def __str__(self) -> str:
        return "-".join([self.block.name, *(f"{key}={value}" for key, value in self.args.items())])

    def graph(self) -> Graph:
        """The block alone on a map of 16x16. Raises `ValueError` where it does not fit."""
        builder = Builder((self.width, 16, 16))
        builder.layer = 1
        extra = {"classes": NUM_CLASSES} if self.block.takes_classes else {}
        self.block.function(builder, builder.input, **self.args, **extra)
        return builder.build()


def variants(block: Block) -> list[Variant]:
    """Every variant of a block that can be built at one of the scales, each once."""
    for width, widths in _SCALES:
        found: list[Variant] = []
        for args in _all(block, widths):
            variant = Variant(block=block, args=args, width=width)
            if variant not in found and _fits(variant):
                found.append(variant)
        if found:
            return found
    return []


def _all(block: Block, widths: _Widths) -> Iterator[dict[str, Value]]:
    values = {name: _values(parameter, widths) for name, parameter in block.parameters.items()}
    first = {name: options[0] for name, options in values.items()}
    combined = [name for name, parameter in block.parameters.items() if _is_combined(parameter)]
    for choice in itertools.product(*(values[name] for name in combined)):
        yield {**first, **dict(zip(combined, choice, strict=True))}
    for name, options in values.items():
        for value in options:
            yield {**first, name: value}


def _is_combined(parameter: Parameter) -> bool:
    return (
        parameter.type is bool
        or _declared_as(parameter, Channels)
        or any(_declared_as(parameter, kind) for kind in _COMBINED)
    )


def _declared_as(parameter: Parameter, annotation: Any) -> bool:
    base, *limits = typing.get_args(annotation)
    return parameter.type is base and parameter.limits == tuple(limits)


def _values(parameter: Parameter, widths: _Widths) -> tuple[Value, ...]:
    if parameter.type is bool:
        return (False, True)
    if _declared_as(parameter, Channels):
        return widths
    for annotation, values in {**_COMBINED, **_ALONE}.items():
        if _declared_as(parameter, annotation):
            return values
    if parameter.default is not None:
        options: tuple[Value, ...] = (parameter.default,)
    else:
        options = _ANY_INTEGER if parameter.type is int else ()
    legal = tuple(value for value in options if all(limit.holds(value) for limit in parameter.limits))
    assert legal, f"no value to try for the parameter {parameter.name}: give it a default, or an annotation known here"
    return legal[:3]


def _fits(variant: Variant) -> bool:
    try:
        variant.graph()
    except ValueError:
        return False
    return True
