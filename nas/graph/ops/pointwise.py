"""Operators that compute each element by itself: activations, sums and products of maps, scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.graph.ops.op import Op
from nas.graph.rows import Row, Shape, elements, make_row, map_shape, run_length

ACTIVATIONS = (
    "relu", "relu6", "hswish", "silu", "gelu", "sigmoid", "hsigmoid", "prelu", "leaky_relu", "tanh",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Activation(Op):
    """A pointwise activation function; `prelu` learns one slope a channel."""

    name: ClassVar[str] = "act"
    function: str

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if self.function not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {self.function!r}")
        return inputs[0]

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return map_shape(inputs[0])[0] if self.function == "prelu" else 0

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row(f"act:{self.function}", elements(inputs[0]), out),)

    def text(self) -> str:
        return self.function


def _broadcast(first: Shape, second: Shape) -> Shape:
    if len(first) != len(second):
        raise ValueError(f"operands must have the same number of axes, but got {first} and {second}")
    out = []
    for a, b in zip(first, second, strict=True):
        if a != b and 1 not in (a, b):
            raise ValueError(f"operands must have equal or broadcastable shapes, but got {first} and {second}")
        out.append(max(a, b))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Binary(Op):
    """Elementwise sum, product, difference or maximum of two tensors, broadcasting axes of size 1."""

    name: ClassVar[str] = "binary"
    function: Literal["add", "mul", "sub", "max"]

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return _broadcast(inputs[0], inputs[1])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        same = inputs[0] == inputs[1]
        if self.function == "mul" and not same:
            return (make_row("se_mul", max(elements(s) for s in inputs), out, in_channels=run_length(*inputs)),)
        kind = "mul" if self.function == "mul" else "add"
        return (make_row(kind, sum(elements(s) for s in inputs), out),)

    def text(self) -> str:
        return self.function


@dataclass(frozen=True, slots=True)
class Affine(Op):
    """x * factor + shift with two constants."""

    name: ClassVar[str] = "affine"
    factor: float
    shift: float

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("scale", elements(inputs[0]), out, in_channels=elements(out)),)

    def text(self) -> str:
        return f"affine{self.factor:g},{self.shift:g}"


@dataclass(frozen=True, slots=True)
class LearnedScale(Op):
    """Product with one learned number a channel (layer scale), starting at `start`."""

    name: ClassVar[str] = "scale"
    start: float = 1.0

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return map_shape(inputs[0])[0]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        factors = (out[0], 1, 1) if len(out) == 3 else out[-1:]
        run = run_length(out, factors)
        return (make_row("scale", elements(inputs[0]) + self.params(inputs), out, in_channels=run),)
