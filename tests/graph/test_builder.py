from __future__ import annotations

import pytest

from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.graph import Builder
from nas.graph.ops import Activation, Conv


def last_conv(builder: Builder) -> Conv:
    op = builder.build().nodes[-1].op
    assert isinstance(op, Conv)
    return op


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (7, 1), (3, 2), ((1, 5), 1), ((3, 1), 3)])
def test_a_convolution_is_padded_to_keep_the_size(size: int, kernel: int | tuple[int, int], dilation: int) -> None:
    builder = Builder((4, size, size))
    assert builder.conv(builder.input, 6, kernel, dilation=dilation).shape == (6, size, size)
    halved = builder.conv(builder.input, 6, kernel, 2, dilation=dilation)
    assert halved.shape == (6, (size + 1) // 2, (size + 1) // 2)


def test_an_even_kernel_needs_its_padding() -> None:
    builder = Builder((4, 8, 8))
    with pytest.raises(ValueError, match="kernel must be odd where no padding is given, but got kernel=2"):
        builder.conv(builder.input, 6, 2)
    assert builder.conv(builder.input, 6, 2, 2, padding=(0, 0, 0, 0)).shape == (6, 4, 4)


def test_a_depthwise_convolution_has_one_group_a_channel() -> None:
    builder = Builder((4, 8, 8))
    builder.depthwise(builder.input, 3)
    assert (last_conv(builder).groups, last_conv(builder).out) == (4, 4)


def test_an_activation_is_a_node_of_its_own_and_none_is_nothing() -> None:
    builder = Builder((4, 8, 8))
    plain = builder.conv(builder.input, 6)
    assert builder.last == plain == builder.act(plain, "none")
    assert builder.act(plain, "relu").node == plain.node + 1
    assert builder.build().nodes[-1].op == Activation("relu")


@pytest.mark.parametrize("function", DYNAMIC_ACTIVATIONS)
def test_a_dynamic_activation_keeps_a_map_and_refuses_anything_else(function: str) -> None:
    builder = Builder((8, 4, 4), DYNAMIC_ACTIVATIONS)
    assert builder.act(builder.input, function).shape == (8, 4, 4)
    vector = builder.global_pool(builder.input, flatten=True)
    with pytest.raises(ValueError, match=f"{function} needs a map"):
        builder.act(vector, function)


@pytest.mark.parametrize(
    ("function", "params"),
    [
        # 1x1 down to 16 / reduction (rounded up) channels and back up, with biases.
        ("se_relu", (16 * 1 + 1) + (1 * 16 + 16)),
        ("dynamic_relu_a", (16 * 2 + 2) + (2 * 4 + 4)),
        ("dynamic_relu_b", (16 * 2 + 2) + (2 * 64 + 64)),
        ("dynamic_shift_max", (16 * 4 + 4) + (4 * 64 + 64)),
    ],
)
def test_a_dynamic_activation_has_parameters(function: str, params: int) -> None:
    builder = Builder((16, 4, 4), DYNAMIC_ACTIVATIONS)
    builder.act(builder.input, function)
    assert builder.build().params == params


def test_the_builder_knows_maps_from_vectors() -> None:
    builder = Builder((4, 8, 8))
    assert builder.input.is_map and builder.input.channels == 4
    assert not builder.global_pool(builder.input, flatten=True).is_map
