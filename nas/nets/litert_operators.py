"""The LiteRT form of each primitive operator: the builtin operators that litert-torch makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Concat,
    Conv,
    GlobalPool,
    LearnedScale,
    Linear,
    MatMul,
    Norm,
    Op,
    Pool,
    Rearrange,
    Reduce,
    Resize,
    Shuffle,
    Slice,
    Softmax,
)
from nas.nets.functions import LEAKY_SLOPE
from nas.nets.litert_call import FUSED_NAMES, Array, Call, numbers, pad, per_channel, same_padding, stored
from nas.nets.litert_model import Model
from nas.nets.litert_norms import norm, softmax
from nas.nets.litert_products import convolution, linear, matrix_product

_TO_LAST = (0, 2, 3, 1)
_TO_FIRST = (0, 3, 1, 2)
_ACTIVATIONS = {
    "relu": "RELU", "relu6": "RELU6", "hswish": "HARD_SWISH", "gelu": "GELU", "sigmoid": "LOGISTIC", "tanh": "TANH",
}  # fmt: skip
_BINARIES = {"add": "ADD", "sub": "SUB", "mul": "MUL", "max": "MAXIMUM"}
_REDUCTIONS = {"sum": "SUM", "mean": "MEAN", "max": "REDUCE_MAX"}


def emit(model: Model, call: Call) -> int | None:
    """Append the operators of a call; returns the tensor of its value, None where it has no LiteRT form."""
    emitter = _EMITTERS.get(type(call.op))
    return None if emitter is None else emitter(model, call)


def transposed(m: Model, x: int, *, first: bool) -> int:
    """Append a map whose channels were last with them first, or the reverse."""
    return m.transpose(x, _TO_FIRST if first else _TO_LAST)


def _activation(m: Model, c: Call) -> int:
    (x,) = c.inputs
    shape = m.shape(x)
    match c.op.function:
        case "prelu":
            return _prelu(m, c)
        case "silu":
            return m.add("MUL", [x, m.add("LOGISTIC", [x], shape)], shape)
        case "hsigmoid":
            shifted = m.add("ADD", [x, m.number(3.0)], shape, fusedActivationFunction="RELU6")
            return m.add("MUL", [shifted, m.number(1 / 6)], shape)
        case "leaky_relu":
            return m.add("LEAKY_RELU", [x], shape, alpha=LEAKY_SLOPE)
        case function:
            return m.add(_ACTIVATIONS[function], [x], shape)


def _prelu(m: Model, c: Call) -> int:
    """Where x > 0, x, otherwise x times the slope."""
    (x,) = c.inputs
    shape = m.shape(x)
    positive = m.add("GREATER", [x, m.number(0.0)], shape, dtype="BOOL")
    product = m.add("MUL", [x, per_channel(m, c, numbers(c.layer.weight))], shape)
    return m.add("SELECT", [positive, x, product], shape)


def _binary(m: Model, c: Call) -> int:
    shape = np.broadcast_shapes(*(m.shape(x) for x in c.inputs))
    if c.op.function == "max":
        return m.add("MAXIMUM", c.inputs, shape)
    return m.add(_BINARIES[c.op.function], c.inputs, shape, fusedActivationFunction=FUSED_NAMES[c.activation])


def _affine(m: Model, c: Call) -> int:
    (x,) = c.inputs
    if c.op.factor != 1.0:
        x = m.add("MUL", [x, m.number(c.op.factor)], m.shape(x))
    return m.add("ADD", [x, m.number(c.op.shift)], m.shape(x)) if c.op.shift else x


def _learned_scale(m: Model, c: Call) -> int:
    (x,) = c.inputs
    return m.add("MUL", [x, per_channel(m, c, numbers(c.layer.weight))], m.shape(x))


def _global_pool(m: Model, c: Call) -> int:
    if c.op.flatten:
        return m.add("MEAN", [*c.inputs, m.integers(2, 3)], (1, *c.shape))
    return m.add("MEAN", [*c.inputs, m.integers(1, 2)], stored(c.shape), keepDims=True)


def _pool(m: Model, c: Call) -> int:
    op = c.op
    _, *size = c.input_shapes[0]
    after = [
        max(op.padding, (out - 1) * op.stride + op.kernel - length - op.padding)
        for out, length in zip(c.shape[1:], size, strict=True)
    ]
    padding = (op.padding, op.padding, *after)
    window = {"filterHeight": op.kernel, "filterWidth": op.kernel, "strideH": op.stride, "strideW": op.stride}
    kernel, stride = [op.kernel] * 2, [op.stride] * 2
    if op.function == "max":
        x, window["padding"] = pad(m, c.inputs[0], size, kernel, stride, padding, -np.inf)
        return m.add("MAX_POOL_2D", [x], stored(c.shape), **window)
    if not op.count_pad and all(
        same_padding(*axis) for axis in zip(size, kernel, stride, padding[:2], padding[2:], strict=True)
    ):  # LiteRT's SAME does not count its padding.
        return m.add("AVERAGE_POOL_2D", c.inputs, stored(c.shape), padding="SAME", **window)
    top, left, bottom, right = padding
    x = m.pad(c.inputs[0], ((0, 0), (top, bottom), (left, right), (0, 0))) if any(padding) else c.inputs[0]
    y = m.add("AVERAGE_POOL_2D", [x], stored(c.shape), padding="VALID", **window)
    counts = _counts(op, size, c.shape[1:])
    if (counts == op.kernel**2).all():
        return y
    return m.add("MUL", [y, m.constant((op.kernel**2 / counts)[None, :, :, None])], m.shape(y))


def _counts(op: Pool, size: Sequence[int], out: Sequence[int]) -> Array:
    """How many numbers each mean of an average pooling is over, (H, W)."""
    border = op.padding if op.count_pad else 0
    axes = []
    for length, steps in zip(size, out, strict=True):
        start = np.arange(steps) * op.stride - op.padding
        axes.append(np.minimum(start + op.kernel, length + border) - np.maximum(start, -border))
    counts: Array = np.outer(*axes).astype(np.float32)
    return counts


def _concat(m: Model, c: Call) -> int:
    return m.add("CONCATENATION", c.inputs, stored(c.shape), axis=3)


def _slice(m: Model, c: Call) -> int:
    (x,) = c.inputs
    begin, size = [0] * (len(c.shape) + 1), list(m.shape(x))
    axis = 3 if len(c.shape) == 3 and not c.first else 1
    begin[axis], size[axis] = c.op.start, c.op.stop - c.op.start
    if tuple(size) == tuple(m.shape(x)):
        return x
    return m.add("SLICE", [x, m.integers(*begin), m.integers(*size)], tuple(size))


def _shuffle(m: Model, c: Call) -> int:
    channels, *size = c.shape
    split = m.reshape(c.inputs[0], (1, c.op.groups, channels // c.op.groups, *size))
    return m.reshape(m.transpose(split, (0, 2, 1, *range(3, len(size) + 3))), (1, *c.shape))


def _rearrange(m: Model, c: Call) -> int:
    (x,) = c.inputs
    if c.op.channels_to == "first":  # maps have their channels last in the file, as what it reads has them
        return m.reshape(x, stored(c.shape))
    if c.op.moves_data and c.op.channels_to is None:
        x = m.transpose(m.reshape(x, c.op.split), c.op.order)
    return m.reshape(x, (1, *c.op.merge))


def _reduce(m: Model, c: Call) -> int:
    axis = c.op.axis % len(c.shape) + 1
    if len(c.shape) == 3 and not c.first:
        axis = _TO_LAST.index(axis)
    shape = stored(c.shape) if len(c.shape) == 3 and not c.first else (1, *c.shape)
    return m.add(_REDUCTIONS[c.op.function], [*c.inputs, m.integers(axis)], shape, keepDims=True)


def _resize(m: Model, c: Call) -> int:
    size = m.integers(c.op.height, c.op.width)
    corners = {"alignCorners": c.op.align_corners, "halfPixelCenters": not c.op.align_corners}
    return m.add("RESIZE_BILINEAR", [*c.inputs, size], stored(c.shape), **corners)


_EMITTERS: dict[type[Op], Callable[[Model, Call], int]] = {
    Conv: convolution,
    Linear: linear,
    Activation: _activation,
    Binary: _binary,
    Affine: _affine,
    LearnedScale: _learned_scale,
    GlobalPool: _global_pool,
    Pool: _pool,
    Concat: _concat,
    Slice: _slice,
    Shuffle: _shuffle,
    Rearrange: _rearrange,
    MatMul: matrix_product,
    Softmax: softmax,
    Norm: norm,
    Reduce: _reduce,
    Resize: _resize,
}
