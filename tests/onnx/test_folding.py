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
    "rows": np.ones((8, 1)),
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
    "a factor of each column": (["dense", "scale"], [CONV, node("Mul", ["c", "c8"], "y")]),
    "a shift of each row": (["dense", "scale"], [CONV, node("Add", ["c", "rows"], "y")]),
    "a constant that is divided": (["dense", "scale"], [CONV, node("Div", ["m4", "c"], "y")]),
    "a constant that is diminished": (["dense", "scale"], [CONV, node("Sub", ["m4", "c"], "y")]),
    "a divisor and what is taken away": (
        ["dense"], [CONV, node("Div", ["c", "m4"], "d"), node("Sub", ["d", "m4"], "y")],
    ),
    "a number that is divided before a product": (
        ["dense", "scale", "mm"], [CONV, node("Div", ["two", "c"], "d"), node("MatMul", ["d", "c"], "y")],
    ),
    "a normalisation that is taken back later": (
        ["dense", "pool", "add", "act:pow", "pool", "scale", "act:sqrt", "se_mul", "act:relu", "se_mul", "add"],
        [
            CONV, node("ReduceMean", ["c"], "mu", axes=[1]), node("Sub", ["c", "mu"], "d"),
            node("Pow", ["d", "two"], "q"), node("ReduceMean", ["q"], "v", axes=[1]), node("Add", ["v", "eps"], "e"),
            node("Sqrt", ["e"], "s"), node("Div", ["d", "s"], "n"), node("Relu", ["n"], "r"),
            node("Mul", ["r", "s"], "b"), node("Add", ["b", "mu"], "y"),
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


def written_out(axes: list[int], scale: str = "", shift: str = "") -> list[NodeProto]:
    """A normalisation of x over `axes`, and a scale and a shift behind it."""
    nodes = [
        node("Relu", ["x"], "r"), node("ReduceMean", ["r"], "mu", axes=axes), node("Sub", ["r", "mu"], "d"),
        node("Mul", ["d", "d"], "q"), node("ReduceMean", ["q"], "v", axes=axes), node("Add", ["v", "eps"], "e"),
        node("Sqrt", ["e"], "s"), node("Div", ["d", "s"], "n"),
    ]  # fmt: skip
    for kind, name in (("Mul", scale), ("Add", shift)):
        if name:
            nodes.append(node(kind, [nodes[-1].output[0], name], kind))
    nodes.append(node("Identity", [nodes[-1].output[0]], "y"))
    return nodes


@pytest.mark.parametrize(
    ("axes", "scale", "shift", "kind", "row", "params"),
    [
        # Channels, tokens, and neighbours that are normalised together: of channels first, as ConvNeXt has them.
        ([1], "c96", "c96", "norm:layer", (96, 14 * 12, 96), 192),
        ([-3], "c96", "", "norm:layer", (96, 14 * 12, 96), 96),
        ([3], "c12", "c12", "norm:layer", (12, 96 * 14, 12), 24),
        ([1, 2, 3], "c96", "c96", "norm:group", (96, 12, 96 * 14 * 12), 192),
        ([-1, -2], "", "", "norm:group", (96, 12, 96 * 14 * 12), 0),
    ],
)
def test_a_normalisation_is_over_the_axes_of_its_means(
    axes: list[int], scale: str, shift: str, kind: str, row: tuple[int, ...], params: int, tmp_path: Path
) -> None:
    constants: dict[str, np.ndarray | float | list[int]] = {"c96": np.ones((96, 1, 1)), "c12": np.ones(12), "eps": 1e-5}
    graph = read_onnx(save(tmp_path / "m.onnx", written_out(axes, scale, shift), (1, 96, 14, 12), constants))
    table = graph.operators()
    assert table.kind.tolist() == ["act:relu", kind]
    assert (table.out_channels[1], table.out_width[1], table.in_channels[1]) == row
    assert table.output_elements[1] == 96 * 14 * 12 and graph.output_shape == (96, 14, 12)
    assert graph.params == params


@pytest.mark.parametrize(
    ("shape", "axes", "kind", "channels"),
    [
        ([1, 8, 2016], [2], "norm:group", 96),  # eight groups of twelve channels
        ([1, 96, 168], [1], "norm:layer", 96),  # the map as a row
        ([1, 1344, 12], [2], "norm:layer", 12),  # tokens of the last axis
    ],
)
def test_a_normalisation_of_another_shape(
    shape: list[int], axes: list[int], kind: str, channels: int, tmp_path: Path
) -> None:
    inner = written_out(axes)[1:-1]
    inner[0] = node("ReduceMean", ["part"], "mu", axes=axes)
    inner[1] = node("Sub", ["part", "mu"], "d")
    nodes = [
        node("Relu", ["x"], "r"), node("Reshape", ["r", "to"], "part"), *inner, node("Reshape", ["n", "back"], "y")
    ]  # fmt: skip
    constants: dict[str, np.ndarray | float | list[int]] = {"to": shape, "back": [1, 96, 14, 12], "eps": 1e-5}
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 96, 14, 12), constants))
    table = graph.operators()
    assert (table.kind.tolist(), table.out_channels[1]) == (["act:relu", kind], channels)
    assert table.output_elements[1] == 96 * 14 * 12 and graph.output_shape == (96, 14, 12)


def test_means_over_different_or_other_axes_are_no_normalisation(tmp_path: Path) -> None:
    for axes, of_squares in (([1], [3]), ([2], [2])):
        nodes = written_out(axes)
        nodes[4] = node("ReduceMean", ["q"], "v", axes=of_squares)
        table = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 96, 14, 12), {"eps": 1e-5})).operators()
        assert "norm:layer" not in table.kind.tolist() and len(table) == 8
