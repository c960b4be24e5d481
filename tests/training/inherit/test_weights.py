"""What a descendant takes over, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.nets import GraphModule, build, build_graph
from nas.space import Architecture
from nas.space.architecture import Layer, make_layer
from nas.training.inherit import inherit_weights
from nas.training.inherit.importance import _eliminated
from nas.training.inherit.weights import copy_slice
from tests.training.inherit.descendants import made


def layers(*, hidden: int = 6, kernel: int = 5, depth: int = 2, out: int = 4, se: int = 0) -> tuple[Layer, ...]:
    block = {"out": out, "hidden": hidden, "kernel": kernel, "se": se}
    return (
        make_layer("conv", {"out": out, "stride": 2}),
        *(make_layer("mbconv", block) for _ in range(depth)),
        make_layer("head", {}),
    )


def network(**options: int) -> Architecture:
    return Architecture(name="parent", family="custom", resolution=16, num_classes=3, layers=layers(**options))


def state(module: GraphModule) -> dict[str, Tensor]:
    return dict(module.state_dict())


def weighed(module: GraphModule, layer: str, sizes: list[float]) -> None:
    """Make the expanded channels of a block so large."""
    weights, scale = state(module), torch.tensor(sizes)[:, None, None, None]
    for name in ("pointwise_1", "depthwise"):
        weights[f"{layer}.{name}.conv.weight"] *= scale
    weights[f"{layer}.pointwise_2.conv.weight"] *= scale[:, 0, 0, 0][None, :, None, None]


def test_a_narrowed_block_keeps_the_channels_that_matter_most_in_their_order() -> None:
    wide = layers(hidden=8)
    parent = made(network(hidden=8))
    weighed(parent, "layer02_mbconv", [1, 50, 2, 60, 30, 40, 3, 70])
    found = inherit_weights(replace(network(), layers=(wide[0], layers(hidden=5)[1], *wide[2:])), parent)
    ours, theirs, keep = state(found.module), state(parent), [1, 3, 4, 5, 7]
    block = "layer02_mbconv"
    for name, own in ours.items():
        expected = theirs[name]
        if name.startswith((f"{block}.pointwise_1", f"{block}.depthwise")) and expected.ndim:
            expected = expected[keep]
        elif name == f"{block}.pointwise_2.conv.weight":
            expected = expected[:, keep]
        assert torch.equal(own, expected), name
    assert found.share == 1 and not found.anew and not found.unused


def test_a_tied_width_is_narrowed_alike_everywhere() -> None:
    parent = made(network())
    weights = state(parent)
    for name in ("layer01_conv.conv", "layer02_mbconv.pointwise_2", "layer03_mbconv.pointwise_2"):
        weights[f"{name}.norm.weight"][2] = 0  # the channel gives nothing, however large its filters are
        weights[f"{name}.conv.weight"][2] *= 9
    found = inherit_weights(network(out=3), parent)
    ours, keep = state(found.module), [0, 1, 3]
    for name in ("layer01_conv.conv", "layer02_mbconv.pointwise_2", "layer03_mbconv.pointwise_2"):
        assert torch.equal(ours[f"{name}.conv.weight"], weights[f"{name}.conv.weight"][keep])
        assert torch.equal(ours[f"{name}.norm.running_mean"], weights[f"{name}.norm.running_mean"][keep])
    for name in ("layer02_mbconv.pointwise_1.conv", "layer03_mbconv.pointwise_1.conv", "layer04_head.classifier"):
        assert torch.equal(ours[f"{name}.weight"], weights[f"{name}.weight"][:, keep])
    assert found.share == 1


def test_kernels_are_cropped_to_their_middle_and_grow_by_zeros() -> None:
    parent = made(network(kernel=5))
    name = "layer02_mbconv.depthwise.conv.weight"
    smaller = inherit_weights(network(kernel=3), parent)
    assert torch.equal(state(smaller.module)[name], state(parent)[name][:, :, 1:4, 1:4])
    larger = inherit_weights(network(kernel=7), parent)
    grown = state(larger.module)[name]
    assert torch.equal(grown[:, :, 1:6, 1:6], state(parent)[name]) and float(grown[:, :, 0].abs().max()) == 0
    assert [(one.name, one.numbers) for one in larger.anew] == [
        (f"layer0{i}_mbconv.depthwise", 6 * (49 - 25)) for i in (2, 3)
    ]


def test_an_image_of_another_number_of_channels() -> None:
    parent = made(network())
    first = state(parent)["layer01_conv.conv.conv.weight"]
    grey = inherit_weights(network().adapted(in_channels=1), parent)
    own = state(grey.module)["layer01_conv.conv.conv.weight"]
    assert torch.allclose(own, first[:, 0:1] + first[:, 1:2] + first[:, 2:3]) and grey.share == 1
    # Grey images, three times the same, are what they were.
    image = torch.rand(2, 1, 16, 16)
    assert torch.allclose(grey.module.eval()(image), parent.eval()(image.expand(-1, 3, -1, -1)), atol=1e-5)
    back = inherit_weights(network(), grey.module)
    assert torch.allclose(state(back.module)["layer01_conv.conv.conv.weight"], own.expand(-1, 3, -1, -1) / 3)
    deep = inherit_weights(network().adapted(in_channels=4), parent)
    assert torch.equal(state(deep.module)["layer01_conv.conv.conv.weight"][:, :3], first)
    assert [(one.name, one.numbers) for one in deep.anew] == [("layer01_conv.conv", 4 * 9)]


def test_other_classes_another_depth_and_a_gate_are_named() -> None:
    parent = made(network(depth=2))
    found = inherit_weights(network(depth=3, se=2).adapted(num_classes=5), parent)
    reasons = {one.name: (one.numbers, one.reason) for one in found.anew}
    gate = 6 * 2 + 2 + 2 * 6 + 6
    block = network(depth=1, se=2).training_params - network(depth=0).training_params
    lacking = "the parent's layer has no such operator"
    assert reasons == {
        "layer02_mbconv.linear_1": (2 * 6 + 2, lacking),
        "layer02_mbconv.linear_2": (2 * 6 + 6, lacking),
        "layer03_mbconv.linear_1": (2 * 6 + 2, lacking),
        "layer03_mbconv.linear_2": (2 * 6 + 6, lacking),
        "layer04_mbconv": (block, "the parent has no such layer"),
        "layer05_head.classifier": (4 * 5 + 5, "the classes are others"),
    }
    assert found.total - found.inherited == 2 * gate + block + 25
    shallower = inherit_weights(network(depth=1), parent)
    assert shallower.unused == ("layer03_mbconv",) and shallower.share == 1
    text = found.as_text()
    assert "layer04_mbconv (the parent has no such layer)" in text and "classes are others" in text


def test_classes_of_the_same_number_may_be_others() -> None:
    parent = made(network())
    found = inherit_weights(network(), parent, new_classes=True)
    assert [one.name for one in found.anew] == ["layer04_head.classifier"]


def test_random_channels_are_other_ones_and_repeat() -> None:
    parent = made(network(hidden=24))
    child = network(hidden=8)
    chosen, one, again, other = (
        state(inherit_weights(child, parent, draw=draw).module)["layer02_mbconv.depthwise.conv.weight"]
        for draw in (None, *(np.random.default_rng(seed) for seed in (1, 1, 2)))
    )
    assert torch.equal(one, again) and not torch.equal(one, other) and not torch.equal(one, chosen)


def test_a_concatenation_narrows_part_by_part() -> None:
    def squeeze(out: int) -> Architecture:
        stem = make_layer("squeezenet_stem", {"out": 4, "kernel": 3})
        fires = [make_layer("fire", {"out": out, "squeeze": 2}), make_layer("fire", {"out": 8, "squeeze": 3})]
        return replace(network(), layers=(stem, *fires, make_layer("squeezenet_head", {})), resolution=32)

    parent = made(squeeze(8))
    weights = state(parent)
    for name, heavy in (("pointwise_2", [0, 3]), ("conv", [1, 2])):
        weights[f"layer02_fire.{name}.weight"][heavy] *= 20
    ours = state(inherit_weights(squeeze(4), parent).module)
    assert torch.equal(ours["layer02_fire.pointwise_2.weight"], weights["layer02_fire.pointwise_2.weight"][[0, 3]])
    assert torch.equal(ours["layer02_fire.conv.weight"], weights["layer02_fire.conv.weight"][[1, 2]])
    read = weights["layer03_fire.pointwise_1.weight"][:, [0, 3, 4 + 1, 4 + 2]]
    assert torch.equal(ours["layer03_fire.pointwise_1.weight"], read)


def test_groups_keep_their_inputs() -> None:
    parent = torch.arange(4 * 3 * 1 * 1.0).reshape(4, 3, 1, 1)  # two groups of 3 to 2
    weight = torch.full((2, 2, 1, 1), -1.0)  # two groups of 2 to 1
    count = copy_slice(weight, parent, np.array([1, 2]), np.array([0, 2, 1, 5]), 2)
    # The second group's first input is one of the parent's other group: it has no place there.
    assert weight[:, :, 0, 0].tolist() == [[3, 5], [-1, 8]] and count == 3


def test_other_groups_and_other_heads_start_anew() -> None:
    def shuffled(groups: int) -> Architecture:
        block = {"out": 24, "hidden": 24, "groups": groups, "first_groups": groups}
        own = (make_layer("conv", {"out": 24}), make_layer("shufflenetv1", block), make_layer("head", {}))
        return replace(network(), layers=own)

    found = inherit_weights(shuffled(2), made(shuffled(3)))
    assert {one.name for one in found.anew} == {"layer02_shufflenetv1.grouped_1", "layer02_shufflenetv1.grouped_2"}

    def attending(heads: int) -> Architecture:
        block = {"dim": 8, "hidden": 8, "layers": 1, "heads": heads}
        own = (make_layer("conv", {"out": 4}), make_layer("mobilevit", block), make_layer("head", {}))
        return replace(network(), layers=own)

    anew = {one.name: one.numbers for one in inherit_weights(attending(4), made(attending(2))).anew}
    # Queries, keys and values, and what reads the values; with their biases.
    assert anew == {"layer02_mobilevit.linear_1": 8 * 24 + 24, "layer02_mobilevit.linear_2": 8 * 8 + 8}


def test_a_bare_graph_is_no_parent() -> None:
    with pytest.raises(ValueError, match="architecture"):
        inherit_weights(network(), build_graph(network().graph()))


def test_the_parent_stays_as_it_was() -> None:
    parent = build(network(), seed=1)
    before = {name: value.clone() for name, value in state(parent).items()}
    inherit_weights(network(hidden=3, kernel=7).adapted(in_channels=1), parent)
    assert all(torch.equal(value, before[name]) for name, value in state(parent).items())


def test_what_is_left_of_two_channels_that_say_the_same_counts_more() -> None:
    """Of a map a + a' + c with a' = a, E a² = 0.4 and E c² = 0.5, one a costs 0.4, both 1.6: so c goes second."""
    cost = np.array([[0.4, 0.4, 0.0], [0.4, 0.4, 0.0], [0.0, 0.0, 0.5]])
    assert _eliminated(cost).tolist() == [0, 2, 1]
