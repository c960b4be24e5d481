from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto

from nas.graph import OperatorTable
from nas.graph.builder import Builder
from nas.graph.operators import NUMERIC_COLUMNS
from nas.graph.ops import Norm
from nas.nets.onnx_writer import export_onnx
from nas.onnx.reader import read_onnx
from nas.space import known_network
from tests.onnx.onnx_files import node, save

WEIGHTS: dict[str, np.ndarray | float | list[int]] = {
    "w": np.ones((4, 3, 3, 3)), "fc": np.ones((4, 10)), "q": np.ones((4, 6)), "bias": np.ones((1, 1, 4)),
}  # fmt: skip


def multiset(table: OperatorTable) -> Counter[tuple[object, ...]]:
    return Counter(zip(table.kind.tolist(), *(getattr(table, c).tolist() for c in NUMERIC_COLUMNS), strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv3-small-1.0", "efficientnet-b0", "mobileone-s0", "repvgg-a0", "repvit-m0.9",
        "mobilevit-xxs", "mobilevitv2-0.5", "shufflenetv1-0.5-g3", "shufflenetv2-0.5",
        "squeezenext-1.0-23", "ghostnet-1.0",
    ],
)  # fmt: skip
def test_a_written_network_is_read_back_operator_by_operator(name: str, tmp_path: Path) -> None:
    graph = known_network(name).graph()
    read = read_onnx(export_onnx(graph, tmp_path / "m.onnx"))
    assert multiset(read.operators()) == multiset(graph.operators())
    assert read.macs == graph.macs


def test_layer_scales_behind_convolutions_become_part_of_them(tmp_path: Path) -> None:
    graph = known_network("poolformer-s12").graph()
    read = multiset(read_onnx(export_onnx(graph, tmp_path / "m.onnx")).operators())
    # Each of the twelve blocks scales what it pools, and the result of its perceptron, which ends in a convolution.
    left_out = multiset(graph.operators()) - read
    assert not read - multiset(graph.operators())
    assert {row[0] for row in left_out} == {"scale"}
    assert left_out.total() == 12


def operators(path: Path) -> list[tuple[object, ...]]:
    table = read_onnx(path).operators()
    columns = ("kernel", "in_channels", "out_channels", "out_height", "out_width", "macs", "weight_elements")
    return [(str(table.kind[i]), *(int(getattr(table, c)[i]) for c in columns)) for i in range(len(table))]


def test_a_convolution_by_hand(tmp_path: Path) -> None:
    # 8x8 at stride 2 with one pixel of padding is 4x4; 4·3·9 = 108 weights, 108·16 multiply-adds.
    path = save(
        tmp_path / "m.onnx", [node("Conv", ["x", "w"], "y", pads=[1] * 4, strides=[2, 2])], (1, 3, 8, 8), WEIGHTS
    )
    assert operators(path) == [("dense", 3, 3, 4, 4, 4, 108 * 16, 108)]


def test_automatic_padding_keeps_the_size(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Conv", ["x", "w"], "y", auto_pad="SAME_UPPER")], (1, 3, 8, 8), WEIGHTS)
    assert operators(path) == [("dense", 3, 3, 4, 8, 8, 108 * 64, 108)]


def test_a_transposed_convolution_meets_the_kernel_once_an_input(tmp_path: Path) -> None:
    weights = {"w": np.ones((3, 5, 2, 2))}
    path = save(tmp_path / "m.onnx", [node("ConvTranspose", ["x", "w"], "y", strides=[2, 2])], (1, 3, 4, 4), weights)
    assert operators(path) == [("dense", 2, 3, 5, 8, 8, 3 * 5 * 4 * 16, 60)]


def test_a_convolution_along_one_axis(tmp_path: Path) -> None:
    weights = {"w": np.ones((6, 3, 5))}
    path = save(tmp_path / "m.onnx", [node("Conv", ["x", "w"], "y", pads=[2, 2])], (1, 3, 16), weights)
    assert operators(path) == [("dense", 5, 3, 6, 1, 16, 90 * 16, 90)]


def test_attention_by_hand(tmp_path: Path) -> None:
    # Five tokens of four channels: queries and keys of six, scores 5x5, times the tokens again.
    nodes = [
        node("MatMul", ["x", "q"], "a"), node("MatMul", ["x", "q"], "b"), node("Transpose", ["b"], "t", perm=[0, 2, 1]),
        node("MatMul", ["a", "t"], "s"), node("Mul", ["s", "half"], "h"), node("Softmax", ["h"], "p", axis=-1),
        node("MatMul", ["p", "x"], "o"), node("Add", ["o", "bias"], "y"),
    ]  # fmt: skip
    path = save(tmp_path / "m.onnx", nodes, (1, 5, 4), {**WEIGHTS, "half": 0.5})
    table = read_onnx(path).operators()
    assert [str(kind) for kind in table.kind] == ["pw", "pw", "mm", "softmax", "mm", "scale"]
    assert table.macs.tolist() == [120, 120, 150, 0, 100, 0]


def test_squeeze_and_excitation(tmp_path: Path) -> None:
    nodes = [
        node("ReduceMean", ["x"], "g", axes=[2, 3]), node("Conv", ["g", "r"], "s"), node("Relu", ["s"], "a"),
        node("Conv", ["a", "e"], "t"), node("Sigmoid", ["t"], "u"), node("Mul", ["x", "u"], "y"),
    ]  # fmt: skip
    weights = {"r": np.ones((2, 4, 1, 1)), "e": np.ones((4, 2, 1, 1))}
    table = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), weights)).operators()
    assert [str(kind) for kind in table.kind] == ["gap", "lin", "act:relu", "lin", "act:sigmoid", "se_mul"]


