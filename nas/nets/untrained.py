"""Files of networks with random weights, for a stopwatch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from nas.errors import InputError
from nas.graph import Graph
from nas.graph.ops import Activation
from nas.nets.coreml import export_coreml
from nas.nets.litert_writer import write_litert
from nas.nets.module import GraphModule, build_graph, set_statistics
from nas.nets.onnx_writer import export_onnx

_WRITERS: dict[str, Callable[[GraphModule, Path], Path]] = {
    ".onnx": export_onnx,
    ".tflite": write_litert,
    ".mlpackage": export_coreml,
}


def write_untrained(graph: Graph, path: Path, *, seed: int = 0) -> Path:
    """Write the inference form of `graph` to `path`, as ONNX, LiteRT or Core ML by its suffix, with weights drawn from
    `seed`.

    Returns the path. The same seed gives the same file (a `*.mlpackage` but for the identifiers in its manifest).
    Raises `InputError` for another suffix, for an operator that the form lacks, and where its extra is not installed,
    `ConversionError` where its converter refuses the network, `NasError` where `path` cannot be written.
    """
    if path.suffix not in _WRITERS:
        raise InputError(f"a network's file must end in {', '.join(_WRITERS)}, but got {path.name}; rename it.")
    with _one_thread():
        return _WRITERS[path.suffix](_module(graph, seed), path)


def _module(graph: Graph, seed: int) -> GraphModule:
    """`graph` with random weights; with PReLU, also with statistics in its norms.

    ONNX Runtime's PReLU branches by the sign of each element, and takes many times as long where signs are mixed, as in
    a trained network, as where a channel has one sign throughout, as without statistics.
    """
    module = build_graph(graph, seed=seed)
    if any(isinstance(node.op, Activation) and node.op.function == "prelu" for node in graph.nodes):
        set_statistics(module, graph.input_shape, seed=seed)
    return module


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block: on a busy machine small work takes longer on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
