"""The LiteRT form of convolutions, linear layers and matrix products, with what they absorb."""

from __future__ import annotations

import numpy as np

from nas.graph.ops import Activation, Affine, LearnedScale, Norm
from nas.graph.rows import elements
from nas.nets.litert_call import FUSED_NAMES, Array, Call, numbers, pad, statistics, stored
from nas.nets.litert_model import Model


def convolution(m: Model, c: Call) -> int:
    """A convolution, depthwise where it is one."""
    op = c.op
    weight, bias = _weight_and_bias(c)
    operands = [m.constant(_or_zeros(bias, op.out))]
    channels, *size = c.input_shapes[0]
    depthwise = op.groups == channels > 1
    options = {
        "strideH": op.stride[0], "strideW": op.stride[1],
        "dilationHFactor": op.dilation[0], "dilationWFactor": op.dilation[1],
        "fusedActivationFunction": FUSED_NAMES[c.activation],
    }  # fmt: skip
    if depthwise:
        operands.insert(0, m.constant(weight.transpose(1, 2, 3, 0)))
        options["depthMultiplier"] = op.out // channels
    else:
        operands.insert(0, m.constant(weight.transpose(0, 2, 3, 1)))
    reach = [d * (k - 1) + 1 for d, k in zip(op.dilation, op.kernel, strict=True)]
    x, options["padding"] = pad(m, c.inputs[0], size, reach, op.stride, op.padding)
    y = m.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, *operands], stored(c.shape), **options)
    return _finish(m, c, y)


def linear(m: Model, c: Call) -> int:
    """A linear layer; on patches of pixels a convolution."""
    weight, bias = _weight_and_bias(c)
    activation = {"fusedActivationFunction": FUSED_NAMES[c.activation]}
    shape = (1, *c.shape)
    if len(c.shape) == 3:  # A linear layer on tokens (1, patches, pixels, channels) is a convolution in the file.
        operands = [m.constant(weight[:, None, None, :]), m.constant(_or_zeros(bias, c.op.out))]
        y = m.add("CONV_2D", [*c.inputs, *operands], shape, padding="VALID", strideH=1, strideW=1, **activation)
    else:
        operands = [m.constant(weight), -1 if bias is None else m.constant(bias)]
        y = m.add("FULLY_CONNECTED", [*c.inputs, *operands], shape, keepNumDims=True, **activation)
    return _finish(m, c, y)


def matrix_product(m: Model, c: Call) -> int:
    """A product of two activations."""
    first, second = c.inputs
    if c.op.transpose:
        *outer, rows, columns = range(len(m.shape(second)))
        second = m.transpose(second, (*outer, columns, rows))
    count = elements(c.shape[:-2])
    matrices = [m.reshape(x, (count, *m.shape(x)[-2:])) for x in (first, second)]
    return m.reshape(m.add("BATCH_MATMUL", matrices, (count, *c.shape[-2:])), (1, *c.shape))


def _weight_and_bias(c: Call) -> tuple[Array, Array | None]:
    """Those of a layer with what it absorbed; None for a bias that it does not have."""
    weight = numbers(c.layer.weight)
    bias = None if c.layer.bias is None else numbers(c.layer.bias)
    for op, layer in c.absorbed:
        factor: Array | None = None
        shift: Array | None = None
        match op:
            case LearnedScale():
                factor = numbers(layer.weight).reshape(-1)
            case Affine():
                factor = np.full(len(weight), op.factor, np.float32)
                shift = np.full(len(weight), op.shift, np.float32)
            case Norm():
                mean, root, scale, offset = statistics(layer)
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


def _or_zeros(bias: Array | None, size: int) -> Array:
    return np.zeros(size, np.float32) if bias is None else bias


def _finish(m: Model, c: Call, x: int) -> int:
    """`x` times the factor that is left of an absorbed hard sigmoid."""
    return m.add("MUL", [x, m.number(1 / 6)], m.shape(x)) if c.activation == "hsigmoid" else x
