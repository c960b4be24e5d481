"""Any static-shape ONNX network as a `Graph`: the operators that its inference form leaves a runtime to do.

Exporters write one thing in many ways. Batch norms behind a convolution vanish into it, also where they are written as
a product and a sum (`nas.onnx.folding`); activations are recognised by what they compute
(`nas.onnx.activations`); reshapes and views are free; what has no name here becomes an operator `other:NAME`,
which a latency model charges for and warns about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from nas.errors import InputError
from nas.graph.graph import Graph, Node
from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Concat,
    Conv,
    GlobalPool,
    Input,
    Linear,
    MatMul,
    Norm,
    Op,
    Pool,
    Rearrange,
    Reduce,
    Resize,
    Shuffle,
    Softmax,
)
from nas.graph.rows import Shape, elements
from nas.onnx.activations import ACTIVATION
from nas.onnx.file import OnnxNetwork, OnnxNode, read_onnx_network
from nas.onnx.folding import NORMS, SHUFFLE, simplify
from nas.onnx.layers import (
    Move,
    Other,
    Part,
    Product,
    Scaled,
    View,
    as_map,
    convolution,
    transposed_convolution,
    unbatched,
)

_MOVES = ("Pad", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Gather", "GatherND", "GatherElements", "Compress")
_NO_END = 2.0**31 - 1
"""From here on, the end of a slice means the last element."""
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Identity", "Dropout", "Cast", "CastLike")
_BINARIES: Mapping[str, str] = {
    "Add": "add", "Sub": "sub", "Sum": "add", "Max": "max", "Min": "max", "Mean": "add", "Mul": "mul", "Div": "mul",
    "Pow": "mul",
}  # fmt: skip
_NORM_FUNCTIONS: Mapping[str, Literal["group", "batch"]] = {
    "BatchNormalization": "batch", "GroupNormalization": "group", "InstanceNormalization": "group",
}  # fmt: skip


def read_onnx(path: str | Path) -> Graph:
    """The graph of the static-shape ONNX network at `path`; each of its layers is a segment.

    Raises `InputError` naming the file, as `nas.onnx.file.read_onnx_network` does.
    """
    path = Path(path)
    network = read_onnx_network(path)
    simplify(network)
    return _Reader(network, path).graph()


class _Reader:
    """Turns the nodes of a simplified network into graph nodes."""

    def __init__(self, network: OnnxNetwork, path: Path) -> None:
        self._network, self._path = network, path
        self._nodes: list[Node] = []
        self._at: dict[str, int] = {}
        self._readers: dict[str, list[OnnxNode]] = {}
        for node in network.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        for name in network.inputs:
            shape = unbatched(network.shapes[name])
            self._at[name] = len(self._nodes)
            self._nodes.append(Node(Input(shape), (), shape, 0))

    def graph(self) -> Graph:
        """The graph, cut into layers wherever a single value is alive."""
        for node in self._network.nodes:
            if node.outputs[0] not in self._at:
                _HANDLERS.get(node.kind, _Reader._other)(self, node)
        return Graph(_with_layers(self._nodes, [self._at[name] for name in self._network.outputs if name in self._at]))

    # What the handlers use.

    def _shape(self, name: str) -> Shape:
        return self._network.shapes[name]

    def _operands(self, node: OnnxNode) -> list[str]:
        """The operands that are computed, not constant."""
        found = [name for name in node.inputs if name and name not in self._network.constants]
        for name in found:
            if name not in self._at:
                raise InputError(f"{self._path} must define every value before its use, but {name!r} is not.")
        return found

    def _constant_sizes(self, node: OnnxNode) -> list[int]:
        constants = self._network.constants
        return [
            elements(self._shape(name)) for name in node.inputs if name in constants and name in self._network.shapes
        ]

    def _put(self, op: Op, operands: list[str], out: str, shape: Shape | None = None) -> None:
        """Append `op` on `operands`; its value is called `out`. Maps of one axis become maps where `op` needs them."""
        places = tuple(self._at[name] for name in operands)
        self._at[out] = self._append(op, places, unbatched(self._shape(out)) if shape is None else shape)

    def _append(self, op: Op, places: tuple[int, ...], shape: Shape) -> int:
        self._nodes.append(Node(op, places, shape, 0))
        return len(self._nodes) - 1

    def _view(self, name: str, shape: Shape) -> None:
        """Let `name` have another shape from here on, where it has not that one already."""
        if self._nodes[self._at[name]].shape != shape:
            self._at[name] = self._append(View(), (self._at[name],), shape)

    def _values(self, name: str) -> list[float] | None:
        constant = self._network.constants.get(name)
        return None if constant is None else [float(value) for value in np.asarray(constant).reshape(-1)]

    # One handler a kind of node.

    def _other(self, node: OnnxNode) -> None:
        op = Other(node.kind, sum(self._constant_sizes(node)))
        for name in (name for name in node.outputs if name):
            self._put(op, self._operands(node), name)
            op = Other(node.kind, 0)

    def _activation(self, node: OnnxNode) -> None:
        self._put(Activation(node.attributes["function"]), node.inputs[:1], node.outputs[0])

    def _convolution(self, node: OnnxNode) -> None:
        x, out, weight = node.inputs[0], node.outputs[0], self._shape(node.inputs[1])
        bias = len(node.inputs) > 2 or bool(node.attributes.get("bias"))
        if len(weight) not in (3, 4):
            self._other(node)
            return
        source, shape = as_map(unbatched(self._shape(x))), as_map(unbatched(self._shape(out)))
        if node.kind == "Conv":
            op: Op = convolution(node.attributes, weight, source, shape, bias=bias)
        else:
            op = transposed_convolution(node.attributes, weight, bias=bias)
        kept = self._at[x]
        self._view(x, source)
        self._put(op, self._operands(node), out, shape)
        self._at[x] = kept

    def _matrix_product(self, node: OnnxNode) -> None:
        operands, out = self._operands(node), node.outputs[0]
        first, second = (self._shape(name) for name in node.inputs[:2])
        inner = first[0] if node.attributes.get("transA") else first[-1]
        if len(operands) == 1 and operands[0] == node.inputs[0] and len(second) == 2:
            bias = bool(node.attributes.get("bias")) or len(node.inputs) > 2
            self._put(Linear(elements(second) // inner, bias), operands, out)
        elif node.kind == "MatMul" and len(operands) == 2:
            self._put(MatMul(), operands, out)
        else:
            weights = sum(self._constant_sizes(node)[:1]) if len(operands) < 2 else 0
            self._put(Product(elements(self._shape(out)) * inner, inner, weights), operands, out)

    def _einsum(self, node: OnnxNode) -> None:
        letters = node.attributes["equation"].decode().replace(" ", "").split("->")[0].split(",")
        if "..." in "".join(letters) or len(letters) != len(node.inputs):
            self._other(node)
            return
        sizes = {
            a: n
            for text, name in zip(letters, node.inputs, strict=True)
            for a, n in zip(text, self._shape(name), strict=True)
        }
        products, out = elements(tuple(sizes.values())), elements(self._shape(node.outputs[0]))
        weights = sum(self._constant_sizes(node))
        self._put(Product(products, max(products // out, 1), weights), self._operands(node), node.outputs[0])

    def _binary(self, node: OnnxNode) -> None:
        operands, out = self._operands(node), node.outputs[0]
        if len(operands) == 1:
            size = max(self._constant_sizes(node), default=1)
            following = self._readers.get(out, [])
            if size > 1:
                self._put(Scaled(size), operands, out)
            elif node.kind in ("Mul", "Div") and self._beside_product(operands[0], following):
                self._put(View(), operands, out)
            elif (
                node.kind in ("Mul", "Div") and len(following) == 1 and following[0].kind in ("Add", "Sub")
                and out not in self._network.outputs and self._constant_sizes(following[0]) == [1]
            ):  # fmt: skip
                self._at[out] = self._at[operands[0]]  # x·a + b is one operator: the sum stands for both
            else:
                self._put(Affine(1.0, 0.0), operands, out)
            return
        function = _BINARIES[node.kind]
        total = operands[0]
        for i, name in enumerate(operands[1:], start=2):
            partial = out if i == len(operands) else f"{out}#{i}"
            self._put(Binary(function), [total, name], partial, unbatched(self._shape(out)))  # type: ignore[arg-type]
            total = partial

    def _beside_product(self, x: str, following: list[OnnxNode]) -> bool:
        """Whether a factor of `x` can become part of the product that makes it, or of those that read it."""
        made = self._nodes[self._at[x]].op
        products = following and all(reader.kind == "MatMul" for reader in following)
        return isinstance(made, MatMul | Linear | Product) or bool(products)

    def _global_pool(self, node: OnnxNode) -> None:
        self._put(GlobalPool(), self._operands(node), node.outputs[0])

    def _pool(self, node: OnnxNode) -> None:
        kernel, shape = node.attributes["kernel_shape"], self._shape(node.inputs[0])
        if node.kind == "AveragePool" and tuple(kernel) == shape[2:] and not any(node.attributes.get("pads", ())):
            self._global_pool(node)
            return
        function: Literal["max", "avg"] = "max" if node.kind == "MaxPool" else "avg"
        stride, padding = (max(node.attributes.get(name, [least])) for name, least in (("strides", 1), ("pads", 0)))
        ceil, count_pad = (bool(node.attributes.get(name, 0)) for name in ("ceil_mode", "count_include_pad"))
        op = Pool(function, max(kernel), stride, padding, ceil, count_pad or function == "max")
        for name in (name for name in node.outputs if name):
            self._put(op, self._operands(node), name)

    def _reduce(self, node: OnnxNode) -> None:
        shape = self._shape(node.inputs[0])
        given = self._values(node.inputs[1]) if len(node.inputs) > 1 else node.attributes.get("axes")
        axes = sorted(int(axis) % len(shape) for axis in given or range(len(shape)))
        left = [length for axis, length in enumerate(shape) if axis not in axes and length > 1]
        if node.kind == "ReduceMean" and len(shape) > 2 and len(left) == 1:
            self._put(GlobalPool(), self._operands(node), node.outputs[0])
            return
        kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
        out = node.outputs[0]
        self._put(Reduce("mean", 0), self._operands(node), out, unbatched(kept))
        self._view(out, unbatched(self._shape(out)))

    def _transpose(self, node: OnnxNode) -> None:
        x, out = node.inputs[0], node.outputs[0]
        shape = self._shape(x)
        order = [int(axis) for axis in node.attributes.get("perm", range(len(shape))[::-1])]
        following = self._readers.get(out, [])
        moved = [axis for axis in order if shape[axis] > 1]
        if moved == sorted(moved):
            self._put(View(), [x], out)
            return
        swapped = order == [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        if swapped and following and all(n.kind == "MatMul" and out in n.inputs[:2] for n in following):
            self._put(View(), [x], out)  # a matrix product reads either operand transposed
            return
        merged = out
        if len(following) == 1 and following[0].kind in ("Reshape", "Flatten") and out not in self._network.outputs:
            merged = following[0].outputs[0]
        rearrange = Rearrange(shape, tuple(order), self._shape(merged))
        if rearrange.channels_to and self._in_blocks(x) != (rearrange.channels_to == "last"):
            a, b, c = shape[-3:]
            flat = (a, b * c) if rearrange.channels_to == "last" else (a * b, c)
            rearrange = Rearrange(flat, (1, 0), self._shape(merged))  # no change of layout that joins it
        self._put(rearrange, [x], merged)
        self._at.setdefault(out, self._at[merged])

    def _in_blocks(self, x: str) -> bool:
        """Whether `x` is a map as convolutions leave it."""
        op = self._nodes[self._at[x]].op
        return isinstance(op, Conv | Pool | Binary | Concat) or (isinstance(op, Activation) and op.function != "prelu")

    def _shuffle(self, node: OnnxNode) -> None:
        self._put(Shuffle(node.attributes["groups"]), node.inputs, node.outputs[0])

    def _views(self, node: OnnxNode) -> None:
        if (
            node.kind == "Slice"
            and len(node.inputs) > 4
            and any(abs(s) != 1 for s in self._values(node.inputs[4]) or [0])
        ):
            self._moves(node)
            return
        ends = self._values(node.inputs[2]) if node.kind == "Slice" and len(node.inputs) > 2 else None
        written = ends is not None and max(ends) < _NO_END
        parts = node.kind in ("Split", "Slice") and (
            written or self._shape(node.inputs[0]) != self._shape(node.outputs[0])
        )
        op = Part() if parts else View()
        for name in (name for name in node.outputs if name):
            self._put(op, self._operands(node)[:1], name)

    def _moves(self, node: OnnxNode) -> None:
        shape, out = self._shape(node.inputs[0]), self._shape(node.outputs[0])
        operands = self._operands(node)
        if not operands:
            self._other(node)
        elif (shape == out and node.kind in ("Pad", "Expand", "Tile")) or (
            node.kind == "Gather" and elements(self._shape(node.inputs[1]) or (1,)) == 1
        ):
            self._put(Part() if node.kind == "Gather" else View(), operands[:1], node.outputs[0])
        else:
            self._put(Move(node.kind.lower()), operands, node.outputs[0])

    def _concat(self, node: OnnxNode) -> None:
        self._put(Concat(), self._operands(node), node.outputs[0])

    def _norm(self, node: OnnxNode) -> None:
        op = Norm(_NORM_FUNCTIONS.get(node.kind, "layer"))
        for name in [name for name in node.outputs if name][:1]:
            self._put(op, self._operands(node)[:1], name)

    def _softmax(self, node: OnnxNode) -> None:
        self._put(Softmax(), self._operands(node), node.outputs[0])

    def _resize(self, node: OnnxNode) -> None:
        shape = unbatched(self._shape(node.outputs[0]))
        self._put(Resize(shape[-2] if len(shape) > 1 else 1, shape[-1]), self._operands(node)[:1], node.outputs[0])

    def _attention(self, node: OnnxNode) -> None:
        query, key, value = node.inputs[:3]
        q, k, out = self._shape(query), self._shape(key), node.outputs[0]
        if len(q) != 4:
            self._other(node)
            return
        scores = (q[1], q[2], k[2])
        first = self._append(MatMul(transpose=True), (self._at[query], self._at[key]), scores)
        weights = self._append(Softmax(), (first,), scores)
        self._at[out] = self._append(MatMul(), (weights, self._at[value]), unbatched(self._shape(out)))


_HANDLERS: Mapping[str, Callable[[_Reader, OnnxNode], None]] = {
    ACTIVATION: _Reader._activation,
    SHUFFLE: _Reader._shuffle,
    "Conv": _Reader._convolution,
    "ConvTranspose": _Reader._convolution,
    "Gemm": _Reader._matrix_product,
    "MatMul": _Reader._matrix_product,
    "Einsum": _Reader._einsum,
    "Attention": _Reader._attention,
    "Transpose": _Reader._transpose,
    "Concat": _Reader._concat,
    "Resize": _Reader._resize,
    "Upsample": _Reader._resize,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _Reader._softmax),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _Reader._global_pool),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _Reader._pool),
    **dict.fromkeys((f"Reduce{f}" for f in ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare")), _Reader._reduce),
    **dict.fromkeys(_BINARIES, _Reader._binary),
    **dict.fromkeys(NORMS, _Reader._norm),
    **dict.fromkeys(_MOVES, _Reader._moves),
    **dict.fromkeys(_VIEWS, _Reader._views),
}


def _with_layers(nodes: list[Node], outputs: list[int]) -> tuple[Node, ...]:
    """`nodes` with a new layer behind each point where a single value is alive, but not before its activation."""
    last = list(range(len(nodes)))
    for i, node in enumerate(nodes):
        for operand in node.inputs:
            last[operand] = max(last[operand], i)
    for output in outputs:
        last[output] = len(nodes)
    layered: list[Node] = []
    layer, reach = 0, -1
    for i, node in enumerate(nodes):
        # Values before that of node i - 1 are read up to `reach`.
        reach = max(reach, last[i - 2]) if i > 1 else reach
        shapes = tuple(nodes[j].shape for j in node.inputs)
        opens = reach < i and not isinstance(node.op, Activation) and bool(node.op.rows(shapes, node.shape))
        if not isinstance(node.op, Input):
            layer += layer == 0 or opens
        layered.append(node._replace(layer=0 if isinstance(node.op, Input) else layer))
    return tuple(layered)
