"""The LiteRT form of norms and of the softmax, out of the operators that litert-torch makes of them."""

from __future__ import annotations

import numpy as np

from nas.graph.rows import elements
from nas.nets.litert_call import FUSED_NAMES, Array, Call, numbers, per_channel, statistics
from nas.nets.litert_model import Model


def softmax(m: Model, c: Call) -> int:
    """A softmax over the last axis of the graph's value."""
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


def norm(m: Model, c: Call) -> int:
    """A norm that stays at inference."""
    (x,) = c.inputs
    scale, shift = numbers(c.layer.weight), numbers(c.layer.bias)
    match c.op.function:
        case "layer":
            return _layer_norm(m, x, scale, shift, c.layer.eps)
        case "group":
            return _group_norm(m, x, scale, shift, c.layer.eps)
    return _batch_norm(m, c)


def _batch_norm(m: Model, c: Call) -> int:
    (x,) = c.inputs
    mean, root, scale, shift = (per_channel(m, c, values) for values in statistics(c.layer))
    for kind, operand in (("SUB", mean), ("MUL", root), ("MUL", scale)):
        x = m.add(kind, [x, operand], m.shape(x))
    return m.add("ADD", [x, shift], m.shape(x), fusedActivationFunction=FUSED_NAMES[c.activation])


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
