"""The ONNX form of each primitive operator (opset 20).

Every float initializer is a learned number (a batch norm that stays has its running statistics as well); constants
are Constant nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor

from nas.errors import UnknownOperatorError
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
from nas.graph.rows import Shape
from nas.nets.functions import LEAKY_SLOPE
from nas.nets.module import GraphModule

_ACTIVATIONS = {"relu": "Relu", "hswish": "HardSwish", "gelu": "Gelu", "sigmoid": "Sigmoid", "tanh": "Tanh"}
_BINARIES = {"add": "Add", "sub": "Sub", "mul": "Mul", "max": "Max"}
_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}


class _Call(NamedTuple):
    """One operator of the graph: `inputs` and `out` are names of values, the shapes are without the batch."""

    op: Any
    inputs: list[str]
    input_shape: Shape
    out: str
    shape: Shape
    layer: Any


class Writer:
    """Collects the ONNX nodes and initializers of a module in inference form.

    Raises `UnknownOperatorError` for an operator that has no ONNX form here.
    """

    def __init__(self, module: GraphModule, *, batch: int, input_name: str, output_name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._batch = batch
        values = {0: input_name}
        graph = module.definition
        last = len(graph.nodes) - 1
        for position, node in enumerate(graph.nodes[1:], start=1):
            self._prefix = f"layer{node.layer:02d}/{node.op.name}_{position}"
            self._count = 0
            values[position] = output_name if position == last else self._prefix
            emit = _EMITTERS.get(type(node.op))
            if emit is None:
                raise UnknownOperatorError(f"every operator must have an ONNX form, but {node.op.text()} has none.")
            call = _Call(
                op=node.op,
                inputs=[values[i] for i in node.inputs],
                input_shape=graph.input_shapes(node)[0],
                out=values[position],
                shape=node.shape,
                layer=module.layer(position),
            )
            emit(self, call)

    def add(self, kind: str, inputs: list[str], out: str | None = None, **attributes: Any) -> str:
        """Append a node; returns the name of its value, a new one where `out` is not given."""
        self._count += 1
        name = f"{self._prefix}/{kind}_{self._count}"
        self.nodes.append(helper.make_node(kind, inputs, [out or name], name=name, **attributes))
        return out or name

    def learned(self, role: str, tensor: Tensor) -> str:
        """Append a tensor of the module as a float32 initializer; returns its name."""
        name = f"{self._prefix}/{role}"
        array = tensor.detach().cpu().float().contiguous().numpy()
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight_and_bias(self, layer: Any) -> list[str]:
        """Append the weight of a layer, and its bias where it has one."""
        names = [self.learned("weight", layer.weight)]
        return names if layer.bias is None else [*names, self.learned("bias", layer.bias)]

    def number(self, value: float | list[float]) -> str:
        """Append a float32 constant; returns the name of its value."""
        return self.add("Constant", [], value=numpy_helper.from_array(np.array(value, dtype=np.float32)))

    def integers(self, *values: int) -> str:
        """Append a vector of int64 constants; returns the name of its value."""
        return self.add("Constant", [], value=numpy_helper.from_array(np.array(values, dtype=np.int64)))

    def with_batch(self, shape: Shape) -> str:
        """Append the shape (batch, *shape) as a constant; returns the name of its value."""
        return self.integers(self._batch, *shape)

    def reshape(self, x: str, shape: Shape, out: str | None = None) -> str:
        """Append a Reshape of all that is behind the batch."""
        return self.add("Reshape", [x, self.with_batch(shape)], out)

    def rearrange(self, x: str, split: Shape, order: tuple[int, ...], merge: Shape, out: str) -> None:
        """Append a Reshape, a Transpose and a Reshape of all that is behind the batch."""
        moved = self.add("Transpose", [self.reshape(x, split)], perm=[0, *(axis + 1 for axis in order)])
        self.reshape(moved, merge, out)


def _conv(w: Writer, c: _Call) -> None:
    w.add(
        "Conv", [*c.inputs, *w.weight_and_bias(c.layer)], c.out, kernel_shape=c.op.kernel, strides=c.op.stride,
        pads=c.op.padding, dilations=c.op.dilation, group=c.op.groups,
    )  # fmt: skip


def _linear(w: Writer, c: _Call) -> None:
    if len(c.shape) == 1:
        w.add("Gemm", [*c.inputs, *w.weight_and_bias(c.layer)], c.out, transB=1)
        return
    operands = [*c.inputs, w.learned("weight", c.layer.weight.t())]
    if c.layer.bias is None:
        w.add("MatMul", operands, c.out)
    else:
        w.add("Add", [w.add("MatMul", operands), w.learned("bias", c.layer.bias)], c.out)


def _activation(w: Writer, c: _Call) -> None:
    match c.op.function:
        case "prelu":
            w.add("PRelu", [*c.inputs, w.learned("slope", c.layer.weight)], c.out)
        case "relu6":
            w.add("Clip", [*c.inputs, w.number(0.0), w.number(6.0)], c.out)
        case "silu":
            w.add("Mul", [*c.inputs, w.add("Sigmoid", c.inputs)], c.out)
        case "hsigmoid":
            w.add("HardSigmoid", c.inputs, c.out, alpha=1 / 6, beta=0.5)
        case "leaky_relu":
            w.add("LeakyRelu", c.inputs, c.out, alpha=LEAKY_SLOPE)
        case function:
            w.add(_ACTIVATIONS[function], c.inputs, c.out)


def _binary(w: Writer, c: _Call) -> None:
    w.add(_BINARIES[c.op.function], c.inputs, c.out)


def _affine(w: Writer, c: _Call) -> None:
    w.add("Add", [w.add("Mul", [*c.inputs, w.number(c.op.factor)]), w.number(c.op.shift)], c.out)


def _learned_scale(w: Writer, c: _Call) -> None:
    w.add("Mul", [*c.inputs, w.learned("scale", c.layer.weight)], c.out)


def _global_pool(w: Writer, c: _Call) -> None:
    if c.op.flatten:
        w.add("Flatten", [w.add("GlobalAveragePool", c.inputs)], c.out)
    else:
        w.add("GlobalAveragePool", c.inputs, c.out)


def _pool(w: Writer, c: _Call) -> None:
    op = c.op
    attributes: dict[str, Any] = {
        "kernel_shape": [op.kernel] * 2,
        "strides": [op.stride] * 2,
        "pads": [op.padding] * 4,
        "ceil_mode": int(op.ceil),
    }
    if op.function == "max":
        w.add("MaxPool", c.inputs, c.out, **attributes)
    else:
        w.add("AveragePool", c.inputs, c.out, count_include_pad=int(op.count_pad), **attributes)


def _concat(w: Writer, c: _Call) -> None:
    w.add("Concat", c.inputs, c.out, axis=1)


def _slice(w: Writer, c: _Call) -> None:
    w.add("Slice", [*c.inputs, w.integers(c.op.start), w.integers(c.op.stop), w.integers(1)], c.out)


def _shuffle(w: Writer, c: _Call) -> None:
    channels, *size = c.shape
    split = (c.op.groups, channels // c.op.groups, *size)
    w.rearrange(c.inputs[0], split, (1, 0, *range(2, len(split))), c.shape, c.out)


def _rearrange(w: Writer, c: _Call) -> None:
    if c.op.moves_data:
        w.rearrange(c.inputs[0], c.op.split, c.op.order, c.op.merge, c.out)
    else:
        w.reshape(c.inputs[0], c.op.merge, c.out)


def _matmul(w: Writer, c: _Call) -> None:
    first, second = c.inputs
    if c.op.transpose:
        axes = list(range(len(c.input_shape) + 1))
        second = w.add("Transpose", [second], perm=[*axes[:-2], axes[-1], axes[-2]])
    w.add("MatMul", [first, second], c.out)


def _softmax(w: Writer, c: _Call) -> None:
    w.add("Softmax", c.inputs, c.out, axis=-1)


def _norm(w: Writer, c: _Call) -> None:
    layer = c.layer
    if c.op.function == "layer":
        w.add("LayerNormalization", [*c.inputs, *w.weight_and_bias(layer)], c.out, axis=-1, epsilon=layer.eps)
    elif c.op.function == "batch":
        statistics = [w.learned("mean", layer.running_mean), w.learned("variance", layer.running_var)]
        names = [*c.inputs, *w.weight_and_bias(layer), *statistics]
        w.add("BatchNormalization", names, c.out, epsilon=layer.eps)
    else:
        # Opset 20's GroupNormalization has one scale a group, not one a channel: normalise all of the map as one
        # instance, then scale and shift its channels.
        unit = [w.number([1.0]), w.number([0.0])]
        flat = w.add("InstanceNormalization", [w.reshape(c.inputs[0], (1, -1)), *unit], epsilon=layer.eps)
        per_channel = (len(layer.weight), *(1 for _ in c.shape[1:]))
        scale = w.learned("weight", layer.weight.reshape(per_channel))
        shift = w.learned("bias", layer.bias.reshape(per_channel))
        w.add("Add", [w.add("Mul", [w.reshape(flat, c.shape), scale]), shift], c.out)


def _reduce(w: Writer, c: _Call) -> None:
    axis = c.op.axis + 1 if c.op.axis >= 0 else c.op.axis
    w.add(_REDUCTIONS[c.op.function], [*c.inputs, w.integers(axis)], c.out, keepdims=1)


def _resize(w: Writer, c: _Call) -> None:
    names = [c.inputs[0], "", "", w.with_batch(c.shape)]
    corners = "align_corners" if c.op.align_corners else "half_pixel"
    w.add("Resize", names, c.out, mode="linear", coordinate_transformation_mode=corners)


_EMITTERS: dict[type[Op], Callable[[Writer, _Call], None]] = {
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
