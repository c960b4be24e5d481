"""Activations that a file writes as several operators: whole where a runtime joins them, else operator by operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto

from nas.graph import Graph
from nas.onnx.reader import read_onnx
from nas.runtimes import ONNX_RUNTIME, OWN
from tests.onnx.onnx_files import node, save

ERF = [node("Div", ["a", "root"], "d"), node("Erf", ["d"], "e"), node("Add", ["e", "one"], "p")]
SIX = [node("Add", ["a", "three"], "d"), node("Clip", ["d", "zero", "six"], "e")]
FORMS: dict[str, tuple[str, list[NodeProto], list[str]]] = {
    "gelu": ("gelu", [*ERF, node("Mul", ["a", "p"], "t"), node("Mul", ["t", "half"], "g")], []),
    "gelu, its half moved": ("gelu", [*ERF, node("Mul", ["a", "p"], "g")], ["scale", "act:erf", "scale", "mul"]),
    "silu": ("silu", [node("Sigmoid", ["a"], "s"), node("Mul", ["a", "s"], "g")], []),
    "hard swish": ("hswish", [node("HardSwish", ["a"], "g")], []),
    "hard swish by its gate": (
        "hswish", [node("HardSigmoid", ["a"], "s", alpha=1 / 6), node("Mul", ["a", "s"], "g")], [],
    ),
    "hard swish of clips": (
        "hswish", [*SIX, node("Mul", ["a", "e"], "t"), node("Div", ["t", "six"], "g")],
        ["scale", "scale", "mul", "scale"],
    ),
    "hard swish, its sixth moved": ("hswish", [*SIX, node("Mul", ["a", "e"], "g")], ["scale", "scale", "mul"]),
    "hard sigmoid, its sixth moved": (
        "hsigmoid", [node("Add", ["a", "three"], "d"), node("Clip", ["d", "zero", "six"], "g")], ["scale", "scale"],
    ),
}  # fmt: skip


def read(name: str, folder: Path) -> tuple[Path, Graph]:
    nodes = [node("Conv", ["x", "w"], "a"), *FORMS[name][1], node("Conv", ["g", "v"], "y")]
    constants: dict[str, np.ndarray | float | list[int]] = {
        "w": np.ones((32, 16, 1, 1)), "v": np.ones((16, 32, 1, 1)), "root": 2**0.5, "one": 1.0, "half": 0.5,
        "three": 3.0, "six": 6.0, "zero": 0.0,
    }  # fmt: skip
    path = save(folder / "m.onnx", nodes, (1, 16, 14, 14), constants)
    model = onnx.load(str(path))
    model.ir_version = 8
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.save(model, str(path))
    return path, read_onnx(path)


@pytest.mark.parametrize("name", FORMS)
def test_an_activation_is_whole_or_in_parts(name: str, tmp_path: Path) -> None:
    function, _, parts = FORMS[name]
    _, graph = read(name, tmp_path)
    assert graph.operators().kind.tolist() == ["pw", f"act:{function}", "pw"]
    assert [row[0] for segment in OWN.segments(graph) for row in segment.rows] == ["pw", f"act:{function}", "pw"]
    rows = [row[0] for segment in ONNX_RUNTIME.in_context(graph) for row in segment.rows if row[0] != "reorder"]
    assert rows[1:-1] == (parts or [f"act:{function}"])
    assert len(ONNX_RUNTIME.remarks(graph)) == bool(parts)
    # No row of a table that was timed with the whole function serves what is taken apart.
    own = [segment.key for segment in graph.segments]
    assert (own == [segment.key for segment in ONNX_RUNTIME.segments(graph)]) == (not parts)


@pytest.mark.parametrize("name", FORMS)
def test_the_parts_are_those_of_onnx_runtime(name: str, tmp_path: Path) -> None:
    path, _ = read(name, tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    made = onnx.load(options.optimized_model_filepath).graph.node
    left = [made_node for made_node in made if made_node.op_type != "Conv" and "Reorder" not in made_node.op_type]
    parts = FORMS[name][2]
    assert len(left) == len(parts) if parts else len(left) <= 1
