from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto

from nas.onnx.reader import read_onnx
from tests.onnx.onnx_files import node, save

CONSTANTS: dict[str, np.ndarray | float | list[int]] = {
    "w": np.ones((4, 3, 3, 3)), "w1": np.ones((4, 4, 1, 1)), "w8": np.ones((4, 8, 1, 1)), "fc": np.ones((4, 10)),
    "c4": np.ones(4), "c8": np.ones(8), "c10": np.ones(10), "m4": np.ones((1, 4, 1, 1)), "m4b": np.zeros((4, 1, 1)),
    "eps": 1e-5, "two": 2.0, "unit": np.ones(1), "none": np.zeros(1),
    "flat": [1, 1, -1], "map": [1, 4, 8, 8], "five": [1, 2, 2, 8, 8],
}  # fmt: skip
CONV = node("Conv", ["x", "w"], "c", pads=[1, 1, 1, 1])


def norm(source: str, out: str) -> NodeProto:
    return node("BatchNormalization", [source, "c4", "c4", "c4", "c4"], out)


NETWORKS: dict[str, tuple[list[str], list[NodeProto]]] = {
    "batch norm": (["dense"], [CONV, norm("c", "y")]),
    "batch norm written out": (["dense"], [CONV, node("Mul", ["c", "m4"], "m"), node("Add", ["m", "m4b"], "y")]),
    "bias": (["dense"], [CONV, node("Add", ["c", "m4"], "y")]),
    "layer scale": (["dense"], [CONV, node("Mul", ["c", "m4"], "y")]),
    "number stays": (["dense", "scale"], [CONV, node("Mul", ["c", "two"], "y")]),
    "product and sum of numbers are one": (
        ["dense", "scale"], [CONV, node("Mul", ["c", "two"], "m"), node("Add", ["m", "eps"], "y")],
    ),
    "norm that something else reads around": (
        ["dense", "norm:batch", "add"], [CONV, norm("c", "n"), node("Add", ["c", "n"], "y")],
    ),
    "batch norm before a 1x1 convolution, which runtimes leave there": (
        ["dense", "act:relu", "norm:batch", "pw"],
        [CONV, node("Relu", ["c"], "r"), norm("r", "n"), node("Conv", ["n", "w1"], "y")],
    ),
    "batch norm before pooling and a linear layer": (
        ["dense", "act:relu", "gap", "lin"],
        [
            CONV, node("Relu", ["c"], "r"), norm("r", "n"), node("GlobalAveragePool", ["n"], "g"),
            node("Flatten", ["g"], "f"), node("Gemm", ["f", "fc", "c10"], "y"),
        ],
    ),
    "batch norm behind a concatenation, which runtimes leave there": (
        ["dense", "dense", "cat", "norm:batch", "pw"],
        [
            CONV, node("Conv", ["x", "w"], "d", pads=[1, 1, 1, 1]), node("Concat", ["c", "d"], "j", axis=1),
            node("BatchNormalization", ["j", "c8", "c8", "c8", "c8"], "n"), node("Conv", ["n", "w8"], "y"),
        ],
    ),
    "identities": (
        ["dense"], [CONV, node("Identity", ["c"], "i"), node("Dropout", ["i"], "d"), node("Flatten", ["d"], "y")],
    ),
    "layer norm written out": (
        ["dense", "norm:layer"],
        [
            CONV, node("ReduceMean", ["c"], "mu", axes=[1]), node("Sub", ["c", "mu"], "d"),
            node("Mul", ["d", "d"], "q"), node("ReduceMean", ["q"], "v", axes=[1]), node("Add", ["v", "eps"], "e"),
            node("Sqrt", ["e"], "s"), node("Div", ["d", "s"], "n"), node("Mul", ["n", "m4"], "g"),
            node("Add", ["g", "m4b"], "y"),
        ],
    ),
    "group norm": (
        ["dense", "norm:group"],
        [
            CONV, node("Reshape", ["c", "flat"], "f"), node("InstanceNormalization", ["f", "unit", "none"], "i"),
            node("Reshape", ["i", "map"], "b"), node("Mul", ["b", "m4"], "g"), node("Add", ["g", "m4b"], "y"),
        ],
    ),
    "channel shuffle": (
        ["dense", "layout", "layout"],
        [
            CONV, node("Reshape", ["c", "five"], "f"), node("Transpose", ["f"], "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["t", "map"], "y"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_only_what_a_runtime_does_is_left(name: str, tmp_path: Path) -> None:
    kinds, nodes = NETWORKS[name]
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), CONSTANTS))
    assert [str(kind) for kind in graph.operators().kind] == kinds


def test_transposes_of_the_image_and_of_the_result_are_the_callers(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], "c", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], "r"), node("Transpose", ["r"], "y", perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 8, 8, 3), CONSTANTS))
    assert [str(kind) for kind in graph.operators().kind] == ["dense", "act:relu"]
