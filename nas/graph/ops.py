"""Primitive operators: each knows its shape rule, parameters, MACs, lowering and canonical text.

Shapes leave out the batch: `(C, H, W)` is a feature map, `(C,)` a vector, any other tuple tokens whose last
axis is the channel axis. An operator describes both forms of a network: the training form (batch norm and
re-parameterisable branches alive) and the inference form (one convolution with a bias).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nas.graph.rows import Row, Shape, elements, make_row, map_shape, run_length, slice_rows

ACTIVATIONS = (
    "relu", "relu6", "hswish", "silu", "gelu", "sigmoid", "hsigmoid", "prelu", "leaky_relu", "tanh",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Op:
    """Base of the primitive operators. `inputs` are always the shapes of the operands, `out` the result's."""

    name: ClassVar[str] = "op"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the result. Raises `ValueError` where the operands do not fit."""
        return inputs[0]

    def params(self, inputs: tuple[Shape, ...]) -> int:
        """Learned numbers of the inference form."""
        return 0

    def training_params(self, inputs: tuple[Shape, ...]) -> int:
        """Learned numbers of the training form (batch norm: scale and shift, no running statistics)."""
        return self.params(inputs)

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products; 0 for everything else."""
        return 0

    def training_macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        """Multiply-adds of the training form (every branch of a re-parameterisable convolution counts)."""
        return self.macs(inputs, out)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        """The operator rows that a runtime executes; empty where nothing is left to do."""
        return ()

    def text(self) -> str:
        """Canonical text of the operator and its attributes, without shapes."""
        return self.name


