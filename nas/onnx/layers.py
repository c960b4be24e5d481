"""Operators that only networks read from ONNX have, and the shapes of convolutions there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nas.graph.ops import Conv, Op
from nas.graph.rows import Row, Shape, elements, make_row, run_length, slice_rows


def unbatched(shape: Shape) -> Shape:
    """`shape` without its batch of 1; shapes that merged the batch into another axis stay."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)


@dataclass(frozen=True, slots=True)
class View(Op):
    """Another shape of a value; nothing is left to do at run time."""

    name: ClassVar[str] = "view"


@dataclass(frozen=True, slots=True)
class Part(Op):
    """A part of a value, along any axes, or the whole where its end is written as if it were a part."""

    name: ClassVar[str] = "part"

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return slice_rows(inputs[0], out)


@dataclass(frozen=True, slots=True)
class Move(Op):
    """Data brought into another order or size: transposes, padding, tiling, gathering."""

    name: ClassVar[str] = "move"
    kind: str

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
class Transposed(Op):
    """A transposed convolution: every input element meets the whole kernel."""

    name: ClassVar[str] = "convtranspose"
    out: int
    kernel: tuple[int, int]
    stride: int
    groups: int
    bias: bool

    def _weights(self, channels: int) -> int:
        return channels * (self.out // self.groups) * self.kernel[0] * self.kernel[1]

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self._weights(inputs[0][0]) + self.out * self.bias

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return self._weights(inputs[0][0]) * inputs[0][1] * inputs[0][2]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        channels = inputs[0][0]
        whole = "dense" if max(self.kernel) > 1 else "pw"
        kind = whole if self.groups == 1 else "dw" if self.groups == channels else "grp"
        return ((
            kind, max(self.kernel), self.stride, self.groups, channels, self.out, out[1], out[2],
            self.macs(inputs, out), elements(inputs[0]), elements(out), self._weights(channels),
        ),)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Other(Op):
    """An operator that nothing here describes, with the size of its constant operands."""

    name: ClassVar[str] = "other"
    kind: str
    weights: int

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return self.weights

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size = sum(elements(shape) for shape in inputs)
        return (make_row(f"other:{self.kind}", size, out, weights=self.weights),)

    def text(self) -> str:
        return f"other:{self.kind}"


def as_map(shape: Shape) -> Shape:
    """(channels, length) as (channels, 1, length); maps as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


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


def transposed_convolution(attributes: dict[str, Any], weight: Shape, *, bias: bool) -> Transposed:
    """The transposed convolution with the given ONNX attributes and weight."""
    rank, groups = len(weight) - 2, int(attributes.get("group", 1))
    stride = max(int(s) for s in attributes.get("strides", [1] * rank))
    return Transposed(weight[1] * groups, _pair(weight[2:], rank), stride, groups, bias)