def test_pools_are_those_of_the_builder(tmp_path: Path) -> None:
    pads, size = {"pads": [1] * 4}, {"kernel_shape": [3, 3], "strides": [2, 2]}
    nodes = [
        node("MaxPool", ["x"], "m", **pads, **size), node("AveragePool", ["m"], "e", **pads, **size),
        node("AveragePool", ["e"], "y", **size, ceil_mode=1, count_include_pad=1),
    ]  # fmt: skip
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 4, 32, 32)))
    b = Builder((4, 32, 32))
    b.layer = 1
    x = b.pool(b.pool(b.input, "max", 3, 2, padding=1), "avg", 3, 2, padding=1, count_pad=False)
    b.pool(x, "avg", 3, 2, ceil=True)
    assert "; ".join(segment.key for segment in graph.segments) == (
        "maxpool3s2p1 4x32x32>4x16x16; avgpool3s2p1e 4x16x16>4x8x8; avgpool3s2p0c 4x8x8>4x4x4"
    )
    assert [segment.rows for segment in graph.segments] == [(row,) for row in b.build().segments[0].rows]


@pytest.mark.parametrize(
    ("constant", "together"),
    [
        ((4, 1, 1), 8 * 8),  # a number a channel
        ((1, 4, 1, 1), 8 * 8),
        ((8, 8), 8 * 8),  # a map for all channels
        ((8,), 8),  # a row for all
        ((8, 1), 8),  # a number a row
        ((1, 4, 8, 8), 4 * 8 * 8),
    ],
)
def test_a_constant_is_met_by_as_many_neighbours_as_share_or_follow_it(
    constant: tuple[int, ...], together: int, tmp_path: Path
) -> None:
    network = save(tmp_path / "m.onnx", [node("Mul", ["x", "c"], "y")], (1, 4, 8, 8), {"c": np.ones(constant)})
    (row,) = operators(network)
    size = int(np.prod(constant))
    assert row[0] == "scale"
    table = read_onnx(network).operators()
    assert (table.in_channels[0], table.input_elements[0]) == (together, 4 * 8 * 8 + size)
    assert read_onnx(network).params == size


def test_a_norm_that_stays_is_named_by_what_it_computes(tmp_path: Path) -> None:
    # Behind an activation nothing takes a batch norm in.
    nodes = [
        node("Relu", ["x"], "r"), node("BatchNormalization", ["r", *["c"] * 4], "b"), node("Relu", ["b"], "s"),
        node("InstanceNormalization", ["s", "c", "c"], "i"), node("Relu", ["i"], "t"),
        node("LayerNormalization", ["t", "w8", "w8"], "y"),
    ]  # fmt: skip
    path = save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), {"c": np.ones(4), "w8": np.ones(8)})
    norms = [n.op for n in read_onnx(path).nodes if isinstance(n.op, Norm)]
    assert [norm.function for norm in norms] == ["batch", "group", "layer"]