@dataclass(frozen=True, slots=True)
class Input(Op):
    """The image, or the input of a segment that is built alone."""

    name: ClassVar[str] = "input"
    shape: Shape

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a re-parameterisable convolution in training form.

    `kernel` 0 is the identity; a convolution takes stride, groups and width from its operator and is padded so
    that its map has the operator's size. `norm` is a batch norm of its own, `bias` a bias of its own.
    """

    kernel: int
    norm: bool = True
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Conv(Op):
    """A 2-d convolution, with the batch norm and the branches that its inference form absorbs.

    `padding` is (top, left, bottom, right). With `branches` the training form is their sum (of square, undilated,
    symmetrically padded kernels); `sum_norm` is a batch norm after that sum. Without, it is the convolution and,
    with `norm`, a batch norm.
    """

    name: ClassVar[str] = "conv"
    out: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    bias: bool
    norm: bool
    branches: tuple[Branch, ...]
    sum_norm: bool

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        channels, height, width = inputs[0]
        if self.out < 1:
            raise ValueError(f"a convolution must have at least one output channel, but got {self.out}")
        if channels % self.groups or self.out % self.groups:
            raise ValueError(f"groups must divide the channels, but got {channels} -> {self.out}, groups={self.groups}")
        top, left, bottom, right = self.padding
        out_h = (height + top + bottom - self.dilation[0] * (self.kernel[0] - 1) - 1) // self.stride[0] + 1
        out_w = (width + left + right - self.dilation[1] * (self.kernel[1] - 1) - 1) // self.stride[1] + 1
        if out_h < 1 or out_w < 1:
            raise ValueError(
                f"the map must be at least as large as the kernel, but got {height}x{width} for {self.text()}"
            )
        if self.branches:
            self._check_branches(channels)
        return (self.out, out_h, out_w)

    def _check_branches(self, channels: int) -> None:
        """Raises `ValueError` where the branches do not sum to one convolution."""
        size, padding = self.kernel[0], self.padding[0]
        if self.kernel != (size, size) or self.dilation != (1, 1) or len(set(self.padding)) > 1:
            raise ValueError(f"branches need a square, undilated, evenly padded kernel, but got {self.text()}")
        for kernel in (branch.kernel for branch in self.branches):
            if kernel and not (kernel <= size and (size - kernel) % 2 == 0 and padding >= (size - kernel) // 2):
                raise ValueError(
                    f"a branch must fit into its {size}x{size} kernel (padding {padding}) with the same centre,"
                    f" both odd or both even, but got a {kernel}x{kernel} branch"
                )
            if not kernel and (channels != self.out or self.stride != (1, 1) or size != 2 * padding + 1):
                raise ValueError(f"an identity branch must keep width and size, but got {channels} -> {self.text()}")

    def _weights(self, channels: int, kernel_area: int) -> int:
        return self.out * (channels // self.groups) * kernel_area

    @property
    def inference_bias(self) -> bool:
        """Whether the inference form has a bias."""
        return self.bias or self.norm or self.sum_norm or any(b.norm or b.bias for b in self.branches)

    def params(self, inputs: tuple[Shape, ...]) -> int:
        weights = self._weights(inputs[0][0], self.kernel[0] * self.kernel[1])
        return weights + self.out * self.inference_bias

    def training_params(self, inputs: tuple[Shape, ...]) -> int:
        if not self.branches:
            weights = self._weights(inputs[0][0], self.kernel[0] * self.kernel[1])
            return weights + self.out * self.bias + 2 * self.out * self.norm
        total = 2 * self.out * self.sum_norm
        for branch in self.branches:
            total += self._weights(inputs[0][0], branch.kernel**2)
            total += self.out * branch.bias + 2 * self.out * branch.norm
        return total

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return self._weights(inputs[0][0], self.kernel[0] * self.kernel[1]) * out[1] * out[2]

    def training_macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        if not self.branches:
            return self.macs(inputs, out)
        return sum(self._weights(inputs[0][0], branch.kernel**2) for branch in self.branches) * out[1] * out[2]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        channels = inputs[0][0]
        kernel = max(self.kernel)
        if self.groups == 1:
            kind = "dense" if kernel > 1 else ("lin" if inputs[0][1] == inputs[0][2] == 1 else "pw")
        else:
            kind = "dw" if self.groups == channels else "grp"
        weights = self._weights(channels, self.kernel[0] * self.kernel[1])
        return (
            (
                kind, kernel, max(self.stride), self.groups, channels, self.out, out[1], out[2],
                weights * out[1] * out[2], elements(inputs[0]), elements(out), weights,
            ),
        )  # fmt: skip

    def text(self) -> str:
        text = f"conv{self.kernel[0]}x{self.kernel[1]}s{self.stride[0]}"
        if self.stride[1] != self.stride[0]:
            text += f"x{self.stride[1]}"
        if self.groups > 1:
            text += f"g{self.groups}"
        if self.dilation != (1, 1):
            text += f"d{self.dilation[0]}x{self.dilation[1]}"
        same = tuple(d * (k - 1) // 2 for d, k in zip(self.dilation, self.kernel, strict=True))
        if self.padding != (*same, *same):
            text += "p" + ",".join(map(str, self.padding))
        return text


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """A linear layer over the last axis; `pre_norm` is a batch norm before it that the inference form absorbs."""

    name: ClassVar[str] = "linear"
    out: int
    bias: bool = True
    pre_norm: bool = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return (*inputs[0][:-1], self.out)

    @property
    def inference_bias(self) -> bool:
        """Whether the inference form has a bias."""
        return self.bias or self.pre_norm

    def params(self, inputs: tuple[Shape, ...]) -> int:
        return inputs[0][-1] * self.out + self.out * self.inference_bias

    def training_params(self, inputs: tuple[Shape, ...]) -> int:
        return inputs[0][-1] * self.out + self.out * self.bias + 2 * inputs[0][-1] * self.pre_norm

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return elements(inputs[0]) * self.out

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        channels, size = inputs[0][-1], elements(inputs[0])
        kind = "lin" if size == channels else "pw"
        result = (self.out, 1, size // channels)  # tokens in a row, so that the columns tell them from channels
        return (make_row(kind, size, result, in_channels=channels, macs=size * self.out, weights=channels * self.out),)


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
        run = elements(out[1:]) if len(out) == 3 else out[-1]
        return (make_row("scale", elements(inputs[0]) + self.params(inputs), out, in_channels=run),)


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Concatenation of maps along the channels."""

    name: ClassVar[str] = "concat"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if any(shape[1:] != inputs[0][1:] for shape in inputs):
            raise ValueError(f"concatenated maps must have the same size, but got {list(inputs)}")
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        common = functools.reduce(np.gcd, [shape[0] for shape in inputs])  # also of many sizes at once
        return (make_row("cat", elements(out), out, in_channels=common),)


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """The channels `start` to `stop` (first axis)."""

    name: ClassVar[str] = "slice"
    start: int
    stop: int

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if not 0 <= self.start < self.stop <= inputs[0][0]:
            raise ValueError(f"a slice must lie within {inputs[0][0]} channels, but got {self.start}:{self.stop}")
        return (self.stop - self.start, *inputs[0][1:])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return slice_rows(inputs[0], out)

    def text(self) -> str:
        return f"slice{self.start}:{self.stop}"


