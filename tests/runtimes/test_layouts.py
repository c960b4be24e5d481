from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from nas.graph import Graph
from nas.graph.builder import Builder, Tensor
from nas.nets.module import build_graph
from nas.nets.onnx_writer import onnx_model
from nas.runtimes import ONNX_RUNTIME

Block = Callable[[Builder, Tensor], Tensor]


def stacked(block: Block, *, width: int = 32, copies: int = 3) -> Graph:
    b = Builder((3, 16, 16))
    b.layer = 1
    x = b.conv(b.input, width, 3)
    for _ in range(copies):
        b.layer += 1
        x = block(b, x)
    b.layer += 1
    b.conv(x, 32, 1)
    return b.build()


def reorders(graph: Graph) -> int:
    return sum(row[0] == "reorder" for segment in ONNX_RUNTIME.in_context(graph) for row in segment.rows)


def reorders_of_onnx_runtime(graph: Graph, folder: Path) -> int:
    """Changes of layout in the graph that ONNX Runtime makes of it, but for that of the result."""
    path, optimised = folder / "network.onnx", folder / "optimised.onnx"
    onnx.save(onnx_model(build_graph(graph).eval()), path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(optimised)
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = [node.op_type for node in onnx.load(optimised).graph.node]
    if "ReorderOutput" not in found:
        pytest.skip("this build of ONNX Runtime computes no convolution on blocks")
    return sum(kind in ("ReorderInput", "ReorderOutput") for kind in found) - 1


def two_halves(b: Builder, x: Tensor) -> Tensor:
    half = x.channels // 2
    return b.concat([b.conv(b.slice(x, 0, half), half, 1), b.slice(x, half, x.channels)])


BLOCKS: dict[str, Block] = {
    "conv": lambda b, x: b.conv(x, x.channels, 3, act="relu"),
    "depthwise": lambda b, x: b.depthwise(x, 3, act="hswish"),
    "residual": lambda b, x: b.sum(x, b.conv(b.conv(x, 64, 1, act="silu"), x.channels, 1)),
    "grouped": lambda b, x: b.conv(x, x.channels, 3, groups=2),
    "grouped too finely": lambda b, x: b.conv(x, x.channels, 3, groups=8),
    "odd width": lambda b, x: b.conv(b.depthwise(b.conv(x, 18, 1), 3), x.channels, 1),
    "narrow": lambda b, x: b.conv(b.conv(x, 4, 1), x.channels, 1),
    "prelu": lambda b, x: b.conv(b.act(x, "prelu"), x.channels, 1),
    "shuffle": lambda b, x: b.shuffle(b.conv(x, x.channels, 1), 4),
    "split": two_halves,
    "added plainly": lambda b, x: b.sum(b.shuffle(x, 2), b.conv(x, x.channels, 3)),
    "pool": lambda b, x: b.conv(b.pool(x, "max", 3, 1, padding=1), x.channels, 1),
    "average with ceil": lambda b, x: b.conv(b.pool(x, "avg", 3, 1, padding=1, ceil=True), x.channels, 1),
    "batch norm": lambda b, x: b.norm(b.sum(x, b.conv(x, x.channels, 1)), "batch"),
    "concatenation": lambda b, x: b.conv(b.concat([x, b.conv(x, 32, 3)]), x.channels, 1),
    "odd concatenation": lambda b, x: b.conv(b.concat([x, b.conv(x, 12, 3)]), x.channels, 1),
    "upsampled": lambda b, x: b.sum(x, b.resize(b.conv(x, x.channels, 3, 2), *x.shape[1:])),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_copies_are_those_of_onnx_runtime(block: str, tmp_path: Path) -> None:
    graph = stacked(BLOCKS[block])
    assert reorders(graph) == reorders_of_onnx_runtime(graph, tmp_path)


def test_a_gate_reads_the_plain_map() -> None:
    def gated(b: Builder, x: Tensor) -> Tensor:
        return b.product(x, b.conv(b.global_pool(x), x.channels, 1, act="sigmoid"))

    (segment,) = ONNX_RUNTIME.segments(stacked(gated, copies=1))[1:2]
    assert [row[0] for row in segment.rows] == ["gap", "lin", "act:sigmoid", "reorder", "se_mul", "reorder"]
    read, written = segment.operators.input_elements, segment.operators.output_elements
    assert read[3] == read[5] == written[3] == written[5] == 32 * 16 * 16


def test_a_copy_fills_whole_blocks() -> None:
    graph = stacked(BLOCKS["prelu"], width=36, copies=1)
    table = ONNX_RUNTIME.segments(graph)[1].operators
    copied = table.select(table.kind == "reorder")
    assert copied.input_elements.tolist() == [36 * 256] * 2
    assert copied.output_elements.tolist() == [48 * 256] * 2


def test_what_tokens_are_made_of_and_return_to_needs_no_copy_beside_the_transposition() -> None:
    def normed(b: Builder, x: Tensor) -> Tensor:
        y = b.norm(b.rearrange(x, x.shape, (1, 2, 0), (*x.shape[1:], x.channels)), "layer")
        return b.rearrange(y, y.shape, (2, 0, 1), x.shape)

    assert reorders(stacked(normed)) == 0
