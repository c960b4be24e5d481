"""Any ONNX network as a `Graph`: the operators that its inference form leaves a runtime to do.

Exporters write one thing in many ways. Batch norms behind a convolution vanish into it, also where they are written as
a product and a sum (`nas.onnx.folding`); activations are recognised by what they compute
(`nas.onnx.activations`); reshapes and views are free; what has no name here becomes an operator `other:NAME`,
which a latency model charges for and warns about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nas.errors import InputError
from nas.graph.graph import Graph, Node, Reading
from nas.graph.ops import Activation, GlobalPool, Input, Pool, Reduce, Softmax
from nas.graph.rows import Shape, elements
from nas.onnx import moves, products, wholes
from nas.onnx.activations import ACTIVATION
from nas.onnx.attention import ATTENTIONS
from nas.onnx.batches import batch_of
from nas.onnx.choices import choose
from nas.onnx.draft import Draft
from nas.onnx.file import read_onnx_network
from nas.onnx.folding import NORM, NORMS, SHUFFLE, simplify
from nas.onnx.guard import as_onnx_defines
from nas.onnx.layers import Scaling, Slopes, TakenApart, View
from nas.onnx.network import FACTORS, SHIFTS, OnnxNetwork, OnnxNode
from nas.onnx.precision import dominant
from nas.onnx.quantised import fold_quantisation
from nas.onnx.sizes import InputShapes, checked_batch, parse_input_shapes

_NORM_FUNCTIONS: Mapping[str, Literal["group", "batch"]] = {
    "BatchNormalization": "batch", "GroupNormalization": "group", "InstanceNormalization": "group",
}  # fmt: skip


def read_onnx(path: str | Path, input_shape: InputShapes | None = None, *, batch: int | None = None) -> Graph:
    """The graph of the ONNX network at `path`; each of its layers is a segment.

    `input_shape` gives the sizes of inputs that the file leaves open: "x=1x3x224x224", or "1x3x224x224" for the only
    one, or several of them, or sizes by name. The graph is of `batch` images at once; by default of as many as the
    inputs hold. Raises `InputError` naming the file, as `nas.onnx.file.read_onnx_network` does, and for a batch that
    the network cannot be brought to.
    """
    path = Path(path)
    shapes = parse_input_shapes(input_shape) if input_shape is not None else {}
    with as_onnx_defines(path):
        graph = _read(path, shapes)
    if batch is None or checked_batch(batch) == graph.batch:
        return graph
    try:
        return graph.batched(batch)
    except ValueError as error:
        raise InputError(
            f"{path} must be a network of {batch} images at once, but is one of {graph.batch}, and {error}, which is"
            " not so; export it with that batch."
        ) from error


def _read(path: Path, shapes: Mapping[str, Shape]) -> Graph:
    """The graph of all images that the inputs hold, its counts read once, so that what cannot be counted shows here."""
    network = read_onnx_network(path, shapes)
    images = batch_of(network)
    choose(network, lambda nodes: _count(network, nodes, path, images))
    fold_quantisation(network)
    simplify(network)
    draft = _drafted(network, path, images)
    outputs = [draft.at[name] for name in network.outputs if name in draft.at]
    computed, mixed = dominant(draft.macs, network.precision)
    reading = Reading(
        batch=images,
        precision=computed.values,
        weights=computed.weights,
        uncounted=tuple(dict.fromkeys([*network.uncounted, *draft.uncounted])),
        notes=tuple(dict.fromkeys([*network.notes, *filter(None, [mixed])])),
    )
    graph = Graph(_with_layers(draft.nodes, outputs), reading)
    _ = graph.macs, graph.params, graph.segments
    return graph


def _drafted(network: OnnxNetwork, path: Path, images: int) -> Draft:
    draft = Draft(network, path, images)
    for node in network.nodes:
        if node.outputs and node.outputs[0] not in draft.at:
            draft.begin(node)
            with as_onnx_defines(path, node.kind):
                _HANDLERS.get(node.kind, products.other)(draft, node)
    return draft


def _count(network: OnnxNetwork, nodes: list[OnnxNode], path: Path, images: int) -> int:
    """The multiply-adds of some of a network's nodes."""
    made = {name for node in nodes for name in node.outputs}
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name not in made)
    inputs = [name for name in read if name in network.shapes and name not in network.constants]
    part = replace(network, nodes=nodes, inputs=inputs, outputs=[])
    return sum(_drafted(part, path, images).macs.values())