@dataclass(frozen=True, slots=True)
class Shuffle(Op):
    """Channel shuffle: channel g·n+i moves to i·groups+g (ShuffleNet, arXiv 1707.01083, section 3.1)."""

    name: ClassVar[str] = "shuffle"
    groups: int

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if inputs[0][0] % self.groups:
            raise ValueError(f"groups must divide the channels, but got {inputs[0][0]} channels, groups={self.groups}")
        return inputs[0]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size, together = elements(out), elements(out[1:])
        row: Row = ("layout", 1, 1, 1, together, out[0] // self.groups, 1, 1, 0, size, size, 0)
        return (row, row)

    def text(self) -> str:
        return f"shuffle{self.groups}"


@dataclass(frozen=True, slots=True)
class Rearrange(Op):
    """Reshape to `split`, transpose by `order`, reshape to `merge` (patches, heads); batch apart."""

    name: ClassVar[str] = "rearrange"
    split: Shape
    order: tuple[int, ...]
    merge: Shape

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if not elements(inputs[0]) == elements(self.split) == elements(self.merge):
            raise ValueError(f"a rearrangement must keep the elements, but got {inputs[0]} for {self.text()}")
        if sorted(self.order) != list(range(len(self.split))):
            raise ValueError(f"order must be a permutation of the axes of {self.split}, but got {self.order}")
        return self.merge

    @property
    def moves_data(self) -> bool:
        """False for a mere reshape."""
        return self.order != tuple(range(len(self.split)))

    @property
    def channels_to(self) -> Literal["last", "first"] | None:
        """Where it brings the channels of a map, if that is all that it does."""
        split, order, merge = self.split, self.order, self.merge
        if len(split) == 4 and split[0] == 1 and order[0] == 0:  # with the batch
            split, order, merge = split[1:], tuple(axis - 1 for axis in order[1:]), merge[1:]
        if order == (1, 2, 0):
            return "last"
        return "first" if order == (2, 0, 1) and merge == (split[2], *split[:2]) else None

    @property
    def _moves_one_axis(self) -> bool:
        """Whether all axes but one keep their order, for which runtimes have faster code."""
        rests = ([other for other in self.order if other != axis] for axis in self.order)
        return any(rest == sorted(rest) for rest in rests)

    @property
    def together(self) -> int:
        """How many neighbouring elements stay neighbours."""
        count, axis = 1, len(self.split) - 1
        while axis >= 0 and self.order[axis] == axis:
            count, axis = count * self.split[axis], axis - 1
        return count

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        if not self.moves_data:
            return ()
        size = elements(out)
        kind = "layout:channels" if self.channels_to else "layout" if self._moves_one_axis else "layout:scattered"
        return ((kind, 1, 1, 1, self.together, map_shape(out)[0], 1, 1, 0, size, size, 0),)

    def text(self) -> str:
        split, order, merge = ("x".join(map(str, axes)) for axes in (self.split, self.order, self.merge))
        return f"rearrange{split}/{order}/{merge}"


@dataclass(frozen=True, slots=True)
class MatMul(Op):
    """Product of two activations over their last two axes; `transpose` the second one's."""

    name: ClassVar[str] = "matmul"
    transpose: bool = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        first, second = inputs
        inner, cols = (second[-1], second[-2]) if self.transpose else (second[-2], second[-1])
        if first[-1] != inner or first[:-2] != second[:-2]:
            raise ValueError(f"matrix operands must fit, but got {first} and {second} (transpose={self.transpose})")
        return (*first[:-1], cols)

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        return elements(out) * inputs[0][-1]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size = sum(elements(s) for s in inputs)
        return (
            (
                "mm", 1, 1, 1, inputs[0][-1], out[-1], 1, 1, elements(out) * inputs[0][-1], size, elements(out), 0,
            ),
        )  # fmt: skip

    def text(self) -> str:
        return "matmul" + "T" * self.transpose


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
class Resize(Op):
    """Bilinear resizing of a map to (height, width): by half-pixel centres, or with the corner pixels aligned."""

    name: ClassVar[str] = "resize"
    height: int
    width: int
    align_corners: bool = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return (inputs[0][0], self.height, self.width)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("resize", elements(inputs[0]), out),)

    def text(self) -> str:
        return f"resize{self.height}x{self.width}" + "c" * self.align_corners
