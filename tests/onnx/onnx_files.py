"""Small ONNX networks, written with ONNX's own helper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    """One operator with one result."""
    return helper.make_node(kind, list(inputs), [output], **attributes)


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    shape: Sequence[int | str],
    constants: Mapping[str, np.ndarray | float | list[int]] | None = None,
    *,
    opset: int = 17,
    output: str = "y",
) -> Path:
    """A network from "x" of the given shape to `output`; constants are float32, or int64 where given as lists."""
    tensors = []
    for name, value in (constants or {}).items():
        array = np.array(value, dtype=np.int64 if isinstance(value, list) else np.float32)
        tensors.append(numpy_helper.from_array(array, name))
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_empty_tensor_value_info(output)],
        initializer=tensors,
    )
    domains = {n.domain for n in nodes} - {""}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=imports), str(path))
    return path
