from __future__ import annotations

import pytest

from nas.graph import Branch, Builder, Graph, Tensor
from nas.graph.graph import feature_candidates
from nas.space import known_names, known_network


def network() -> Graph:
    """8x8 images: a stem, a residual block with SE, a classifier."""
    b = Builder((3, 8, 8))
    b.layer = 1
    x = b.conv(b.input, 4, 3, 2, act="relu")
    b.layer = 2
    y = b.depthwise(x, 3, act="hswish")
    gate = b.conv(b.global_pool(y), 2, norm=False, bias=True, act="relu")
    y = b.product(y, b.conv(gate, 4, norm=False, bias=True, act="sigmoid"))
    x = b.sum(x, b.conv(y, 4))
    b.layer = 3
    b.linear(b.global_pool(x, flatten=True), 10)
    return b.build()


def segment_key(write: object, shape: tuple[int, int, int] = (4, 8, 8), *, before: int = 0, layer: int = 1) -> str:
    """The key of what `write` adds behind `before` other layers."""
    b = Builder(shape)
    for number in range(before):
        b.layer = number + 1
        b.conv(b.last, shape[0], 3)
    b.layer = before + layer
    assert callable(write)
    write(b, b.last)
    return b.build().segments[-1].key


def test_totals_are_sums_by_hand() -> None:
    graph = network()
    # Inference: stem 3·3·3·4 + 4; depthwise 9·4 + 4; SE (4·2 + 2) + (2·4 + 4); 1x1 16 + 4; classifier 4·10 + 10.
    assert graph.params == 112 + 40 + 22 + 20 + 50
    # Training: each batch norm (three of 4 channels) has a scale instead of nothing.
    assert graph.training_params == graph.params + 3 * 4
    # 4x4 maps behind the stem.
    assert graph.macs == 108 * 16 + 36 * 16 + (8 + 8) + 16 * 16 + 40
    assert graph.training_macs == graph.macs
    assert (graph.input_shape, graph.output_shape) == ((3, 8, 8), (10,))


def test_memory_traffic_is_what_the_operators_read_and_write() -> None:
    b = Builder((3, 8, 8))
    b.layer = 1
    b.conv(b.input, 4, 3, 2, act="relu")
    # The convolution reads 3·64 numbers and 108 weights and writes 64; the ReLU reads and writes 64.
    assert b.build().memory_traffic_bytes() == 2 * (192 + 108 + 64 + 64 + 64)
    assert b.build().memory_traffic_bytes(4) == 2 * b.build().memory_traffic_bytes()
    assert b.build().activation_elements == 64 + 64


def test_segments_hold_every_operator_once() -> None:
    graph = network()
    assert [segment.layer for segment in graph.segments] == [1, 2, 3]
    assert sum(segment.params for segment in graph.segments) == graph.params
    assert sum(segment.macs for segment in graph.segments) == graph.macs
    rows = [row for segment in graph.segments for row in segment.rows]
    assert rows == [row for n in graph.nodes for row in n.op.rows(graph.input_shapes(n), n.shape)]
    assert len(graph.operators()) == len(rows)
    assert list(graph.segments[0].operators.kind) == ["dense", "act:relu"]


def test_a_key_is_readable() -> None:
    stem, _, head = (segment.key for segment in network().segments)
    assert stem == "conv3x3s2 3x8x8>4x4x4+relu"
    assert head == "gap 4x4x4>4; linear 10"


def test_equal_work_has_an_equal_key_wherever_it_stands() -> None:
    def block(b: Builder, x: Tensor) -> Tensor:
        return b.sum(x, b.conv(b.conv(x, 8, act="relu"), x.channels))

    assert segment_key(block) == segment_key(block, before=3)


def test_the_way_that_weights_were_trained_is_not_in_the_key() -> None:
    def plain(b: Builder, x: Tensor) -> Tensor:
        return b.conv(x, 4, 3, norm=False, bias=True)

    def branched(b: Builder, x: Tensor) -> Tensor:
        return b.conv(x, 4, 3, branches=(Branch(3), Branch(1), Branch(0)))

    assert segment_key(plain) == segment_key(branched)


def test_different_work_has_a_different_key() -> None:
    def variants(b: Builder, x: Tensor, number: int) -> Tensor:
        hidden = b.conv(x, 4, act="relu6" if number == 1 else "relu")
        y = b.conv(hidden, 4, 5 if number == 2 else 3)
        match number:
            case 3:
                return y
            case 4:
                return b.sum(hidden, y)
            case 5:
                return b.product(x, y)
            case 6:
                return b.concat([x, y])
            case 7:
                return b.concat([y, x])
            case _:
                return b.sum(x, y)

    keys = [segment_key(lambda b, x, number=number: variants(b, x, number)) for number in range(8)]
    keys.append(segment_key(lambda b, x: variants(b, x, 0), (4, 9, 9)))
    assert len(set(keys)) == len(keys)


def test_an_activation_read_twice_is_not_fused_away() -> None:
    """conv → relu, where the convolution itself is read again: the runtime cannot merge the two."""

    def read_again(b: Builder, x: Tensor) -> Tensor:
        y = b.conv(x, 4)
        return b.sum(y, b.act(y, "relu"))

    def read_once(b: Builder, x: Tensor) -> Tensor:
        y = b.conv(x, 4, act="relu")
        return b.sum(x, y)

    assert "+relu" not in segment_key(read_again)
    assert "+relu" in segment_key(read_once)


def test_features_are_the_results_of_layers_and_maps_that_are_marked() -> None:
    b = Builder((3, 16, 16))
    b.layer = 1
    inner = b.conv(b.input, 4, 3, 2)
    first = b.conv(inner, 4, 3, 2)
    b.mark_feature(inner)
    b.layer = 2
    second = b.conv(first, 4, 3, 2)
    assert feature_candidates(b.build()) == (inner.node, first.node, second.node)


@pytest.mark.parametrize("layers", [1, 5])
def test_the_sum_over_segments_is_the_network(layers: int) -> None:
    b = Builder((4, 8, 8))
    for number in range(1, layers + 1):
        b.layer = number
        b.sum(b.last, b.depthwise(b.last, 3, act="relu"))
    graph = b.build()
    assert len(graph.segments) == layers
    assert len({segment.key for segment in graph.segments}) == 1
    assert graph.segments[0].macs * layers == graph.macs


def test_equal_keys_are_equal_work_in_all_known_networks() -> None:
    work: dict[str, tuple[object, ...]] = {}
    for name in known_names():
        network = known_network(name)
        segments = network.segments()
        assert sum(segment.macs for segment in segments) == network.graph().macs == network.macs
        assert sum(segment.params for segment in segments) == network.graph().params == network.params
        for segment in segments:
            assert work.setdefault(segment.key, segment.rows) == segment.rows
    assert len(work) > 100
