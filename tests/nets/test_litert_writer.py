from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from nas.errors import InputError, UnknownOperatorError
from nas.graph import Builder, Graph, Node, Tensor
from nas.graph.ops import ACTIVATIONS, Op
from nas.installed import extra_remedy
from nas.nets import GraphModule, build, build_graph
from nas.nets.litert import export_litert, litert_operators, run_litert
from nas.nets.litert_writer import write_litert
from nas.space.seeds import families
from tests.extras import needs
from tests.nets.readings import image, relative_error, with_random_numbers
from tests.nets.shortened import shortened
from tests.nets.test_operators import GRAPHS, MAP, Write, graph_of
from tests.zoo.networks import small

# What litert-torch does with them at 64 pixels is special to that size: maps of one patch lose axes; or to the weights:
# pairs of transpositions that undo each other stay.
CONVERTED_OTHERWISE = {"mobilevit": set(), "mobilevitv2": set(), "poolformer": {"TRANSPOSE"}}


def check_against_torch(module: GraphModule, path: Path) -> None:
    with_random_numbers(module)
    x = image(module)
    with torch.no_grad():
        assert relative_error(run_litert(write_litert(module, path), x.numpy()), module(x)) <= 1e-5


@pytest.mark.parametrize("name", GRAPHS)
def test_the_interpreter_computes_an_operator_as_torch_does(name: str, tmp_path: Path) -> None:
    needs("ai_edge_litert")
    check_against_torch(build_graph(graph_of(GRAPHS[name])), tmp_path / "model.tflite")


