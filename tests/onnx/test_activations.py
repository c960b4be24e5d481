from __future__ import annotations

from pathlib import Path

import pytest
from onnx import NodeProto

from nas.onnx.reader import read_onnx
from tests.onnx.onnx_files import node, save

SQRT2 = 1.4142135


def kinds(path: Path) -> list[str]:
    return [str(kind) for kind in read_onnx(path).operators().kind]


ONES = {"zero": 0.0, "half": 0.5, "one": 1.0, "three": 3.0, "six": 6.0, "root": SQRT2, "cube": 3.0, "a": 0.044715,
        "b": 0.7978846, "two": 2.0}  # fmt: skip

WRITTEN: dict[str, tuple[str, list[NodeProto]]] = {
    "relu": ("relu", [node("Relu", ["x"], "y")]),
    "clip to six": ("relu6", [node("Clip", ["x", "zero", "six"], "y")]),
    "min of relu": ("relu6", [node("Relu", ["x"], "r"), node("Min", ["r", "six"], "y")]),
    "x sigmoid": ("silu", [node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"], "y")]),
    "sigmoid x": ("silu", [node("Sigmoid", ["x"], "s"), node("Mul", ["s", "x"], "y")]),
    "hard sigmoid": ("hsigmoid", [node("HardSigmoid", ["x"], "y", alpha=1 / 6, beta=0.5)]),
    "relu6(x+3)/6": (
        "hsigmoid",
        [node("Add", ["x", "three"], "p"), node("Clip", ["p", "zero", "six"], "c"), node("Div", ["c", "six"], "y")],
    ),
    "x hard sigmoid": (
        "hswish", [node("HardSigmoid", ["x"], "s", alpha=1 / 6, beta=0.5), node("Mul", ["x", "s"], "y")],
    ),
    "x relu6(x+3)/6": (
        "hswish",
        [
            node("Add", ["x", "three"], "p"), node("Clip", ["p", "zero", "six"], "c"), node("Mul", ["x", "c"], "m"),
            node("Div", ["m", "six"], "y"),
        ],
    ),
    "gelu by erf": (
        "gelu",
        [
            node("Div", ["x", "root"], "d"), node("Erf", ["d"], "e"), node("Add", ["e", "one"], "p"),
            node("Mul", ["x", "p"], "m"), node("Mul", ["m", "half"], "y"),
        ],
    ),
    "half first": (
        "gelu",
        [
            node("Mul", ["x", "half"], "h"), node("Div", ["x", "root"], "d"), node("Erf", ["d"], "e"),
            node("Add", ["e", "one"], "p"), node("Mul", ["h", "p"], "y"),
        ],
    ),
    "gelu by tanh": (
        "gelu",
        [
            node("Pow", ["x", "cube"], "c"), node("Mul", ["c", "a"], "ac"), node("Add", ["x", "ac"], "s"),
            node("Mul", ["s", "b"], "bs"), node("Tanh", ["bs"], "t"), node("Add", ["t", "one"], "p"),
            node("Mul", ["x", "p"], "xp"), node("Mul", ["xp", "half"], "y"),
        ],
    ),
    "mish": ("mish", [node("Softplus", ["x"], "s"), node("Tanh", ["s"], "t"), node("Mul", ["x", "t"], "y")]),
    "leaky": ("leaky_relu", [node("LeakyRelu", ["x"], "y", alpha=0.2)]),
    "clip": ("clip", [node("Clip", ["x", "zero", "three"], "y")]),
    "square": ("pow", [node("Pow", ["x", "two"], "y")]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_an_activation_is_recognised_however_it_is_written(name: str, tmp_path: Path) -> None:
    function, nodes = WRITTEN[name]
    assert kinds(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8), ONES)) == [f"act:{function}"]


def test_a_value_that_is_read_elsewhere_keeps_its_own_operator(tmp_path: Path) -> None:
    # The sigmoid is added as well, so the product is no SiLU.
    nodes = [node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"], "m"), node("Add", ["m", "s"], "y")]
    assert kinds(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8))) == ["act:sigmoid", "mul", "add"]


def test_a_node_with_operands_too_many_is_no_activation(tmp_path: Path) -> None:
    assert kinds(save(tmp_path / "m.onnx", [node("Relu", ["x", "x"], "y")], (1, 4, 8, 8))) == ["other:Relu"]


def test_two_activations_in_a_row_stay_two(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"], "m"), node("Tanh", ["m"], "y")]
    assert kinds(save(tmp_path / "m.onnx", nodes, (1, 4, 8, 8))) == ["act:silu", "act:tanh"]


def test_the_limits_of_a_clip_may_be_left_out(tmp_path: Path) -> None:
    assert kinds(save(tmp_path / "m.onnx", [node("Clip", ["x", "zero"], "y")], (1, 4, 8, 8), ONES)) == ["act:relu"]
