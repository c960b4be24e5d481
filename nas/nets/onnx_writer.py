"""ONNX files written straight from the graph of a network in inference form; nothing is traced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import helper
from torch import Tensor, nn

from nas.errors import InputError
from nas.files import write_bytes
from nas.graph import Graph
from nas.graph.rows import Shape
from nas.nets.module import GraphModule, build, build_graph
from nas.nets.onnx_operators import Writer
from nas.space import Architecture

OPSET = 20
IR_VERSION = 10
INPUT_NAME = "image"
OUTPUT_NAME = "logits"


def export_onnx(
    source: GraphModule | Architecture | Graph,
    path: str | Path,
    *,
    weights: Mapping[str, Tensor] | None = None,
    trained: bool = False,
    batch: int = 1,
) -> Path:
    """Write a network to `path` as ONNX, in inference form and float32; returns the path.

    `source` is a module in either form, or an architecture (or a bare graph), whose weights are `weights`, a state
    dict of the training form, or random. The file has one input "image" (batch, C, H, W) and one output "logits", opset
    20, IR version 10, and as metadata the name and digest of the architecture and `untrained`, which is true unless
    `trained` is given. Raises `InputError` for weights that do not fit and `NasError` where `path` cannot be written;
    what was there before is replaced only by a whole file.
    """
    if isinstance(source, GraphModule):
        module = source
    else:
        module = build_graph(source) if isinstance(source, Graph) else build(source)
    if weights is not None:
        load_weights(module, weights, where="the weights")
    write_bytes(Path(path), onnx_model(module, trained=trained, batch=batch).SerializeToString())
    return Path(path)


def onnx_model(module: GraphModule, *, trained: bool = False, batch: int = 1) -> onnx.ModelProto:
    """The inference form of `module` (in either form) as an ONNX model, as `export_onnx` writes it."""
    if batch < 1:
        raise InputError(f"batch must be at least 1, but got {batch}.")
    graph, architecture = module.definition, module.architecture
    writer = Writer(module.fuse(), batch=batch, input_name=INPUT_NAME, output_name=OUTPUT_NAME)
    body = helper.make_graph(
        writer.nodes,
        architecture.name if architecture else "graph",
        [_value(INPUT_NAME, (batch, *graph.input_shape))],
        [_value(OUTPUT_NAME, (batch, *graph.output_shape))],
        writer.initializers,
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nas"
    )
    helper.set_model_props(model, properties(module, trained=trained))
    return model


def properties(module: GraphModule, *, trained: bool) -> dict[str, str]:
    """The metadata of an exported file: `untrained`, and the name and digest of the architecture."""
    found = {"untrained": "false" if trained else "true"}
    if module.architecture is not None:
        found |= {"name": module.architecture.name, "digest": module.architecture.digest}
    return found


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Copy a state dict into `module`. Raises `InputError` naming `where` and the first name or shape that differs."""
    own = module.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        if name not in own or name not in weights:
            problem = "is missing" if name in own else "is not in the network"
            raise InputError(f"{where} must be a state dict of the network's training form, but {name} {problem}.")
        if own[name].shape != weights[name].shape:
            ours, theirs = tuple(own[name].shape), tuple(weights[name].shape)
            raise InputError(f"{where} must fit the network, but {name} has shape {theirs} instead of {ours}.")
    module.load_state_dict(dict(weights))


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
