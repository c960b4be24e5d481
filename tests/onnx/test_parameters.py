"""Learned numbers of ONNX networks: each counts once, wherever and however often it is read. All counts are by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto

from nas.onnx.reader import read_onnx
from tests.onnx.onnx_files import node, save

SAME = {"pads": [1] * 4}
KERNEL = 16 * 16 * 9
CONSTANTS: dict[str, np.ndarray | float | list[int]] = {
    "w": np.ones((16, 16, 3, 3)), "b": np.ones(16), "b2": np.ones(16), "m": np.ones((16, 1, 1)),
    "m2": np.ones((16, 1, 1)), "g": np.ones(16), "g2": np.ones(16), "fc": np.ones((8, 8)), "one": np.ones(1),
    "E": np.ones((1000, 32)), "out": np.ones((32, 8)), "cls": np.ones((1, 1, 8, 8)), "ids": [1, 2, 3], "first": [0],
    "c8": np.ones(8),
}  # fmt: skip


def conv(x: str, y: str, *weights: str) -> NodeProto:
    return node("Conv", [x, *weights], y, **SAME)


def norm(x: str, y: str, scale: str) -> NodeProto:
    return node("BatchNormalization", [x, scale, "b", "b", "b"], y)


@dataclass(frozen=True)
class Case:
    """A network of x, a map of 16 channels unless said otherwise, and what it has learned."""

    nodes: Sequence[NodeProto]
    params: int
    shape: tuple[int, ...] = (1, 16, 8, 8)


PLACES = node("ArgMax", ["x"], "i", axis=1, keepdims=0)
CASES: dict[str, Case] = {
    "a head that is shared": Case([conv("x", "a", "w", "b"), conv("a", "y", "w", "b")], KERNEL + 16),
    "a shared kernel, a bias for each": Case([conv("x", "a", "w", "b"), conv("a", "y", "w", "b2")], KERNEL + 32),
    "the same shifts behind it": Case(
        [conv("x", "a", "w"), node("Add", ["a", "m"], "c"), conv("c", "d", "w"), node("Add", ["d", "m"], "y")],
        KERNEL + 16,
    ),
    # Folded into one kernel, different factors make different kernels.
    "other factors behind it": Case(
        [conv("x", "a", "w"), node("Mul", ["a", "m"], "c"), conv("c", "d", "w"), node("Mul", ["d", "m2"], "y")],
        2 * KERNEL,
    ),
    "the same norm behind it": Case(
        [conv("x", "a", "w"), norm("a", "c", "g"), conv("c", "d", "w"), norm("d", "y", "g")], KERNEL + 16
    ),
    "a norm of its own behind each": Case(
        [conv("x", "a", "w"), norm("a", "c", "g"), conv("c", "d", "w"), norm("d", "y", "g2")], 2 * (KERNEL + 16)
    ),
    "a shared kernel under another name": Case(
        [node("Identity", ["w"], "again"), conv("x", "a", "w"), conv("a", "y", "again")], KERNEL
    ),
    "a kernel that is computed": Case(
        [node("Relu", ["x"], "k"), node("Conv", ["x", "k", "b"], "y")], 16, (16, 16, 8, 8)
    ),
    "a shared linear layer": Case(
        [node("MatMul", ["x", "fc"], "a"), node("Relu", ["a"], "r"), node("MatMul", ["r", "fc"], "y")], 64
    ),
    "an embedding": Case([PLACES, node("Gather", ["E", "i"], "e"), node("MatMul", ["e", "out"], "y")], 32_000 + 256),
    "an embedding of one word": Case([PLACES, node("Gather", ["E", "i"], "y")], 32_000, (1, 1000)),
    "an embedding that the result is compared with": Case(
        [
            PLACES, node("Gather", ["E", "i"], "e"), node("Transpose", ["E"], "t", perm=[1, 0]),
            node("MatMul", ["e", "t"], "y"),
        ],
        32_000,
    ),
    "places are not learned": Case([node("Gather", ["x", "ids"], "y", axis=1)], 0),
    "a class token": Case([node("Relu", ["x"], "r"), node("Concat", ["cls", "r"], "y", axis=1)], 64),
    "slopes for each channel": Case([node("PRelu", ["x", "m"], "y")], 16),
    "one slope, twice": Case([node("PRelu", ["x", "one"], "a"), node("PRelu", ["a", "one"], "y")], 1),
    "a layer norm without a shift": Case([node("LayerNormalization", ["x", "c8"], "y")], 8),
    "a batch norm that stays": Case([node("Relu", ["x"], "r"), norm("r", "y", "g")], 32),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_was_learned_counts_once(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    graph = read_onnx(save(tmp_path / "m.onnx", case.nodes, case.shape, CONSTANTS))
    assert graph.params == graph.training_params == sum(segment.params for segment in graph.segments) == case.params


def test_what_is_read_twice_is_moved_twice(tmp_path: Path) -> None:
    case = CASES["a head that is shared"]
    table = read_onnx(save(tmp_path / "m.onnx", case.nodes, case.shape, CONSTANTS)).operators()
    assert table.weight_elements.tolist() == [KERNEL, KERNEL]
