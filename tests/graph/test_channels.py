from __future__ import annotations

import pytest

from nas.blocks import BLOCKS, Block
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.graph import Builder
from nas.graph.channels import channel_flow
from tests.nets.variants import Variant, variants

# What the papers draw: channels divided into parts (heads, shuffles, concatenations, groups); a skip connection
# wherever width and size stay; one always; and none at all.
RIGID = {
    "mobilevit", "mobilevit_separable", "mobilevitv2", "shufflenetv1", "shufflenetv2", "fire", "ghostnet",
    "espnetv2_trunk", "eesp", "espnetv2_expand",
}  # fmt: skip
RESIDUAL = {"mbconv", "mbconv_early_se", "fbnet", "repvit_early", "squeezenext"}
TIED = {"repvit", "poolformer"}
NEW = {
    "conv", "head", "separable", "mobileone", "mobileone_stem", "repvgg", "repvit_downsample", "repvit_stem",
    "shufflenet_stem", "shufflenetv1_head", "squeezenet_stem", "squeezenet_head", "squeezenext_stem",
    "squeezenext_conv", "patch_embedding", "poolformer_head",
}  # fmt: skip


def _expected(variant: Variant) -> str:
    name = variant.block.name
    if name in RIGID:
        return "rigid"
    if name in TIED:
        return "tied"
    if name in RESIDUAL:
        return "tied" if variant.args["out"] == variant.width and variant.args["stride"] == 1 else "new"
    assert name in NEW, f"say here how the channels of {name} flow"
    return "new"


@pytest.mark.parametrize("block", list(BLOCKS), ids=lambda block: block.name)
def test_every_block_in_every_variant(block: Block) -> None:
    for variant in variants(block):
        if not DYNAMIC_ACTIVATIONS.keys() & {value for value in variant.args.values() if isinstance(value, str)}:
            assert channel_flow(variant.graph().nodes) == _expected(variant), str(variant)


@pytest.mark.parametrize(
    ("function", "flow"), [("relu", "new"), ("prelu", "new"), ("se_relu", "new"), ("dynamic_relu_b", "rigid")]
)
def test_an_activation_that_splits_its_coefficients_is_rigid(function: str, flow: str) -> None:
    builder = Builder((8, 4, 4), DYNAMIC_ACTIVATIONS)
    builder.conv(builder.input, 16, act=function)
    assert channel_flow(builder.build().nodes) == flow


def test_a_depthwise_convolution_ties_what_a_dense_one_parts() -> None:
    builder = Builder((8, 4, 4))
    y = builder.depthwise(builder.input, 3, act="relu")
    assert channel_flow(builder.build().nodes) == "tied"
    builder.conv(y, 8)
    assert channel_flow(builder.build().nodes) == "new"


@pytest.mark.parametrize(
    ("out", "groups", "flow"),
    [
        (8, 8, "tied"),
        (8, 4, "rigid"),  # two channels a group
        (4, 4, "rigid"),  # each result from two channels of its own: groups = out, yet not depthwise
        (16, 8, "rigid"),  # two results from each channel: groups = in
    ],
)
def test_only_a_group_for_each_channel_read_and_written_is_depthwise(out: int, groups: int, flow: str) -> None:
    builder = Builder((8, 4, 4))
    builder.conv(builder.input, out, 3, groups=groups)
    assert channel_flow(builder.build().nodes) == flow


def test_a_sum_ties_both_sides_however_late_it_comes() -> None:
    builder = Builder((8, 4, 4))
    y = builder.conv(builder.conv(builder.input, 32), 8)
    z = builder.conv(builder.conv(y, 32), 8)
    builder.sum(builder.sum(z, y), builder.input)
    assert channel_flow(builder.build().nodes) == "tied"
