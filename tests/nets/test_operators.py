"""Every primitive operator, in torch, in ONNX and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nas.errors import UnknownOperatorError
from nas.graph import Branch, Builder, Graph, Node, Tensor, ops
from nas.graph.ops import ACTIVATIONS, Op
from nas.nets import build_graph, onnx_model
from tests.nets.readings import check_all_readings

Write = Callable[[Builder, Tensor], Tensor]

MAP = (6, 9, 7)
TOKENS = (12, 6)


def graph_of(write: Write, shape: tuple[int, ...] = MAP) -> Graph:
    builder = Builder(shape)
    builder.layer = 1
    write(builder, builder.input)
    return builder.build()


def values(*numbers: float, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(numbers).reshape(1, *shape)


def tokens(b: Builder, x: Tensor) -> Tensor:
    """A map as tokens (positions, channels)."""
    channels, height, width = x.shape
    return b.rearrange(x, (channels, height * width), (1, 0), (height * width, channels))


def _activation(function: str) -> Write:
    return lambda b, x: b.act(x, function)


def _pool(function: Any, kernel: int, stride: int, padding: int, ceil: bool) -> Write:
    return lambda b, x: b.pool(x, function, kernel, stride, padding=padding, ceil=ceil)


GRAPHS: dict[str, Write] = {
    "conv without norm": lambda b, x: b.conv(x, 4, 3, norm=False),
    "conv with bias": lambda b, x: b.conv(x, 4, 3, norm=False, bias=True),
    "conv with bias and norm": lambda b, x: b.conv(x, 4, 3, bias=True),
    "conv 1x3": lambda b, x: b.conv(x, 4, (1, 3)),
    "conv 3x1": lambda b, x: b.conv(x, 4, (3, 1)),
    "conv dilated": lambda b, x: b.conv(x, 4, 3, dilation=2),
    "conv grouped": lambda b, x: b.conv(x, 4, 3, 2, groups=2),
    "conv uneven padding": lambda b, x: b.conv(x, 4, 3, 2, padding=(0, 0, 1, 1)),
    "conv unpadded even kernel": lambda b, x: b.conv(x, 4, 2, 2, padding=(0, 0, 0, 0)),
    "depthwise multiplier": lambda b, x: b.conv(x, 12, 3, groups=6),
    "branches 5, 3, 1, identity": lambda b, x: b.depthwise(
        x, 5, branches=(Branch(5), Branch(5), Branch(3), Branch(1), Branch(0))
    ),
    "branches of a grouped conv": lambda b, x: b.conv(x, 6, 3, groups=3, branches=(Branch(3), Branch(1), Branch(0))),
    "branches of a dense conv": lambda b, x: b.conv(x, 6, 3, branches=(Branch(3), Branch(1), Branch(0))),
    "branches with stride": lambda b, x: b.conv(x, 4, 3, 2, branches=(Branch(3), Branch(1))),
    "branches even kernels": lambda b, x: b.conv(x, 4, 4, padding=(1,) * 4, branches=(Branch(4), Branch(2))),
    "branches bare": lambda b, x: b.conv(x, 6, 3, branches=(Branch(3, norm=False), Branch(0, norm=False))),
    "branches biased, norm after sum": lambda b, x: b.conv(
        x, 6, 3, branches=(Branch(3), Branch(1, norm=False, bias=True), Branch(0, norm=False)), sum_norm=True
    ),
    "identity alone": lambda b, x: b.conv(x, 6, 1, branches=(Branch(0),)),
    "linear": lambda b, x: b.linear(b.global_pool(x, flatten=True), 5),
    "linear without bias": lambda b, x: b.linear(b.global_pool(x, flatten=True), 5, bias=False),
    "linear behind norm": lambda b, x: b.linear(b.global_pool(x, flatten=True), 5, pre_norm=True),
    "linear behind norm, no bias": lambda b, x: b.linear(
        b.global_pool(x, flatten=True), 5, bias=False, pre_norm=True
    ),
    "linear over tokens": lambda b, x: b.linear(tokens(b, x), 5),
    "linear over tokens without bias": lambda b, x: b.linear(tokens(b, x), 5, bias=False),
    "linear over tokens behind norm": lambda b, x: b.linear(tokens(b, x), 5, pre_norm=True),
    "prelu of a vector": lambda b, x: b.act(b.global_pool(x, flatten=True), "prelu"),
    "prelu of tokens": lambda b, x: b.act(tokens(b, x), "prelu"),
    "global pool": lambda b, x: b.global_pool(x),
    "sum": lambda b, x: b.sum(x, b.act(x, "relu")),
    "product with a gate": lambda b, x: b.product(x, b.act(b.global_pool(x), "sigmoid")),
    "maximum": lambda b, x: b.maximum(x, b.affine(x, -2.0, 0.5)),
    "difference": lambda b, x: b.add(ops.Binary("sub"), x, b.act(x, "tanh")),
    "affine": lambda b, x: b.affine(x, 2.0, -0.5),
    "learned scale of a map": lambda b, x: b.learned_scale(x, 0.3),
    "learned scale of a vector": lambda b, x: b.learned_scale(b.global_pool(x, flatten=True), 0.3),
    "learned scale of tokens": lambda b, x: b.learned_scale(tokens(b, x), 0.3),
    "concat": lambda b, x: b.concat([x, b.act(x, "relu"), x]),
    "slice": lambda b, x: b.slice(x, 1, 4),
    "slice of all": lambda b, x: b.depthwise(b.slice(b.depthwise(x, 3), 0, x.channels), 3),
    "shuffle": lambda b, x: b.shuffle(x, 3),
    "shuffle of a vector": lambda b, x: b.shuffle(b.global_pool(x, flatten=True), 2),
    "reshape": lambda b, x: b.rearrange(x, (6, 63), (0, 1), (6, 63)),
    "rearrange": lambda b, x: b.rearrange(x, (2, 3, 9, 7), (2, 0, 3, 1), (18, 21)),
    "matmul": lambda b, x: b.matmul(b.rearrange(x, (6, 63), (1, 0), (63, 6)), b.rearrange(x, (6, 63), (0, 1), (6, 63))),
    "matmul transposed": lambda b, x: b.matmul(tokens(b, x), tokens(b, x), transpose=True),
    "softmax": lambda b, x: b.softmax(x),
    "layer norm": lambda b, x: b.norm(tokens(b, x), "layer"),
    "group norm": lambda b, x: b.norm(x, "group"),
    "batch norm": lambda b, x: b.norm(b.act(x, "relu"), "batch"),
    "reduce sum": lambda b, x: b.reduce(x, "sum", 0),
    "reduce mean": lambda b, x: b.reduce(x, "mean", 1),
    "reduce max": lambda b, x: b.reduce(x, "max", -1),
    "resize up": lambda b, x: b.resize(x, 16, 11),
    "resize down": lambda b, x: b.resize(x, 4, 5),
    "resize to one": lambda b, x: b.resize(x, 1, 1),
    **{f"activation {function}": _activation(function) for function in ACTIVATIONS},
    **{
        f"{function} pool {k}/{s} padding {p} ceil={ceil}": _pool(function, k, s, p, ceil)
        for function in ("max", "avg")
        for k, s, p in ((2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1))
        for ceil in (False, True)
    },
    "avg pool without its padding": lambda b, x: b.pool(x, "avg", 3, 2, padding=1, count_pad=False),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_all_readings_of_an_operator_agree(name: str) -> None:
    check_all_readings(build_graph(graph_of(GRAPHS[name])), batch=2)


def test_every_primitive_operator_is_read_here() -> None:
    used = {type(node.op) for write in GRAPHS.values() for node in graph_of(write).nodes}
    assert used == {kind for kind in vars(ops).values() if isinstance(kind, type) and issubclass(kind, Op)} - {Op}


@pytest.mark.parametrize(
    ("function", "at_minus_2", "at_half"),
    [
        ("relu", 0.0, 0.5),
        ("relu6", 0.0, 0.5),
        ("hswish", -2 * 1 / 6, 0.5 * 3.5 / 6),
        ("silu", -2 / (1 + math.exp(2)), 0.5 / (1 + math.exp(-0.5))),
        ("gelu", -1 * (1 + math.erf(-math.sqrt(2))), 0.25 * (1 + math.erf(0.5 / math.sqrt(2)))),
        ("sigmoid", 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-0.5))),
        ("hsigmoid", 1 / 6, 3.5 / 6),
        ("prelu", -0.5, 0.5),
        ("leaky_relu", -0.02, 0.5),
        ("tanh", math.tanh(-2), math.tanh(0.5)),
    ],
)
def test_an_activation_is_the_function_of_its_name(function: str, at_minus_2: float, at_half: float) -> None:
    module = build_graph(graph_of(lambda b, x: b.act(x, function), (1, 1, 2)))
    got = module(values(-2.0, 0.5, shape=(1, 1, 2))).flatten().tolist()
    assert got == pytest.approx([at_minus_2, at_half], rel=1e-5)


def test_a_shuffle_moves_channel_gn_plus_i_to_i_groups_plus_g() -> None:
    module = build_graph(graph_of(lambda b, x: b.shuffle(x, 2), (6, 1, 1)))
    # Groups (0 1 2) and (3 4 5): read column by column.
    assert module(values(0.0, 1, 2, 3, 4, 5, shape=(6, 1, 1))).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_a_rearrangement_cuts_a_map_into_patches() -> None:
    # 1x2x4 in patches of 2x2: (rows, 2) x (columns, 2) -> one row of tokens a place inside the patch.
    module = build_graph(graph_of(lambda b, x: b.rearrange(x, (1, 1, 2, 2, 2), (2, 4, 1, 3, 0), (4, 2)), (1, 2, 4)))
    x = values(0.0, 1, 2, 3, 4, 5, 6, 7, shape=(1, 2, 4))
    assert module(x)[0].tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_resizing_takes_half_pixel_centres() -> None:
    module = build_graph(graph_of(lambda b, x: b.resize(x, 1, 4), (1, 1, 2)))
    # Pixels of width 1 at 0.5 and 1.5 read at 0.25, 0.75, 1.25 and 1.75; the edges are continued.
    assert module(values(0.0, 1.0, shape=(1, 1, 2))).flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


def test_a_group_norm_is_over_the_whole_map() -> None:
    module = build_graph(graph_of(lambda b, x: b.norm(x, "group"), (2, 1, 2)))
    x = values(1.0, 2.0, 3.0, 6.0, shape=(2, 1, 2))
    expected = (x - 3) / math.sqrt((4 + 1 + 0 + 9) / 4 + 1e-5)
    assert torch.allclose(module(x), expected)


def test_an_operator_without_a_form_is_named() -> None:
    class Mystery(Op):
        name = "mystery"

    graph = Graph((*graph_of(lambda b, x: b.act(x, "relu")).nodes[:1], Node(Mystery(), (0,), MAP, 1)))
    module = build_graph(graph)
    with pytest.raises(UnknownOperatorError, match="mystery"):
        module(torch.zeros(1, *MAP))
    with pytest.raises(UnknownOperatorError, match="mystery"):
        onnx_model(module)


def test_a_stem_of_single_pixels_learns_on_what_its_stride_sees() -> None:
    # oneDNN 3.12 writes behind its workspace for these sizes, so this died or gave other gradients on a CPU.
    graph = graph_of(lambda b, x: b.conv(x, 16, 1, 2, norm=False), (3, 32, 32))
    module = build_graph(graph, seed=0).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    (weight,) = (value for name, value in module.named_parameters() if name.endswith("weight"))
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    (gradient,) = torch.autograd.grad(module(x).square().sum(), weight)
    with torch.no_grad():
        y = module(x)  # the convolution with its stride: both are the same map
    by_hand = 2 * torch.einsum("noij,ncij->oc", y.double(), x.double()[:, :, ::2, ::2])
    torch.testing.assert_close(gradient.double()[:, :, 0, 0], by_hand, rtol=1e-4, atol=1e-3)
