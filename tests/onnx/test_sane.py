"""Files that stand for more than they hold, and files that no exporter writes: each is refused in little time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.errors import InputError
from nas.onnx.budget import Budget, result_elements
from nas.onnx.reader import read_onnx
from nas.onnx.sane import MAX_EXPANDED, check_tensor
from tests.onnx.onnx_files import node, save

PACES, BYTES = 500.0, 1_000_000_000
IMAGE = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])
OUT = helper.make_empty_tensor_value_info("y")


def write(path: Path, nodes: Sequence[onnx.NodeProto], **options: Any) -> Path:
    """A network of `nodes` from x to y, with anything else that a model has."""
    inputs = options.pop("inputs", [IMAGE])
    tensors = options.pop("tensors", [])
    graph = helper.make_graph(list(nodes), "test", inputs, [OUT], initializer=tensors)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, **options)
    path.write_bytes(model.SerializeToString())
    return path


def _calls(depth: int, fan: int = 2) -> list[onnx.FunctionProto]:
    """Functions that call the next one `fan` times each."""
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = []
    for i in range(depth):
        kind, domain = ("Softmax", "") if i == depth - 1 else (f"f{i + 1}", "own")
        inner = [helper.make_node(kind, [f"v{j}"], [f"v{j + 1}"], domain=domain) for j in range(fan)]
        made.append(helper.make_function("own", f"f{i}", ["v0"], [f"v{fan}"], inner, opset))
    return made


def functions_of_functions(path: Path) -> Path:
    """2²⁷ operators in 2 kB."""
    return write(path, [helper.make_node("f0", ["x"], ["y"], domain="own")], functions=_calls(28))


def function_of_itself(path: Path) -> Path:
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    call = helper.make_node("f0", ["v"], ["w"], domain="own")
    function = helper.make_function("own", "f0", ["v"], ["w"], [call], opset)
    return write(path, [helper.make_node("f0", ["x"], ["y"], domain="own")], functions=[function])


def constant_of_shape(path: Path) -> Path:
    constants = {"two": [2], "forty": [40]}
    nodes = [node("Pow", ["two", "forty"], "n"), node("ConstantOfShape", ["n"], "big"), node("Add", ["x", "big"], "y")]
    return save(path, nodes, [1, 3, 16, 16], constants)


def concat_of_itself(path: Path) -> Path:
    nodes = [node("Shape", ["x"], "s0"), *(node("Concat", [f"s{i}"] * 2, f"s{i + 1}", axis=0) for i in range(30))]
    return save(path, [*nodes, node("Reshape", ["x", "s30"], "y")], [1, 3, 16, 16])


def loop_of_constants(path: Path) -> Path:
    """2⁴⁰ trips of a body that computes nothing that depends on the image."""
    state = helper.make_tensor_value_info("s", TensorProto.FLOAT, [1])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_out"]), helper.make_node("Add", ["s", "s"], ["s_out"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("c", TensorProto.BOOL, []), state],
        [helper.make_tensor_value_info("c_out", TensorProto.BOOL, []),
         helper.make_tensor_value_info("s_out", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    tensors = [
        numpy_helper.from_array(np.array(2**40), "trips"), numpy_helper.from_array(np.array(True), "go"),
        numpy_helper.from_array(np.zeros(1, np.float32), "start"),
    ]  # fmt: skip
    nodes = [helper.make_node("Loop", ["trips", "go", "start"], ["z"], body=body), node("Add", ["x", "z"], "y")]
    return write(path, nodes, tensors=tensors)


def pattern(path: Path) -> Path:
    """A regular expression that backtracks for ever."""
    text = numpy_helper.from_array(np.array(["a" * 40 + "!"], dtype=object), "t")
    model = helper.make_graph(
        [
            node("RegexFullMatch", ["t"], "m", pattern=b"(a+)+b"), node("Cast", ["m"], "f", to=TensorProto.FLOAT),
            node("Add", ["x", "f"], "y"),
        ],
        "test", [IMAGE], [OUT], initializer=[text],
    )  # fmt: skip
    path.write_bytes(helper.make_model(model, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())
    return path


def many_constants(path: Path) -> Path:
    nodes = [node("Add", ["c", "c"], "c0"), *(node("Add", [f"c{i}", "c"], f"c{i + 1}") for i in range(30_000))]
    return save(path, [*nodes, node("Add", ["x", "c30000"], "y")], [1, 3, 16, 16], {"c": np.ones(4000)})


def many_biases(path: Path) -> Path:
    nodes = [node("Conv", ["x", "w"], "b0"), *(node("Add", [f"b{i}", "b"], f"b{i + 1}") for i in range(5000))]
    return save(
        path, [*nodes, node("Relu", ["b5000"], "y")], [1, 3, 16, 16],
        {"w": np.ones((8, 3, 1, 1)), "b": np.ones((8, 1, 1))},
    )  # fmt: skip


def deep_bodies(path: Path) -> Path:
    """If in If, as deep as protobuf reads."""
    inner = helper.make_graph([node("Identity", ["x"], "o")], "g", [], [helper.make_empty_tensor_value_info("o")])
    for _ in range(25):
        branch = helper.make_node("If", ["go"], ["o"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([branch], "g", [], [helper.make_empty_tensor_value_info("o")])
        if inner.ByteSize() > 2**18:
            break
    nodes = [helper.make_node("If", ["go"], ["y"], then_branch=inner, else_branch=inner)]
    return write(path, nodes, tensors=[numpy_helper.from_array(np.array(True), "go")])


BOMBS = [
    functions_of_functions, function_of_itself, constant_of_shape, concat_of_itself, loop_of_constants, pattern,
    many_constants, many_biases, deep_bodies,
]  # fmt: skip


MEASURED = """
import pathlib, resource, sys, time
from nas.errors import InputError
from nas.onnx.reader import read_onnx
from nas.testing.pace import pace_s

begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_onnx(sys.argv[1])
except InputError as error:
    assert sys.argv[1] in str(error)
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
spent = time.process_time() - begin
print(spent / pace_s(), most * 1024)
"""


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_costs_little_and_is_read_or_refused(bomb: Callable[[Path], Path], tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.onnx")
    command = [sys.executable, "-P", "-c", MEASURED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    paces, size = map(float, done.stdout.split())
    assert paces < PACES and size < BYTES, done.stdout


@pytest.mark.parametrize(("depth", "refused"), [(14, False), (16, True)])
def test_functions_are_counted_before_they_are_expanded(tmp_path: Path, depth: int, refused: bool) -> None:
    """`depth` functions that call the next one twice are 2^depth operators, the limit lies between 2^14 and 2^16."""
    assert 2**14 < MAX_EXPANDED < 2**16
    path = write(tmp_path / "a.onnx", [helper.make_node("f0", ["x"], ["y"], domain="own")], functions=_calls(depth))
    if refused:
        with pytest.raises(InputError, match="functions that become at most 20000 operators, but they become 6.55e"):
            read_onnx(path)
    else:
        assert len(read_onnx(path).nodes) == 1 + 2**14


WEIGHT = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")


def conv(**attributes: object) -> list[onnx.NodeProto]:
    return [helper.make_node("Conv", ["x", "w"], ["y"], **attributes)]  # type: ignore[arg-type]


def sequence() -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])


@pytest.mark.parametrize(
    ("nodes", "options", "words"),
    [
        (conv(group=0), {}, "group of Conv .* at least 1, but got 0"),
        (conv(group=-1), {}, "group of Conv .* at least 1, but got -1"),
        (conv(pads=[2**40] * 4), {}, "pads of Conv .* from 0 to 2\\^20"),
        (conv(pads=[-1, 0, 0, 0]), {}, "pads of Conv .* from 0"),
        (conv(strides=[0, 1]), {}, "strides of Conv .* from 1"),
        (conv(dilations=[1, -3]), {}, "dilations of Conv"),
        (conv(), {"inputs": [helper.make_tensor_value_info("x", 1, [1, 3, 2**31, 16])]}, "less than 2\\^31 numbers"),
        (conv(), {"inputs": [sequence()]}, "must be a tensor, but is a sequence"),
        ([node("Relu", ["nothing"], "y")], {}, "define every value before its use, but 'nothing' is not"),
        ([node("Relu", ["b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")], {}, "need one another"),
        ([node("Relu", ["x"], "y"), node("Relu", ["x"], "y")], {}, "once, but 'y' comes twice"),
        ([node("Relu", ["x"], "z")], {}, "define its outputs, but 'y' is not"),
        ([helper.make_node("Conv", ["x"], ["y"])], {}, r"must"),
        ([helper.make_node("Einsum", ["x", "w"], ["y"], equation=b"ab\xcc,b->a")], {}, "equation of Einsum"),
        ([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 7, 1, 2])], {}, r"must"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(
    tmp_path: Path, nodes: list[onnx.NodeProto], options: dict[str, object], words: str
) -> None:
    path = write(tmp_path / "a.onnx", nodes, **{"tensors": [WEIGHT], **options})
    with pytest.raises(InputError, match=words) as caught:
        read_onnx(path)
    assert str(path) in str(caught.value)


def tensor(**fields: object) -> onnx.TensorProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[8, 3, 3, 3])
    for name, value in fields.items():
        if name in ("dims", "float_data", "external_data"):
            made.ClearField(name)
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


def external(**entries: str) -> onnx.TensorProto:
    kept = [onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items()]
    return tensor(data_location=TensorProto.EXTERNAL, external_data=kept)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (tensor(), "must hold 216 values, but has 0"),
        (tensor(raw_data=b"\0" * 863), "must hold 216 values, but has 215"),
        (tensor(float_data=[0.0] * 10), "must hold 216 values, but has 10"),
        (tensor(dims=[8, -3, 3, 3]), "must have a size, but has"),
        (tensor(dims=[2**40, 2**40]), "must have a size, but has"),
        (tensor(data_type=99), "must have a type that ONNX has, but has 99"),
        (external(location="w.bin", offset="-4"), "offset .* whole number of at least 0, but got '-4'"),
        (external(location="w.bin", length="many"), "length .* whole number of at least 0, but got 'many'"),
        (external(location="w.bin", offset="9" * 30), "offset .* whole number"),
        (external(location="w.bin\0"), "in a file beside it, but its name is"),
        (external(location="w" * 4096), "in a file beside it, but its name is"),
        (external(), "in a file beside it, but its name is ''"),
        (external(location="../w.bin"), "missing or cut off"),
        (external(location="circle"), "missing or cut off"),
        (external(location="w.bin", length="864", offset="1"), "missing or cut off"),
        (external(location="short.bin"), "missing or cut off"),
    ],
)
def test_weights_must_be_there(tmp_path: Path, weight: onnx.TensorProto, words: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 864)
    (folder / "w.bin").write_bytes(b"\0" * 864)
    (folder / "short.bin").write_bytes(b"\0" * 863)
    (folder / "circle").symlink_to("circle")
    with pytest.raises(InputError, match=words):
        check_tensor(weight, folder / "a.onnx")
    check_tensor(external(location="w.bin", length="864", offset="0"), folder / "a.onnx")


@pytest.mark.parametrize(
    ("kind", "dims"),
    [(TensorProto.INT4, 15), (TensorProto.COMPLEX64, 15), (TensorProto.FLOAT16, 15), (TensorProto.BOOL, 15)],
)
def test_numbers_of_every_type_are_counted(kind: int, dims: int, tmp_path: Path) -> None:
    check_tensor(helper.make_tensor("w", kind, [dims], [0] * dims), tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("kind", "operands", "most"),
    [
        ("ConstantOfShape", [np.array([4, 5])], 20),
        ("ConstantOfShape", [np.array([2**40, 2**40])], 2.0**80),
        ("Expand", [np.ones((3, 1)), np.array([3, 7])], 63),
        ("Tile", [np.ones((2, 3)), np.array([2, 2])], 24),
        ("Range", [np.array(0), np.array(10), np.array(3)], 13 / 3),
        ("Range", [np.array(0), np.array(10), np.array(0)], np.inf),
        ("Add", [np.ones((2, 1)), np.ones((1, 3))], 6),
        ("Gather", [np.ones(5), np.ones(4)], 20),
    ],
)  # fmt: skip
def test_the_size_of_a_result_is_known_before(kind: str, operands: list[np.ndarray], most: float) -> None:
    with np.errstate(all="ignore"):
        assert result_elements(helper.make_node(kind, [], ["y"]), operands) == pytest.approx(most)


def test_a_budget_is_spent() -> None:
    add, value = helper.make_node("Add", ["a", "b"], ["c"]), [np.ones(10), np.ones(10)]
    few = Budget(nodes=2, numbers=1000)
    assert [few.allows(add, value, 10) for _ in range(3)] == [True, True, False]
    small = Budget(nodes=100, numbers=25)
    assert [small.allows(add, value, 10) for _ in range(3)] == [True, True, False]
    assert not Budget().allows(add, value, 9)
    assert not Budget().allows(helper.make_node("RegexFullMatch", ["a"], ["b"]), value, 10)
    assert not Budget().allows(helper.make_node("Loop", ["a"], ["b"]), value, 10)