BEFORE: dict[str, Write] = {
    "conv": lambda b, x: b.conv(x, 6),
    "linear": lambda b, x: b.linear(b.global_pool(x, flatten=True), 6),
    "sum": lambda b, x: b.sum(b.depthwise(x, 3), x),
    "product": lambda b, x: b.product(x, b.global_pool(x)),
    "maximum": lambda b, x: b.maximum(x, b.depthwise(x, 3)),
    "scale": lambda b, x: b.learned_scale(b.conv(x, 6)),
    "batch norm": lambda b, x: b.norm(b.concat([x, x]), "batch"),
    "all that a convolution absorbs": lambda b, x: b.affine(
        b.norm(b.learned_scale(b.depthwise(x, 3, norm=False, bias=True)), "batch"), 0.5, -0.1
    ),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_an_activation_is_right_behind_whatever_may_absorb_it(before: str, function: str, tmp_path: Path) -> None:
    needs("ai_edge_litert")
    graph = graph_of(lambda b, x: b.act(BEFORE[before](b, x), function))
    check_against_torch(build_graph(graph), tmp_path / "model.tflite")


def test_tokens_of_three_axes_are_no_maps(tmp_path: Path) -> None:
    needs("ai_edge_litert")

    def attention(b: Builder, x: Tensor) -> Tensor:
        heads = b.rearrange(x, (2, 3, 63), (0, 2, 1), (2, 63, 3))
        weights = b.softmax(b.affine(b.matmul(heads, heads, transpose=True), 0.5))
        y = b.norm(b.sum(b.learned_scale(b.linear(b.matmul(weights, heads), 3)), heads), "layer")
        return b.sum(b.rearrange(b.act(y, "gelu"), (2, 9, 7, 3), (0, 3, 1, 2), MAP), b.depthwise(x, 3))

    check_against_torch(build_graph(graph_of(attention)), tmp_path / "model.tflite")


def channels_last(b: Builder, x: Tensor) -> Tensor:
    """A perceptron over tokens between convolutions, as of a ConvNeXt."""
    channels, rows, columns = x.shape
    y = b.rearrange(b.depthwise(x, 3), x.shape, (1, 2, 0), (rows * columns, channels))
    y = b.learned_scale(b.linear(b.act(b.linear(b.norm(y, "layer"), 12), "gelu"), channels))
    return b.conv(b.sum(x, b.rearrange(y, (rows, columns, channels), (2, 0, 1), x.shape)), 8)


def test_channels_that_come_last_and_return_are_not_moved(tmp_path: Path) -> None:
    needs("ai_edge_litert")
    module = build_graph(graph_of(channels_last))
    check_against_torch(module, tmp_path / "model.tflite")
    assert litert_operators(write_litert(module, tmp_path / "model.tflite"))["TRANSPOSE"] == 2  # of image and result


def test_what_is_read_twice_is_not_absorbed(tmp_path: Path) -> None:
    needs("ai_edge_litert")

    def write(b: Builder, x: Tensor) -> Tensor:
        y = b.conv(x, 6)
        return b.sum(b.act(y, "relu"), b.learned_scale(y))

    check_against_torch(build_graph(graph_of(write)), tmp_path / "model.tflite")


@pytest.mark.parametrize("family", list(families()))
def test_the_interpreter_computes_a_network_as_torch_does(family: str, tmp_path: Path) -> None:
    needs("ai_edge_litert")
    check_against_torch(build(shortened(family)), tmp_path / "model.tflite")


def squeeze_excite(b: Builder, x: Tensor) -> Tensor:
    """A block whose gate is a hard sigmoid, and a head."""
    y = b.conv(x, 8, 3, 2, act="relu6")
    y = b.act(b.depthwise(y, 3), "hswish")
    gate = b.conv(b.conv(b.global_pool(y), 4, norm=False, bias=True, act="relu"), 8, norm=False, bias=True)
    y = b.product(y, b.act(gate, "hsigmoid"))
    return b.linear(b.global_pool(y, flatten=True), 5)


def residual(b: Builder, x: Tensor) -> Tensor:
    """A sum whose operand is read twice, with its activation, and a layer scale."""
    y = b.act(b.sum(b.depthwise(x, 3), x), "relu")
    return b.sum(b.learned_scale(b.conv(b.act(b.conv(y, 12), "gelu"), 6), 0.1), y)


def normed(b: Builder, x: Tensor) -> Tensor:
    """Batch norms that a convolution absorbs, with a ReLU, and that it does not."""
    y = b.act(b.norm(b.conv(x, 6, norm=False), "batch"), "relu")
    return b.act(b.norm(b.concat([x, y]), "batch"), "relu")


def shuffled(b: Builder, x: Tensor) -> Tensor:
    return b.depthwise(b.shuffle(b.conv(x, 6, groups=2, act="relu"), 2), 3)


@pytest.mark.parametrize(
    ("write", "shape", "expected"),
    [
        # The first stride needs one pixel on each side of an even map, SAME gives none before it. The image's channels
        # move last, and first again for the mean that becomes a vector; the hard sigmoid is a ReLU6 in its convolution
        # and a product, the gate another.
        (
            squeeze_excite,
            (3, 16, 16),
            {
                "TRANSPOSE": 2, "PAD": 1, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 1, "HARD_SWISH": 1, "MEAN": 2, "MUL": 2,
                "FULLY_CONNECTED": 1,
            },
        ),
        # An odd map's padding is SAME.
        (lambda b, x: b.conv(x, 8, 3, 2, act="relu"), (3, 15, 15), {"CONV_2D": 1, "TRANSPOSE": 2}),
        # The activation is the sum's own, the scale is in the second convolution.
        (residual, MAP, {"TRANSPOSE": 2, "DEPTHWISE_CONV_2D": 1, "ADD": 2, "CONV_2D": 2, "GELU": 1}),
        # To channels first, split, swapped, merged, and back.
        (
            shuffled,
            MAP,
            {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "RESHAPE": 2, "TRANSPOSE": 2 + 3},
        ),
        # A map that is nothing but reshaped stays as it came.
        (GRAPHS["rearrange"], MAP, {"RESHAPE": 2, "TRANSPOSE": 1}),
        # Less the mean, times 1 / deviation, times the scale, plus the shift with its ReLU.
        (normed, MAP, {"TRANSPOSE": 2, "CONV_2D": 1, "CONCATENATION": 1, "SUB": 1, "MUL": 2, "ADD": 1}),
    ],
    ids=["squeeze and excite", "same padding", "residual", "shuffle", "rearrange", "batch norm"],
)  # fmt: skip
def test_a_file_holds_these_operators(
    write: Write, shape: tuple[int, ...], expected: dict[str, int], tmp_path: Path
) -> None:
    needs("ai_edge_litert")
    module = build_graph(graph_of(write, shape))
    assert litert_operators(write_litert(module, tmp_path / "model.tflite")) == dict(sorted(expected.items()))
    check_against_torch(module, tmp_path / "model.tflite")


@pytest.mark.slow
def test_the_operators_are_those_of_the_converter(tmp_path: Path) -> None:
    needs("litert_torch")
    module = with_random_numbers(build(small()))
    ours = litert_operators(write_litert(module, tmp_path / "ours.tflite"))
    assert ours == litert_operators(export_litert(module, tmp_path / "theirs.tflite"))


@pytest.mark.slow
@pytest.mark.parametrize("family", CONVERTED_OTHERWISE)
def test_the_operators_are_those_of_the_converter_at_other_sizes(family: str, tmp_path: Path) -> None:
    needs("litert_torch")
    module = with_random_numbers(build(shortened(family, 128)))
    ours = litert_operators(write_litert(module, tmp_path / "ours.tflite"))
    theirs = litert_operators(export_litert(module, tmp_path / "theirs.tflite"))
    assert {kind for kind in ours | theirs if ours.get(kind) != theirs.get(kind)} == CONVERTED_OTHERWISE[family]


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    needs("ai_edge_litert")
    first, again = (write_litert(build(small(), seed=3), tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == again
    assert write_litert(build(small(), seed=4), tmp_path / "c").read_bytes() != first


def test_an_operator_without_a_form_is_named(tmp_path: Path) -> None:
    needs("ai_edge_litert")

    class Mystery(Op):
        name = "mystery"

    graph = Graph((*graph_of(lambda b, x: b.act(x, "relu")).nodes[:1], Node(Mystery(), (0,), MAP, 1)))
    with pytest.raises(UnknownOperatorError, match="a LiteRT form, but mystery has none"):
        write_litert(build_graph(graph), tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_without_the_runtime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ai_edge_litert", "ai_edge_litert.schema_py_generated"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(InputError, match=re.escape(extra_remedy("litert"))):
        write_litert(build(small()), tmp_path / "model.tflite")