def test_shape_arithmetic_is_folded_away(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "b"), node("Concat", ["b", "rest"], "t", axis=0),
        node("Reshape", ["x", "t"], "f"), node("MatMul", ["f", "v"], "y"),
    ]  # fmt: skip
    constants: dict[str, np.ndarray | float | list[int]] = {"zero": [0], "rest": [-1], "v": np.ones((192, 7))}
    assert operators(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), constants)) == [
        ("lin", 1, 192, 7, 1, 1, 1344, 1344)
    ]


CONV = node("Conv", ["x", "w"], "c", pads=[1] * 4)
CHANNELS_LAST, CHANNELS_FIRST = {"perm": [0, 2, 3, 1]}, {"perm": [0, 3, 1, 2]}
MOVES: dict[str, tuple[list[NodeProto], list[str]]] = {
    "of what a convolution leaves in blocks, and back behind tokens": (
        [
            CONV, node("Transpose", ["c"], "t", **CHANNELS_LAST), node("Softmax", ["t"], "s"),
            node("Transpose", ["s"], "b", **CHANNELS_FIRST), node("Relu", ["b"], "y"),
        ],
        ["dense", "layout:channels", "softmax", "layout:channels", "act:relu"],
    ),
    "of a plain map": (
        [
            CONV, node("PRelu", ["c", "slopes"], "p"), node("Transpose", ["p"], "t", **CHANNELS_LAST),
            node("Softmax", ["t"], "y"),
        ],
        ["dense", "act:prelu", "layout", "softmax"],
    ),
    "of a map that a convolution made of turned axes": (
        [CONV, node("Transpose", ["c"], "t", **CHANNELS_FIRST), node("Softmax", ["t"], "y")],
        ["dense", "layout", "softmax"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_a_change_of_layout_is_told_from_a_transposition(name: str, tmp_path: Path) -> None:
    nodes, kinds = MOVES[name]
    constants = {**WEIGHTS, "slopes": np.ones((4, 1, 1), np.float32)}
    assert [o[0] for o in operators(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), constants))] == kinds


def test_einsum_counts_every_product(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Einsum", ["x", "q"], "y", equation="bnc,cd->bnd")], (1, 5, 4), WEIGHTS)
    assert operators(path)[0][6:] == (5 * 4 * 6, 24)


@pytest.mark.parametrize(("end", "kinds"), [(4, ["act:relu", "slice:whole"]), (2**63 - 1, ["act:relu"])])
def test_a_slice_of_all_is_a_copy_where_its_end_is_written(end: int, kinds: list[str], tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], "r"), node("Slice", ["r", "from", "to", "axis"], "y")]
    constants: dict[str, np.ndarray | float | list[int]] = {"from": [0], "to": [end], "axis": [1]}
    assert [o[0] for o in operators(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), constants))] == kinds


def test_views_are_free_while_moves_and_copies_of_parts_are_not(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]), node("Reshape", ["t", "tokens"], "r"),
        node("Slice", ["r", "from", "to", "axis"], "y"),
    ]  # fmt: skip
    constants: dict[str, np.ndarray | float | list[int]] = {"tokens": [1, 64, 4], "from": [0], "to": [9], "axis": [1]}
    nodes = [node("Relu", ["x"], "x0"), node("Transpose", ["x0"], "t", perm=[0, 2, 3, 1]), *nodes[1:]]
    assert [o[0] for o in operators(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), constants))] == [
        "act:relu",
        "layout:channels",
        "slice",
    ]


def test_unknown_operators_are_named_and_have_size(tmp_path: Path) -> None:
    nodes = [node("Fancy", ["x"], "f", domain="my.ops"), node("Relu", ["f"], "r"), node("CumSum", ["r", "axis"], "y")]
    table = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), {"axis": 1.0})).operators()
    assert [str(kind) for kind in table.kind] == ["other:my.ops.Fancy", "act:relu", "other:CumSum"]
    assert table.output_elements.tolist() == [256, 256, 256]


def test_layers_end_where_a_single_value_is_alive(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], "c", pads=[1] * 4), node("Relu", ["c"], "r"),
        node("Sigmoid", ["r"], "s"), node("Add", ["r", "s"], "a"), node("GlobalAveragePool", ["a"], "y"),
    ]  # fmt: skip
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), WEIGHTS))
    kinds = [[str(kind) for kind in segment.operators.kind] for segment in graph.segments]
    assert kinds == [["dense", "act:relu", "act:sigmoid", "add"], ["gap"]]


def test_what_the_result_does_not_need_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], "y"), node("Conv", ["x", "w"], "unused")]
    assert [o[0] for o in operators(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), WEIGHTS))] == ["act:relu"]
