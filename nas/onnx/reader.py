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

from nas.graph.graph import Graph, Node
from nas.graph.ops import Activation, GlobalPool, Input, Norm, Pool, Reduce, Softmax
from nas.onnx import moves, products
from nas.onnx.activations import ACTIVATION
from nas.onnx.draft import Draft
from nas.onnx.file import OnnxNode, read_onnx_network
from nas.onnx.folding import NORMS, SHUFFLE, simplify
from nas.onnx.layers import unbatched
from nas.onnx.sane import reading

_NORM_FUNCTIONS: Mapping[str, Literal["group", "batch"]] = {
    "BatchNormalization": "batch", "GroupNormalization": "group", "InstanceNormalization": "group",
}  # fmt: skip


def read_onnx(path: str | Path) -> Graph:
    """The graph of the static-shape ONNX network at `path`; each of its layers is a segment.

    Raises `InputError` naming the file, as `nas.onnx.file.read_onnx_network` does.
    """
    path = Path(path)
    with reading(path):
        network = read_onnx_network(path)
        simplify(network)
        draft = Draft(network, path)
        for node in network.nodes:
            if node.outputs[0] not in draft.at:
                _HANDLERS.get(node.kind, products.other)(draft, node)
        graph = Graph(_with_layers(draft.nodes, [draft.at[name] for name in network.outputs if name in draft.at]))
        _ = graph.macs, graph.params, graph.segments  # read here, where what an operator lacks is the file's fault
    return graph


def _activation(d: Draft, node: OnnxNode) -> None:
    d.put(Activation(node.attributes["function"]), node.inputs[:1], node.outputs[0])


def _global_pool(d: Draft, node: OnnxNode) -> None:
    d.put(GlobalPool(), d.operands(node), node.outputs[0])


def _pool(d: Draft, node: OnnxNode) -> None:
    kernel, shape = node.attributes["kernel_shape"], d.shape(node.inputs[0])
    if node.kind == "AveragePool" and tuple(kernel) == shape[2:] and not any(node.attributes.get("pads", ())):
        _global_pool(d, node)
        return
    function: Literal["max", "avg"] = "max" if node.kind == "MaxPool" else "avg"
    stride, padding = (max(node.attributes.get(name, [least])) for name, least in (("strides", 1), ("pads", 0)))
    ceil, count_pad = (bool(node.attributes.get(name, 0)) for name in ("ceil_mode", "count_include_pad"))
    op = Pool(function, max(kernel), stride, padding, ceil, count_pad or function == "max")
    for name in (name for name in node.outputs if name):
        d.put(op, d.operands(node), name)


def _reduce(d: Draft, node: OnnxNode) -> None:
    shape = d.shape(node.inputs[0])
    given = d.values(node.inputs[1]) if len(node.inputs) > 1 else node.attributes.get("axes")
    axes = sorted(int(axis) % len(shape) for axis in given or range(len(shape)))
    left = [length for axis, length in enumerate(shape) if axis not in axes and length > 1]
    if node.kind == "ReduceMean" and len(shape) > 2 and len(left) == 1:
        d.put(GlobalPool(), d.operands(node), node.outputs[0])
        return
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    out = node.outputs[0]
    d.put(Reduce("mean", 0), d.operands(node), out, unbatched(kept))
    d.view(out, unbatched(d.shape(out)))


def _norm(d: Draft, node: OnnxNode) -> None:
    op = Norm(_NORM_FUNCTIONS.get(node.kind, "layer"))
    for name in [name for name in node.outputs if name][:1]:
        d.put(op, d.operands(node)[:1], name)


def _softmax(d: Draft, node: OnnxNode) -> None:
    d.put(Softmax(), d.operands(node), node.outputs[0])


_HANDLERS: Mapping[str, Callable[[Draft, OnnxNode], None]] = {
    ACTIVATION: _activation,
    SHUFFLE: moves.shuffle,
    "Conv": products.convolution,
    "ConvTranspose": products.convolution,
    "Gemm": products.matrix_product,
    "MatMul": products.matrix_product,
    "Einsum": products.einsum,
    "Attention": products.attention,
    "Transpose": moves.transpose,
    "Concat": moves.concat,
    "Resize": moves.resize,
    "Upsample": moves.resize,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys((f"Reduce{f}" for f in ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare")), _reduce),
    **dict.fromkeys(products.BINARIES, products.binary),
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(moves.MOVES, moves.moves),
    **dict.fromkeys(moves.VIEWS, moves.views),
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
