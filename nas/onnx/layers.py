"""Operators that only networks read from ONNX have, and the shapes of convolutions there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nas.graph.ops import Activation, Concat, Conv, Norm, Op
from nas.graph.rows import Row, Shape, elements, make_row, run_length, slice_rows


@dataclass(frozen=True, slots=True)
class View(Op):
    """Another shape of a value; nothing is left to do at run time."""

    name: ClassVar[str] = "view"


@dataclass(frozen=True, slots=True)
class Stored(Op):
    """A constant that an operator reads as data."""

    name: ClassVar[str] = "stored"


@dataclass(frozen=True, slots=True)
class TakenApart(Activation):
    """An activation that its file writes as several operators, of the kinds `parts`. Its own row is that of the whole
    function; a runtime that does not join the operators has theirs (`nas.runtimes`)."""

    parts: tuple[str, ...]

    def part_rows(self, shape: Shape) -> tuple[Row, ...]:
        """The rows of the operators by themselves, on values of `shape`."""
        size = elements(shape)
        runs = {"scale": size}
        return tuple(
            make_row(kind, 2 * size if kind in ("add", "mul") else size, shape, in_channels=runs.get(kind, 0))
            for kind in self.parts
        )


@dataclass(frozen=True, slots=True)
class Slopes(Activation):
    """A PReLU of `learned` slopes."""

    learned: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.learned


@dataclass(frozen=True, slots=True)
class Scaling(Norm):
    """A normalisation whose scales and shifts are `learned` numbers."""

    learned: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.learned


@dataclass(frozen=True, slots=True)
class Joined(Concat):
    """A concatenation with constants of `learned` numbers, such as the class token of a transformer."""

    learned: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.learned


@dataclass(frozen=True, slots=True)
class Part(Op):
    """A part of a value, along any axes, or the whole where its end is written as if it were a part."""

    name: ClassVar[str] = "part"

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return slice_rows(inputs[0], out)


@dataclass(frozen=True, slots=True)
class Move(Op):
    """Data brought into another order or size: transposes, padding, tiling, gathering; the latter also out of a table
    of `learned` numbers, of which it reads what it finds."""

    name: ClassVar[str] = "move"
    kind: str
    learned: int = 0

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.learned

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        if self.kind == "pad":  # a copy, as of a part
            return slice_rows(inputs[0], out)
        return (make_row("layout", elements(out), out),)

    def text(self) -> str:
        return self.kind


@dataclass(frozen=True, slots=True)
class Scaled(Op):
    """Product or sum with a constant tensor of shape `constant`, which broadcasts over the last axes."""

    name: ClassVar[str] = "scale"
    constant: Shape

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return elements(self.constant)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        run = run_length(out, self.constant[-len(out) :])  # without the batch
        return (make_row("scale", elements(inputs[0]) + self.params(inputs), out, in_channels=run),)


@dataclass(frozen=True, slots=True)
class Product(Op):
    """A product of tensors with `products` multiply-adds over `inner` terms, of which `weights` numbers are learned."""

    name: ClassVar[str] = "product"
    products: int
    inner: int
    weights: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.weights

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return self.products

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size = sum(elements(shape) for shape in inputs)
        kind = "pw" if self.weights else "mm"
        return ((kind, 1, 1, 1, self.inner, out[-1], 1, 1, self.products, size, elements(out), self.weights),)


@dataclass(frozen=True, slots=True)
class Convolved(Op):
    """A convolution that is none of two axes forward: transposed (every input element meets the whole kernel), or of
    three and more axes. Its maps are (channels, all axes but the last, the last).

    `kernel` and `stride` are those of all axes; `products` multiply-adds, `weights` learned numbers without biases.
    """

    name: ClassVar[str] = "convolved"
    kind: str
    out: int
    kernel: Shape
    stride: Shape
    groups: int
    bias: bool
    products: int
    weights: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.weights + self.out * self.bias

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return self.products

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        channels = inputs[0][0]
        whole = "dense" if max(self.kernel) > 1 else "pw"
        kind = whole if self.groups == 1 else "dw" if self.groups == channels else "grp"
        return ((
            kind, max(self.kernel), max(self.stride), self.groups, channels, self.out, out[1], out[2],
            self.products, elements(inputs[0]), elements(out), self.weights,
        ),)  # fmt: skip

    def text(self) -> str:
        kernel, stride = ("x".join(map(str, sizes)) for sizes in (self.kernel, self.stride))
        return f"{self.kind}{kernel}s{stride}" + f"g{self.groups}" * (self.groups > 1)


@dataclass(frozen=True, slots=True)
class Other(Op):
    """An operator that nothing here describes, with the size of its constant operands, and its multiply-adds where
    those are known."""

    name: ClassVar[str] = "other"
    kind: str
    weights: int
    products: int = 0

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.weights

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return self.products

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size = sum(elements(shape) for shape in inputs)
        return (make_row(f"other:{self.kind}", size, out, macs=self.products, weights=self.weights),)

    def text(self) -> str:
        return f"other:{self.kind}"


def as_map(shape: Shape) -> Shape:
    """(channels, length) as (channels, 1, length), (channels, depth, height, width) as (channels, depth · height,
    width); maps as they are."""
    if len(shape) < 2:
        return (*shape, 1, 1)[:3]
    return (shape[0], elements(shape[1:-1]), shape[-1])


def convolution(attributes: dict[str, Any], weight: Shape, inputs: Shape, out: Shape, *, bias: bool) -> Conv:
    """The convolution with the given ONNX attributes and weight, from and to maps of the given shapes."""
    rank = len(weight) - 2
    kernel, stride, dilation = (
        _pair(values, rank)
        for values in (weight[2:], attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank))
    )
    pads = [int(pad) for pad in attributes.get("pads", [0] * 2 * rank)]
    padding = (pads[0], pads[1], pads[2], pads[3]) if rank == 2 else (0, pads[0], 0, pads[1])
    if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        need = [
            max((o - 1) * s + d * (k - 1) + 1 - i, 0)
            for o, s, d, k, i in zip(out[1:], stride, dilation, kernel, inputs[1:], strict=True)
        ]
        padding = (need[0] // 2, need[1] // 2, need[0] - need[0] // 2, need[1] - need[1] // 2)
    return Conv(
        weight[0], kernel, stride, padding, dilation, int(attributes.get("group", 1)), bias,
        norm=False, branches=(), sum_norm=False,
    )  # fmt: skip


def _pair(values: Sequence[int], rank: int) -> tuple[int, int]:
    return (int(values[0]), int(values[1])) if rank == 2 else (1, int(values[0]))


def convolved(
    attributes: dict[str, Any], weight: Shape, inputs: Shape, out: Shape, *, kind: str, bias: bool
) -> Convolved:
    """The transposed convolution, or the one of any number of axes, with the given ONNX attributes and weight, from and
    to maps of the given shapes."""
    rank, groups = len(weight) - 2, max(int(attributes.get("group", 1)), 1)
    stride = tuple(int(n) for n in attributes.get("strides", [1] * rank)) or (1,)
    count = elements(weight)
    transposed = kind == "convtranspose"
    return Convolved(
        kind=kind, out=out[0], kernel=weight[2:] or (1,), stride=stride, groups=groups, bias=bias,
        products=count * elements(inputs[1:] if transposed else out[1:]), weights=count,
    )  # fmt: skip
