"""An ONNX file as plain nodes: every shape known, every small constant computed.

Weights are never looked at, only their shapes: files with weights outside them are read without those, as long as they
are there. Nothing in a file is executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import inliner

from nas.errors import InputError
from nas.graph.rows import Shape, elements
from nas.onnx.constants import SMALL
from nas.onnx.content import ONNX, kind_of_file, other_file
from nas.onnx.guard import as_onnx_defines
from nas.onnx.inputs import input_types
from nas.onnx.network import OnnxNetwork, prune
from nas.onnx.order import in_order, outer_names
from nas.onnx.precision import FLOAT32, precision_name
from nas.onnx.sane import check_model, check_order, check_shapes
from nas.onnx.shapes import element_type, fixed_shape
from nas.onnx.walk import Walk

MAX_BYTES = 2**31


def read_onnx_network(path: Path, shapes: Mapping[str, Shape] | None = None) -> OnnxNetwork:
    """The network in the file at `path`, its inputs of the given `shapes` where the file leaves them open.

    Raises `InputError` naming the file for what is no ONNX file (and what it is instead), is cut off, has weights
    missing, is larger than 2 GB, has inputs of unknown size, or values whose shapes depend on the data.
    """
    model = _load(path)
    check_model(model, path)
    _forget_weights(model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    graph = model.graph
    inputs = input_types(_fed(graph), shapes or {}, path)
    outputs = [value.name for value in graph.output]
    _keep(graph, _needed(graph.node, outputs, path))
    check_order(graph, path)
    if not inputs or not outputs or not graph.node:
        raise InputError(
            f"{path} must be an ONNX network with an input, an output and operators, but lacks one of them."
        )
    walk = Walk(model, inputs, path)
    found = walk.shapes()
    check_shapes(found, path)
    network = OnnxNetwork(
        nodes=walk.nodes,
        shapes=found,
        constants=walk.constants,
        inputs=list(inputs),
        outputs=outputs,
        origins=walk.origins,
        precision=next(filter(None, (precision_name(element_type(kind)) for kind in inputs.values())), FLOAT32),
        uncounted=walk.uncounted,
        notes=walk.notes,
    )
    prune(network)
    return network


def input_shapes(path: Path, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Input → its sizes, those of `shapes` where the file at `path` leaves them open.

    Raises `InputError` as `read_onnx_network` does for a file that is none, and for sizes that nobody gave.
    """
    with as_onnx_defines(path):
        types = input_types(_fed(_load(path).graph), shapes, path)
    return {name: fixed_shape(kind) or () for name, kind in types.items()}


def _fed(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """What is fed to a network: in old files every weight is among the inputs as well."""
    held = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in held]


def _load(path: Path) -> onnx.ModelProto:
    if kind_of_file(path) != ONNX and (error := other_file(path, "an ONNX file")) is not None:
        raise error
    try:
        size = path.stat().st_size
        if size >= MAX_BYTES:
            raise InputError(
                f"{path} must be smaller than 2 GB, but has {size} bytes; export it with external weights."
            )
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise InputError(f"{path} must be a readable ONNX file, but: {error.strerror or error}.") from error
    except (DecodeError, ValueError) as error:
        raise InputError(f"{path} must be an ONNX file, but its content is none, or is cut off.") from error
    if not model.graph.node or not model.opset_import:
        raise InputError(f"{path} must be an ONNX file with a network, but holds none (or is cut off).")
    return model


def _forget_weights(model: onnx.ModelProto) -> None:
    """Large weights inside the file are not needed, only their shapes."""
    for tensor in model.graph.initializer:
        if elements(tuple(tensor.dims)) > SMALL:
            for name in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(name)


def _needed(nodes: Sequence[onnx.NodeProto], outputs: list[str], path: Path) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, each behind what it reads."""
    wanted, kept = set(outputs), []
    for node in reversed(in_order(nodes, path)):
        if wanted.intersection(node.output):
            wanted.update(name for name in node.input if name)
            wanted.update(outer_names(node))
            kept.append(node)
    return kept[::-1]


def _keep(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Let `graph` have these of its nodes, in this order."""
    copies = list(nodes)
    del graph.node[:]
    graph.node.extend(copies)
