"""Peak memory: by hand on small graphs, and against a second implementation that runs every order step by step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from nas.errors import InputError
from nas.graph import Builder, Graph
from nas.graph.memory import BYTES_PER_NUMBER, bytes_per_number, peak_elements
from nas.graph.ops import Rearrange
from nas.space import known_network
from nas.space.architecture import layer_graph

POINTWISE = ("act", "binary", "affine", "scale")


def _orders(graph: Graph, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every order in which each node comes after what it reads."""
    if len(done) == len(graph.nodes) - 1:
        yield done
    for node in set(range(1, len(graph.nodes))) - set(done):
        if set(graph.nodes[node].inputs) <= {0, *done}:
            yield from _orders(graph, (*done, node))


def _simulated(graph: Graph, order: tuple[int, ...]) -> int:
    """The peak of one order: a heap of blocks, each with the set of values that live in it."""
    nodes = graph.nodes
    block_of = {0: 0}
    size_of = {0: int(np.prod(nodes[0].shape))}
    waiting = {i: [n for n in range(len(nodes)) if i in nodes[n].inputs] for i in range(len(nodes))}
    peak = size_of[0]
    for node in order:
        op, operands = nodes[node].op, nodes[node].inputs
        size = int(np.prod(nodes[node].shape))
        for operand in set(operands):
            waiting[operand].remove(node)
        needed = {block_of[i] for i in block_of if waiting[i] or i == len(nodes) - 1}
        reused = None
        if isinstance(op, Rearrange) and op.order == tuple(range(len(op.order))):
            reused = block_of[operands[0]]
        elif op.name in POINTWISE:
            for operand in operands:
                if nodes[operand].shape == nodes[node].shape and block_of[operand] not in needed:
                    reused = block_of[operand]
        if reused is None:
            reused = node
            size_of[node] = size
        block_of[node] = reused
        peak = max(peak, sum(size_of.values()))
        needed = {block_of[i] for i in block_of if waiting[i] or i == len(nodes) - 1}
        size_of = {block: elements for block, elements in size_of.items() if block in needed}
    return peak


def _straight(graph: Graph) -> int:
    return min(_simulated(graph, order) for order in _orders(graph))


def test_a_chain_by_hand() -> None:
    """8 + 32 at the expansion, its activation in place, 32 + 32 at the depthwise convolution, 32 + 16 behind it."""
    b = Builder((2, 2, 2))
    x = b.conv(b.input, 8, act="relu")
    x = b.depthwise(x, 3)
    b.conv(x, 4)
    assert peak_elements(b.build().nodes) == 64


def test_a_residual_keeps_its_map_alive_and_the_sum_is_written_over_it() -> None:
    b = Builder((4, 2, 2))
    x = b.conv(b.input, 4)
    y = b.conv(x, 4)
    b.sum(x, y)
    # Input 16 and result 16; then x and y; the sum lies where y or x was.
    assert peak_elements(b.build().nodes) == 32


def test_the_least_order_is_taken() -> None:
    """A wide branch that ends narrow goes first: 4 + 64, then 4 + 4 + 4; the graph's own order holds both wide maps."""
    b = Builder((1, 2, 2))
    wide, other = b.conv(b.input, 16), b.conv(b.input, 16)
    narrow, second = b.conv(wide, 1), b.conv(other, 1)
    b.sum(narrow, second)
    graph = b.build()
    assert _simulated(graph, (1, 2, 3, 4, 5)) == 4 + 64 + 64
    # The second wide map: the image 4, the narrow result 4, and 64.
    assert peak_elements(graph.nodes) == 4 + 4 + 64


def test_a_reshape_is_no_copy_and_keeps_what_it_names_alive() -> None:
    b = Builder((4, 2, 2))
    x = b.conv(b.input, 4)
    view = b.rearrange(x, (4, 4), (0, 1), (4, 4))
    b.linear(view, 4)
    assert peak_elements(b.build().nodes) == 32
    b = Builder((4, 2, 2))
    x = b.conv(b.input, 4)
    view = b.rearrange(x, (4, 4), (0, 1), (4, 4))
    moved = b.rearrange(view, (4, 2, 2), (0, 1, 2), (4, 2, 2))
    y = b.act(moved, "relu")  # x is read later: no place for the result
    b.sum(b.conv(y, 4), x)
    graph = b.build()
    assert peak_elements(graph.nodes) == _straight(graph) == 48


@pytest.mark.parametrize("seed", range(40))
def test_small_graphs_against_every_order_step_by_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = Builder((int(rng.integers(1, 6)), 2, 2))
    values = [b.input]
    for _ in range(int(rng.integers(3, 7))):
        x = values[int(rng.integers(max(0, len(values) - 3), len(values)))]
        same = [v for v in values if v.shape == x.shape and v is not x]
        kind = rng.choice(["conv", "act", "sum", "view", "pool"])
        if kind == "sum" and same:
            new = b.sum(x, same[int(rng.integers(len(same)))])
        elif kind == "act":
            new = b.act(x, "relu")
        elif kind == "view":
            new = b.rearrange(x, x.shape, (0, 1, 2), x.shape)
        elif kind == "pool":
            new = b.product(x, b.global_pool(x))
            values.append(b.last)
        else:
            new = b.conv(x, int(rng.integers(1, 9)))
        values.append(new)
    graph = b.build()
    assert peak_elements(graph.nodes) == _straight(graph)


@pytest.mark.parametrize("name", ["mobilenetv3-large-1.0", "mobilevit-xxs", "shufflenetv2-1.0", "ghostnet-1.0"])
def test_a_network_needs_what_its_greediest_layer_needs(name: str) -> None:
    network = known_network(name)
    assert network.peak_elements == peak_elements(network.graph().nodes)


def test_mobilenetv2_by_hand() -> None:
    """The first expansion: 96 maps of 112 px beside the 96 of 56 px that the depthwise convolution makes of them."""
    assert known_network("mobilenetv2-1.0").peak_elements == 96 * 112 * 112 + 96 * 56 * 56


def test_blocks_of_parallel_branches_against_every_order() -> None:
    network = known_network("squeezenet-1.1")
    for layer, shape in zip(network.layers, network.layer_inputs(), strict=True):
        graph = layer_graph(layer, shape)
        if len(graph.nodes) <= 8:
            assert peak_elements(graph.nodes) == _straight(graph)


def test_bytes_of_a_number() -> None:
    assert [bytes_per_number(name) for name in BYTES_PER_NUMBER] == [4, 2, 1]
    with pytest.raises(InputError, match="precision"):
        bytes_per_number("bfloat17")
