"""The LiteRT form of each primitive operator: the builtin operators that litert-torch makes of it.

A map is stored with its channels last, as LiteRT's kernels want it, save where `litert_plan` says otherwise; vectors
and tokens are stored as they are. Every value has the batch 1 in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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
from nas.graph.rows import Shape, elements
from nas.nets.functions import LEAKY_SLOPE
from nas.nets.litert_model import Model

Array = NDArray[np.float32]

_TO_LAST = (0, 2, 3, 1)
_TO_FIRST = (0, 3, 1, 2)
_FUSED_NAMES = {"": "NONE", "relu": "RELU", "relu6": "RELU6", "hsigmoid": "RELU6"}
_ACTIVATIONS = {
    "relu": "RELU", "relu6": "RELU6", "hswish": "HARD_SWISH", "gelu": "GELU", "sigmoid": "LOGISTIC", "tanh": "TANH",
}  # fmt: skip
_BINARIES = {"add": "ADD", "sub": "SUB", "mul": "MUL", "max": "MAXIMUM"}
_REDUCTIONS = {"sum": "SUM", "mean": "MEAN", "max": "REDUCE_MAX"}


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


def emit(model: Model, call: Call) -> int | None:
    """Append the operators of a call; returns the tensor of its value, None where it has no LiteRT form."""
    emitter = _EMITTERS.get(type(call.op))
    return None if emitter is None else emitter(model, call)


def transposed(m: Model, x: int, *, first: bool) -> int:
    """Append a map whose channels were last with them first, or the reverse."""
    return m.transpose(x, _TO_FIRST if first else _TO_LAST)


def _numbers(tensor: Tensor) -> Array:
    return tensor.detach().cpu().float().numpy()


def _weight_and_bias(c: Call) -> tuple[Array, Array | None]:
    """Those of a layer with what it absorbed; None for a bias that it does not have."""
    weight = _numbers(c.layer.weight)
    bias = None if c.layer.bias is None else _numbers(c.layer.bias)
    for op, layer in c.absorbed:
        factor: Array | None = None
        shift: Array | None = None
        match op:
            case LearnedScale():
                factor = _numbers(layer.weight).reshape(-1)
            case Affine():
                factor = np.full(len(weight), op.factor, np.float32)
                shift = np.full(len(weight), op.shift, np.float32)
            case Norm():
                mean, root, scale, offset = _statistics(layer)
                factor = root * scale
                shift = offset - mean * factor
            case Activation(function="hsigmoid"):
                shift = np.full(len(weight), 3, np.float32)
        if factor is not None:
            weight = weight * factor.reshape(-1, *(1 for _ in weight.shape[1:]))
            bias = None if bias is None else bias * factor
        if shift is not None:
            bias = shift if bias is None else bias + shift
    return weight, bias


def _statistics(layer: Any) -> tuple[Array, Array, Array, Array]:
    """Mean, 1 / sqrt(variance + eps), scale and shift of a batch norm."""
    root = 1 / np.sqrt(_numbers(layer.running_var) + np.float32(layer.eps))
    return _numbers(layer.running_mean), root, _numbers(layer.weight), _numbers(layer.bias)


def _finish(m: Model, c: Call, x: int) -> int:
    """`x` times the factor that is left of an absorbed hard sigmoid."""
    return m.add("MUL", [x, m.number(1 / 6)], m.shape(x)) if c.activation == "hsigmoid" else x


def _conv(m: Model, c: Call) -> int:
    op = c.op
    weight, bias = _weight_and_bias(c)
    operands = [m.constant(_or_zeros(bias, op.out))]
    channels, *size = c.input_shapes[0]
    depthwise = op.groups == channels > 1
    options = {
        "strideH": op.stride[0], "strideW": op.stride[1],
        "dilationHFactor": op.dilation[0], "dilationWFactor": op.dilation[1],
        "fusedActivationFunction": _FUSED_NAMES[c.activation],
    }  # fmt: skip
    if depthwise:
        operands.insert(0, m.constant(weight.transpose(1, 2, 3, 0)))
        options["depthMultiplier"] = op.out // channels
    else:
        operands.insert(0, m.constant(weight.transpose(0, 2, 3, 1)))
    reach = [d * (k - 1) + 1 for d, k in zip(op.dilation, op.kernel, strict=True)]
    x, options["padding"] = _pad(m, c.inputs[0], size, reach, op.stride, op.padding)
    y = m.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, *operands], _stored(c.shape), **options)
    return _finish(m, c, y)


def _pad(
    m: Model, x: int, size: Sequence[int], reach: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    value: float | None = None,
) -> tuple[int, str]:  # fmt: skip
    """`x` as a window of `reach` reads it and the padding that the operator does itself: "SAME" where it can."""
    if not any(padding):
        return x, "VALID"
    if all(_same(*axis) for axis in zip(size, reach, stride, padding[:2], padding[2:], strict=True)):
        return x, "SAME"
    top, left, bottom, right = padding
    return m.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), value), "VALID"


def _same(length: int, reach: int, stride: int, before: int, after: int) -> bool:
    """Whether LiteRT's SAME padding of an axis is (before, after)."""
    total = max(0, (-(-length // stride) - 1) * stride + reach - length)
    return (before, after) == (total // 2, total - total // 2)


def _linear(m: Model, c: Call) -> int:
    weight, bias = _weight_and_bias(c)
    activation = {"fusedActivationFunction": _FUSED_NAMES[c.activation]}
    shape = (1, *c.shape)
    if len(c.shape) == 3:  # A linear layer on tokens (1, patches, pixels, channels) is a convolution in the file.
        operands = [m.constant(weight[:, None, None, :]), m.constant(_or_zeros(bias, c.op.out))]
        y = m.add("CONV_2D", [*c.inputs, *operands], shape, padding="VALID", strideH=1, strideW=1, **activation)
    else:
        operands = [m.constant(weight), -1 if bias is None else m.constant(bias)]
        y = m.add("FULLY_CONNECTED", [*c.inputs, *operands], shape, keepNumDims=True, **activation)
    return _finish(m, c, y)


def _or_zeros(bias: Array | None, size: int) -> Array:
    return np.zeros(size, np.float32) if bias is None else bias


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
    product = m.add("MUL", [x, _per_channel(m, c, _numbers(c.layer.weight))], shape)
    return m.add("SELECT", [positive, x, product], shape)


def _per_channel(m: Model, c: Call, numbers: Array) -> int:
    """A constant of one number a channel that broadcasts over the value."""
    if len(c.shape) != 3:
        return m.constant(numbers)
    return m.constant(numbers.reshape((1, -1, 1, 1) if c.first else (1, 1, 1, -1)))


def _binary(m: Model, c: Call) -> int:
    shape = np.broadcast_shapes(*(m.shape(x) for x in c.inputs))
    if c.op.function == "max":
        return m.add("MAXIMUM", c.inputs, shape)
    return m.add(_BINARIES[c.op.function], c.inputs, shape, fusedActivationFunction=_FUSED_NAMES[c.activation])


def _affine(m: Model, c: Call) -> int:
    (x,) = c.inputs
    if c.op.factor != 1.0:
        x = m.add("MUL", [x, m.number(c.op.factor)], m.shape(x))
    return m.add("ADD", [x, m.number(c.op.shift)], m.shape(x)) if c.op.shift else x


def _learned_scale(m: Model, c: Call) -> int:
    (x,) = c.inputs
    return m.add("MUL", [x, _per_channel(m, c, _numbers(c.layer.weight))], m.shape(x))


def _global_pool(m: Model, c: Call) -> int:
    if c.op.flatten:
        return m.add("MEAN", [*c.inputs, m.integers(2, 3)], (1, *c.shape))
    return m.add("MEAN", [*c.inputs, m.integers(1, 2)], _stored(c.shape), keepDims=True)


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
        x, window["padding"] = _pad(m, c.inputs[0], size, kernel, stride, padding, -np.inf)
        return m.add("MAX_POOL_2D", [x], _stored(c.shape), **window)
    if not op.count_pad and all(
        _same(*axis) for axis in zip(size, kernel, stride, padding[:2], padding[2:], strict=True)
    ):  # LiteRT's SAME does not count its padding.
        return m.add("AVERAGE_POOL_2D", c.inputs, _stored(c.shape), padding="SAME", **window)
    top, left, bottom, right = padding
    x = m.pad(c.inputs[0], ((0, 0), (top, bottom), (left, right), (0, 0))) if any(padding) else c.inputs[0]
    y = m.add("AVERAGE_POOL_2D", [x], _stored(c.shape), padding="VALID", **window)
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
    return m.add("CONCATENATION", c.inputs, _stored(c.shape), axis=3)


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
        return m.reshape(x, _stored(c.shape))
    if c.op.moves_data and c.op.channels_to is None:
        x = m.transpose(m.reshape(x, c.op.split), c.op.order)
    return m.reshape(x, (1, *c.op.merge))


def _matmul(m: Model, c: Call) -> int:
    first, second = c.inputs
    if c.op.transpose:
        *outer, rows, columns = range(len(m.shape(second)))
        second = m.transpose(second, (*outer, columns, rows))
    count = elements(c.shape[:-2])
    matrices = [m.reshape(x, (count, *m.shape(x)[-2:])) for x in (first, second)]
    return m.reshape(m.add("BATCH_MATMUL", matrices, (count, *c.shape[-2:])), (1, *c.shape))


def _softmax(m: Model, c: Call) -> int:
    (x,) = c.inputs
    shape = m.shape(x)
    if len(shape) != 4 or c.first:
        return m.add("SOFTMAX", [x], shape, beta=1.0)
    # LiteRT's softmax is over the last axis, which holds the channels of a map: exp(x - max) / sum over its rows.
    channels, height, _ = c.shape
    largest = m.add("REDUCE_MAX", [x, m.integers(2)], (1, height, channels))
    largest = m.add("MAXIMUM", [largest, m.number(-np.inf)], m.shape(largest))
    shifted = m.add("SUB", [x, m.reshape(largest, (1, height, 1, channels))], shape)
    powers = m.add("EXP", [shifted], shape)
    total = m.add("SUM", [powers, m.integers(2)], (1, height, 1, channels), keepDims=True)
    return m.add("DIV", [powers, total], shape)


def _norm(m: Model, c: Call) -> int:
    (x,) = c.inputs
    scale, shift = _numbers(c.layer.weight), _numbers(c.layer.bias)
    match c.op.function:
        case "layer":
            return _layer_norm(m, x, scale, shift, c.layer.eps)
        case "group":
            return _group_norm(m, x, scale, shift, c.layer.eps)
    return _batch_norm(m, c)


def _batch_norm(m: Model, c: Call) -> int:
    (x,) = c.inputs
    mean, root, scale, shift = (_per_channel(m, c, numbers) for numbers in _statistics(c.layer))
    for kind, operand in (("SUB", mean), ("MUL", root), ("MUL", scale)):
        x = m.add(kind, [x, operand], m.shape(x))
    return m.add("ADD", [x, shift], m.shape(x), fusedActivationFunction=_FUSED_NAMES[c.activation])


def _layer_norm(m: Model, x: int, scale: Array, shift: Array, eps: float) -> int:
    """x · r - mean · r, times scale, plus shift, with r = 1 / sqrt(variance + eps), each over the last axis."""
    shape = m.shape(x)
    count, channels = elements(shape[:-1]), shape[-1]
    flat = m.reshape(x, (1, count, channels))
    axes = m.integers(0, 2)
    mean = m.add("MEAN", [flat, axes], (count,))
    squares = m.add("SQUARED_DIFFERENCE", [flat, m.reshape(mean, (1, count, 1))], (1, count, channels))
    variance = m.add("ADD", [m.add("MEAN", [squares, axes], (count,)), m.number(eps)], (count,))
    factor = m.add("RSQRT", [variance], (count,))
    product = m.add("MUL", [mean, factor], (count,))
    offset = m.add("SUB", [m.number(0.0), product], (count,))
    for kind, operand in (
        ("MUL", m.reshape(factor, (1, count, 1))),
        ("ADD", m.reshape(offset, (1, count, 1))),
        ("MUL", m.constant(scale)),
        ("ADD", m.constant(shift)),
    ):
        flat = m.add(kind, [flat, operand], (1, count, channels))
    return m.reshape(flat, shape)


def _group_norm(m: Model, x: int, scale: Array, shift: Array, eps: float) -> int:
    """The norm of all of a map (channels first) as one factor and one offset a channel."""
    shape = m.shape(x)
    channels, one = shape[1], (1, 1, 1, 1)
    flat = m.reshape(x, (1, 1, channels, elements(shape[2:])))
    axes = m.integers(2, 3)
    mean = m.add("MEAN", [flat, axes], one, keepDims=True)
    centred = m.add("SUB", [flat, mean], m.shape(flat))
    squares = m.add("MUL", [centred, centred], m.shape(flat))
    variance = m.add("MEAN", [squares, axes], one, keepDims=True)
    root = m.add("RSQRT", [m.add("ADD", [variance, m.constant(np.full(one, eps, np.float32))], one)], one)
    per_channel = (1, 1, channels, 1)
    factor = m.add("MUL", [root, m.constant(scale.reshape(per_channel))], per_channel)
    negative = m.add("MUL", [mean, m.constant(np.full(one, -1, np.float32))], one)
    offset = m.add("MUL", [negative, factor], per_channel)
    offset = m.add("ADD", [offset, m.constant(shift.reshape(per_channel))], per_channel)
    y = m.add("MUL", [x, m.reshape(factor, (1, channels, 1, 1))], shape)
    return m.add("ADD", [y, m.reshape(offset, (1, channels, 1, 1))], shape)


def _reduce(m: Model, c: Call) -> int:
    axis = c.op.axis % len(c.shape) + 1
    if len(c.shape) == 3 and not c.first:
        axis = _TO_LAST.index(axis)
    shape = _stored(c.shape) if len(c.shape) == 3 and not c.first else (1, *c.shape)
    return m.add(_REDUCTIONS[c.op.function], [*c.inputs, m.integers(axis)], shape, keepDims=True)


def _resize(m: Model, c: Call) -> int:
    size = m.integers(c.op.height, c.op.width)
    corners = {"alignCorners": c.op.align_corners, "halfPixelCenters": not c.op.align_corners}
    return m.add("RESIZE_BILINEAR", [*c.inputs, size], _stored(c.shape), **corners)


def _stored(shape: Shape) -> Shape:
    """The shape of a map with its channels last and the batch in front."""
    channels, height, width = shape
    return (1, height, width, channels)


_EMITTERS: dict[type[Op], Callable[[Model, Call], int]] = {
    Conv: _conv,
    Linear: _linear,
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
    MatMul: _matmul,
    Softmax: _softmax,
    Norm: _norm,
    Reduce: _reduce,
    Resize: _resize,
}
