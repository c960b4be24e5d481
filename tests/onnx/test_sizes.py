from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nas.errors import InputError
from nas.onnx.reader import read_onnx
from nas.onnx.sizes import InputShapes, parse_input_shapes
from tests.onnx.onnx_files import node, save

CONV, WEIGHTS = node("Conv", ["x", "w"], "y"), {"w": np.ones((4, 3, 3, 3))}
MACS = 4 * 3 * 9 * 36
FORMS: list[InputShapes] = [
    "x=1x3x8x8", "1x3x8x8", ["x=1x3x8x8"], (1, 3, 8, 8), {"x": (1, 3, 8, 8)}, {"x": "1x3x8x8"}, "x=1X3X8X8",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_sizes_are_given_in_any_form(form: InputShapes, tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [CONV], ("n", 3, "h", "w"), WEIGHTS)
    assert read_onnx(path, form).macs == MACS


def test_a_name_may_hold_what_divides_it_from_its_sizes() -> None:
    assert parse_input_shapes(["a=b:0=1x2", "c=3"]) == {"a=b:0": (1, 2), "c": (3,)}


@pytest.mark.parametrize("text", ["", "x", "x=", "x=1x", "x=axb", "x=0x3", "x=-1x3", "x=1x99999999999", "1.5x2"])
def test_what_are_no_sizes_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--input-shape must be sizes of at least 1"):
        parse_input_shapes(text)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("z=1x3x8x8", r"must name an input of .* \(x\), but got 'z'"),
        ("x=1x4x8x8", "must leave the sizes that .* has fixed, nx3xhxw of 'x', but got 1x4x8x8"),
        ("x=1x3x8", "has fixed"),
        (["x=1x3x8x8", "x=1x3x9x9"], "must name each input once"),
    ],
)
def test_sizes_must_be_those_of_the_file(given: InputShapes, words: str, tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [CONV], ("n", 3, "h", "w"), WEIGHTS)
    with pytest.raises(InputError, match=words):
        read_onnx(path, given)


def test_of_several_inputs_each_is_named(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("a b", "c")]
    outputs = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph([node("Add", ["a b", "c"], "y")], "g", inputs, outputs)
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), str(path))
    with pytest.raises(InputError, match="--input-shape 'a b'=1x4 --input-shape c=1x4$") as error:
        read_onnx(path)
    assert "'a b' must have a fixed size, but has nx4" in str(error.value)
    with pytest.raises(InputError, match="must name the input where there are several"):
        read_onnx(path, "1x4")
    assert read_onnx(path, ["a b=3x4", "c=3x4"]).batch == 3


def test_a_batch_of_any_rank_is_read(tmp_path: Path) -> None:
    for rank, shape in enumerate([(5, 10), (5, 7, 10), (5, 2, 7, 10)]):
        path = save(tmp_path / f"{rank}.onnx", [node("MatMul", ["x", "w"], "y")], shape, {"w": np.ones((10, 3))})
        graph = read_onnx(path)
        assert (graph.batch, graph.macs) == (5, int(np.prod(shape)) * 3)
        assert read_onnx(path, batch=1).macs == int(np.prod(shape)) * 3 // 5


def test_a_batch_that_is_mixed_cannot_be_another(tmp_path: Path) -> None:
    nodes = [CONV, node("Reshape", ["y", "to"], "r"), node("MatMul", ["r", "m"], "z")]
    constants: dict[str, np.ndarray | float | list[int]] = {
        **WEIGHTS, "to": [1, 3 * 144], "m": np.ones((3 * 144, 2)),
    }  # fmt: skip
    path = save(tmp_path / "m.onnx", nodes, (3, 3, 8, 8), constants, output="z")
    assert read_onnx(path).macs == 3 * MACS + 3 * 144 * 2
    with pytest.raises(InputError, match="must be a network of 2 images at once, but is one of 3"):
        read_onnx(path, batch=2)
