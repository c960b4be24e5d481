"""The registry of blocks: name → function, with the parameters that its signature declares.

A block is a function `(builder, x, *, parameters…) -> Tensor`. Its parameters are integers, booleans and strings
whose limits are part of the annotation, so that an architecture file is checked against the code that reads it.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.errors import InputError
from nas.graph import Builder, Tensor
from nas.graph.ops import ACTIVATIONS

Value = int | str | bool | float


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule for one parameter: `holds(value)`, and the words that state it."""

    words: str
    holds: Callable[[Any], bool]


def at_least(bound: int) -> Limit:
    """An integer of at least `bound`."""
    return Limit(f"at least {bound}", lambda value: bool(value >= bound))


def at_most(bound: int) -> Limit:
    """An integer of at most `bound`."""
    return Limit(f"at most {bound}", lambda value: bool(value <= bound))


def one_of(*choices: Value) -> Limit:
    """One of `choices`."""
    return Limit(f"one of {', '.join(map(str, choices))}", lambda value: value in choices)


MAX_WIDTH = 1_000_000
Channels = Annotated[int, at_least(1), at_most(MAX_WIDTH)]
"""A width: a number of channels."""
OptionalChannels = Annotated[int, at_least(0), at_most(MAX_WIDTH)]
"""A width, or 0 for "absent"."""
KernelSize = Annotated[int, Limit("odd and at least 1", lambda value: value >= 1 and value % 2 == 1), at_most(99)]
Stride = Annotated[int, one_of(1, 2)]
Count = Annotated[int, at_least(1), at_most(1000)]
"""How many of something there are."""
Act = Annotated[str, one_of("none", *ACTIVATIONS, *DYNAMIC_ACTIVATIONS)]
Gate = Annotated[str, one_of("sigmoid", "hsigmoid")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One declared parameter of a block; `default` is None where it must be given."""

    name: str
    type: type
    limits: tuple[Limit, ...]
    default: Value | None


BlockFunction = Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A registered block.

    `inner_widths` names the parameters that hold the width of tensors inside the block (an expansion layer):
    each may be changed alone. `takes_classes` says that the block ends a classifier.
    """

    name: str
    function: BlockFunction
    parameters: Mapping[str, Parameter]
    inner_widths: tuple[str, ...]
    takes_classes: bool

    def check(self, args: Mapping[str, Value], where: str) -> dict[str, Value]:
        """`args` completed by defaults. Raises `InputError` naming `where`, the rule and the remedy."""
        for key in args:
            if key not in self.parameters:
                near = difflib.get_close_matches(key, self.parameters, n=1, cutoff=0.0)
                raise InputError(
                    f"{where}: {key!r} must be a parameter of block {self.name}"
                    f" ({', '.join(self.parameters)}); did you mean {near[0] if near else 'none'!r}?"
                )
        return {name: _checked(p, args, f"{where}, block {self.name}") for name, p in self.parameters.items()}


def _checked(parameter: Parameter, args: Mapping[str, Value], where: str) -> Value:
    value = args.get(parameter.name, parameter.default)
    if value is None:
        raise InputError(f"{where}: {parameter.name} must be given, but is missing.")
    fits = type(value) is parameter.type or (parameter.type is float and type(value) is int)
    if not fits:
        raise InputError(f"{where}: {parameter.name} must be {parameter.type.__name__}, but got {value!r}.")
    for limit in parameter.limits:
        if not limit.holds(value):
            raise InputError(f"{where}: {parameter.name} must be {limit.words}, but got {value!r}.")
    return value


class BlockRegistry:
    """Blocks by name; refuses duplicates."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}

    def add(self, function: BlockFunction, *, name: str | None = None, inner_widths: tuple[str, ...] = ()) -> None:
        """Register `function` under its own name (or `name`)."""
        name = name or function.__name__
        if name in self._blocks:
            raise ValueError(f"a block name must be unique, but {name!r} is registered twice")
        parameters = _parameters(function)
        takes_classes = parameters.pop("classes", None) is not None
        missing = set(inner_widths) - set(parameters)
        if missing:
            raise ValueError(f"inner widths must be parameters of {name}, but got {sorted(missing)}")
        self._blocks[name] = Block(
            name=name,
            function=function,
            parameters=parameters,
            inner_widths=inner_widths,
            takes_classes=takes_classes,
        )

    def get(self, name: str, where: str) -> Block:
        """The block called `name`; an unknown one is an `InputError` naming `where` and the nearest names."""
        if not isinstance(name, str) or name not in self._blocks:
            near = difflib.get_close_matches(str(name), self._blocks, n=3, cutoff=0.0)
            raise InputError(f"{where}: block must be a known one, but got {name!r} (nearest: {', '.join(near)}).")
        return self._blocks[name]

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())


def _parameters(function: BlockFunction) -> dict[str, Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    found: dict[str, Parameter] = {}
    for name, declared in inspect.signature(function).parameters.items():
        if declared.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = hints[name]
        limits: tuple[Limit, ...] = ()
        if typing.get_origin(hint) is Annotated:
            hint, *extras = typing.get_args(hint)
            limits = tuple(extra for extra in extras if isinstance(extra, Limit))
        default = None if declared.default is inspect.Parameter.empty else declared.default
        found[name] = Parameter(name=name, type=hint, limits=limits, default=default)
    return found


__all__ = [
    "Act", "Block", "BlockRegistry", "Builder", "Channels", "Count", "Gate", "KernelSize", "OptionalChannels",
    "Stride", "Tensor", "Value",
]  # fmt: skip
