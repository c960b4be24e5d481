"""Operators that read many elements for each that they write: pooling, sums over an axis, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.graph.ops.op import Op
from nas.graph.rows import Row, Shape, elements, make_row


@dataclass(frozen=True, slots=True)
class GlobalPool(Op):
    """Global average pooling of a map: to (C, 1, 1), or to (C,) with `flatten`."""

    name: ClassVar[str] = "gap"
    flatten: bool = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        channels = inputs[0][0]
        return (channels,) if self.flatten else (channels, 1, 1)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("gap", elements(inputs[0]), (out[0], 1, 1)),)


@dataclass(frozen=True, slots=True)
class Pool(Op):
    """Max or average pooling; `ceil` rounds the size up; padding is not counted in averages unless `count_pad`."""

    name: ClassVar[str] = "pool"
    function: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False
    count_pad: bool = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        channels, height, width = inputs[0]

        def size(length: int) -> int:
            span = length + 2 * self.padding - self.kernel
            if span < 0:
                raise ValueError(f"the map must be at least as large as the pool, but got {height}x{width}")
            steps = span // self.stride + 1
            if self.ceil and span % self.stride and steps * self.stride < length + self.padding:
                steps += 1  # a window that starts inside the map or its left padding, as torch counts it
            return steps

        return (channels, size(height), size(width))

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        kind = "pool" if self.function == "max" else "avgpool:ceil" if self.ceil and self.count_pad else "avgpool"
        return (make_row(kind, elements(inputs[0]), out, kernel=self.kernel, stride=self.stride),)

    def text(self) -> str:
        flags = "c" * self.ceil + "e" * (not self.count_pad)
        return f"{self.function}pool{self.kernel}s{self.stride}p{self.padding}{flags}"


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """Sum, mean or maximum over one axis, which stays with size 1."""

    name: ClassVar[str] = "reduce"
    function: Literal["sum", "mean", "max"]
    axis: int

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = list(inputs[0])
        shape[self.axis] = 1
        return tuple(shape)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("pool", elements(inputs[0]), out),)

    def text(self) -> str:
        return f"{self.function}{self.axis}"


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """Softmax over the last axis."""

    name: ClassVar[str] = "softmax"

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("softmax", elements(inputs[0]), out, in_channels=out[-1]),)


@dataclass(frozen=True, slots=True)
class Norm(Op):
    """A normalisation that stays at inference.

    `layer` over the last axis of tokens, `group` over all of a map (one group), `batch` per channel of a map with
    running statistics. Each learns a scale and a shift a channel.
    """

    name: ClassVar[str] = "norm"
    function: Literal["layer", "group", "batch"]

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return 2 * (inputs[0][-1] if self.function == "layer" else inputs[0][0])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        run = {"layer": out[-1], "batch": elements(out[1:]), "group": elements(out)}[self.function]
        if self.function == "layer":
            out = (out[-1], 1, elements(out) // out[-1])  # tokens in a row, as those of a linear layer
        return (make_row(f"norm:{self.function}", elements(inputs[0]), out, in_channels=run),)

    def text(self) -> str:
        return f"{self.function}norm"