def _activation(d: Draft, node: OnnxNode) -> None:
    function, parts = node.attributes["function"], node.attributes["parts"]
    op = TakenApart(function, parts) if parts else Activation(function)
    if function == "prelu":
        op = Slopes("prelu", d.learned(node.inputs[1]))
    d.put(op, node.inputs[:1], node.outputs[0])


def _global_pool(d: Draft, node: OnnxNode) -> None:
    d.put(GlobalPool(), d.operands(node), node.outputs[0])


def _pool(d: Draft, node: OnnxNode) -> None:
    kernel, shape = node.attributes["kernel_shape"], d.shape(node.inputs[0])
    if node.attributes.get("channels_last"):
        shape = (shape[0], shape[-1], *shape[1:-1])
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
    axes = sorted(int(axis) % max(len(shape), 1) for axis in given or range(len(shape)))
    batch = 1 if d.split(node.inputs[0])[1] > 1 else 0  # the axis of images is none to reduce over
    left = [length for axis, length in enumerate(shape) if axis not in axes and length > 1 and axis >= batch]
    if node.kind == "ReduceMean" and len(shape) > 2 and len(left) == 1:
        d.put(GlobalPool(), d.operands(node)[:1], node.outputs[0])
        return
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    out = node.outputs[0]
    d.put(Reduce("mean", 0), d.operands(node)[:1], out, *d.part(kept))
    d.view(out, *d.split(out))


def _norm(d: Draft, node: OnnxNode) -> None:
    function: Literal["layer", "group", "batch"] = _NORM_FUNCTIONS.get(node.kind, "layer")
    if node.kind == NORM:
        function = node.attributes["function"]
    own = [d.learned(name) for name in [*node.inputs[1:3], "", ""][:2]]
    absorbed = [max(map(d.learned, node.attributes.get(key, ())), default=0) for key in (FACTORS, SHIFTS)]
    op = Scaling(function, sum(map(max, own, absorbed)))
    x, out = node.inputs[0], next(name for name in node.outputs if name)
    shape, times = d.split(x)
    axis = int(node.attributes["axis"]) - len(d.shape(x)) if node.kind == NORM else -1
    if function == "group" or axis == -1:
        d.put(op, d.operands(node)[:1], out)
        return
    channels = shape[axis]  # tokens of channels that lie elsewhere
    tokens = (elements(shape) // channels, channels)
    d.operands(node)
    view = d.append(View(), (d.at[x],), tokens, times)
    d.at[out] = d.append(View(), (d.append(op, (view,), tokens, times),), shape, times)


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
    "DeformConv": products.deformed_convolution,
    **dict.fromkeys(("com.microsoft.MatMulNBits", "com.microsoft.MatMulBnb4"), products.packed_product),
    **dict.fromkeys(ATTENTIONS, wholes.attention),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), wholes.recurrent),
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
        # Values before that of node i - 1 are read up to `reach`; further inputs of the network are there at any time.
        if i > 1 and (i == 2 or not isinstance(nodes[i - 2].op, Input)):
            reach = max(reach, last[i - 2])
        shapes = tuple(nodes[j].shape for j in node.inputs)
        opens = reach < i and not isinstance(node.op, Activation) and bool(node.rows(shapes))
        if not isinstance(node.op, Input):
            layer += layer == 0 or opens
        layered.append(node._replace(layer=0 if isinstance(node.op, Input) else layer))
    return tuple(layered)
