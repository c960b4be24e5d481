"""Operators that multiply and add: convolutions, linear layers, matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.graph.ops.op import Op
from nas.graph.rows import Row, Shape, elements, make_row


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
