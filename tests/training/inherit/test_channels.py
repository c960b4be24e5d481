"""Which channels are one and the same, on graphs written by hand."""

from __future__ import annotations

from nas.graph import Builder
from nas.training.inherit.channels import Channels, Place, channels_of, signatures


def out_of(channels: Channels, node: int) -> list[int]:
    return [int(channel) for channel in channels.sides[node, "out"]]


def test_a_skip_a_gate_and_a_depthwise_convolution_keep_channels() -> None:
    b = Builder((3, 8, 8))
    x = b.conv(b.input, 4)
    y = b.depthwise(b.conv(x, 6), 3)
    gate = b.conv(b.global_pool(y), 6, norm=False, bias=True, act="sigmoid")
    z = b.sum(x, b.conv(b.product(y, gate), 4))
    channels = channels_of(b.build())
    assert out_of(channels, x.node) == out_of(channels, z.node - 1)  # tied by the sum
    assert out_of(channels, y.node) == out_of(channels, y.node - 1) == out_of(channels, gate.node - 1)
    assert not set(out_of(channels, x.node)) & set(out_of(channels, y.node))
    assert channels.output == set(out_of(channels, x.node)) and len(channels.image) == 3


def test_slices_concatenations_and_shuffles_send_channels_to_their_places() -> None:
    b = Builder((3, 8, 8))
    x = b.conv(b.input, 4)
    y = b.conv(b.slice(x, 2, 4), 2)
    shuffled = b.shuffle(b.concat([b.slice(x, 0, 2), y]), 2)
    last = b.conv(shuffled, 5)
    channels = channels_of(b.build())
    first, made = out_of(channels, x.node), out_of(channels, y.node)
    # Two groups of two, interleaved: p0 n0 p1 n1.
    assert channels.sides[last.node, "in"].tolist() == [first[0], made[0], first[1], made[1]]
    met = signatures(channels, {y.node: y.node, last.node: last.node})
    assert met[first[0]] == {(Place(last.node, "in"), 1)} and met[first[3]] == {(Place(y.node, "in"), 1)}


def test_queries_and_keys_of_a_head_are_one_and_values_are_not() -> None:
    b = Builder((4, 2, 2))
    tokens = b.rearrange(b.conv(b.input, 4), (4, 4), (1, 0), (1, 4, 4))
    qkv = b.linear(tokens, 12)
    split = b.rearrange(qkv, (1, 4, 3, 2, 2), (2, 0, 3, 1, 4), (3, 2, 4, 2))
    query, key, value = (b.slice(split, i, i + 1) for i in range(3))
    mixed = b.matmul(b.softmax(b.matmul(query, key, transpose=True)), value)
    back = b.linear(b.rearrange(mixed, (1, 2, 4, 2), (0, 2, 1, 3), (1, 4, 4)), 4)
    channels = channels_of(b.build())
    out = out_of(channels, qkv.node)
    assert out[0:4] == out[4:8] and not set(out[0:4]) & set(out[8:12])
    assert channels.sides[back.node, "in"].tolist() == out[8:12]
    product = next(node for node, side in channels.heads if side == "rows")
    assert channels.heads[product, "rows"].tolist() == [out[0:2], out[2:4]]


def test_groups_are_told_apart() -> None:
    b = Builder((4, 8, 8))
    x = b.conv(b.conv(b.input, 4), 6, groups=2)
    channels = channels_of(b.build())
    places = {place: ids.tolist() for place, ids in channels.places() if place.node == x.node}
    before, after = channels.sides[x.node, "in"].tolist(), out_of(channels, x.node)
    assert places == {
        Place(x.node, "in", 2, 0): before[:2],
        Place(x.node, "in", 2, 1): before[2:],
        Place(x.node, "out", 2, 0): after[:3],
        Place(x.node, "out", 2, 1): after[3:],
    }
