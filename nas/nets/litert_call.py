"""One operator of a graph on its way into a LiteRT file, and what several of them need.

A map is stored with its channels last, as LiteRT's kernels want it, save where `litert_plan` says otherwise; vectors
and tokens are stored as they are. Every value has the batch 1 in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas.graph.ops import Activation, Op
from nas.graph.rows import Shape
from nas.nets.litert_model import Model

Array = NDArray[np.float32]

FUSED_NAMES = {"": "NONE", "relu": "RELU", "relu6": "RELU6", "hsigmoid": "RELU6"}
"""What LiteRT calls the activation that an operator does as well."""


class Call(NamedTuple):
    """One operator of the graph on stored values.

    `inputs` are tensors of the file, maps as `first` says (channels first or last); the shapes are the graph's.
    `absorbed` are the operators behind it that it does as well, each with its layer.
    """

    op: Any
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    layer: Any
    first: bool
    absorbed: tuple[tuple[Op, Any], ...]

    @property
    def activation(self) -> str:
        """The absorbed function, "" for none."""
        op = self.absorbed[-1][0] if self.absorbed else None
        return op.function if isinstance(op, Activation) else ""


def numbers(tensor: Tensor) -> Array:
    """The numbers of a tensor in float32."""
    return tensor.detach().cpu().float().numpy()


def statistics(layer: Any) -> tuple[Array, Array, Array, Array]:
    """Mean, 1 / sqrt(variance + eps), scale and shift of a batch norm."""
    root = 1 / np.sqrt(numbers(layer.running_var) + np.float32(layer.eps))
    return numbers(layer.running_mean), root, numbers(layer.weight), numbers(layer.bias)


def per_channel(m: Model, c: Call, values: Array) -> int:
    """A constant of one number a channel that broadcasts over the value."""
    if len(c.shape) != 3:
        return m.constant(values)
    return m.constant(values.reshape((1, -1, 1, 1) if c.first else (1, 1, 1, -1)))


def stored(shape: Shape) -> Shape:
    """The shape of a map with its channels last and the batch in front."""
    channels, height, width = shape
    return (1, height, width, channels)


def pad(
    m: Model, x: int, size: Sequence[int], reach: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    value: float | None = None,
) -> tuple[int, str]:  # fmt: skip
    """`x` as a window of `reach` reads it and the padding that the operator does itself: "SAME" where it can."""
    if not any(padding):
        return x, "VALID"
    if all(same_padding(*axis) for axis in zip(size, reach, stride, padding[:2], padding[2:], strict=True)):
        return x, "SAME"
    top, left, bottom, right = padding
    return m.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), value), "VALID"


def same_padding(length: int, reach: int, stride: int, before: int, after: int) -> bool:
    """Whether LiteRT's SAME padding of an axis is (before, after)."""
    total = max(0, (-(-length // stride) - 1) * stride + reach - length)
    return (before, after) == (total // 2, total - total // 2)
