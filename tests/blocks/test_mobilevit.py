"""MobileViT blocks against torch's own attention, unfold and fold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas.blocks import BLOCKS
from nas.graph import Builder, Graph
from nas.nets.module import GraphModule, build_graph

CHANNELS, DIM, HIDDEN = 6, 8, 12


def _graph(name: str, height: int, width: int, **args: Any) -> Graph:
    builder = Builder((CHANNELS, height, width))
    builder.layer = 1
    block = BLOCKS.get(name, "test")
    checked = block.check({"dim": DIM, "hidden": HIDDEN, "layers": 2, **args}, "test")
    block.function(builder, builder.input, **checked)
    return builder.build()


def _module(graph: Graph) -> tuple[GraphModule, list[Any]]:
    """The module with random weights and statistics, and its weighted layers in order."""
    module = build_graph(graph, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            norm.running_mean.normal_(generator=generator)
    layers = [layer for i in range(len(graph.nodes)) if (layer := module.layer(i)) is not None]
    return module, layers


@pytest.mark.parametrize(("height", "width"), [(4, 8), (5, 7)])
@torch.no_grad()
def test_mobilevit_is_self_attention_among_equal_pixels_of_all_patches(height: int, width: int) -> None:
    module, layers = _module(_graph("mobilevit", height, width, heads=2))
    x = torch.randn(2, CHANNELS, height, width, generator=torch.Generator().manual_seed(2))
    local, narrow, *rest, norm, widen, fuse = layers
    y = narrow(functional.silu(local(x)))
    rows, cols = -(-height // 2) * 2, -(-width // 2) * 2
    if (rows, cols) != (height, width):
        y = functional.interpolate(y, (rows, cols), mode="bilinear", align_corners=False)
    # (N, DIM · 4, patches) → (N · 4 pixels, patches, DIM)
    tokens = functional.unfold(y, 2, stride=2).reshape(2, DIM, 4, -1).permute(0, 2, 3, 1).flatten(0, 1)
    for i in range(2):
        norm1, qkv, out, norm2, up, down = rest[6 * i : 6 * i + 6]
        z = norm1(tokens)
        attention = nn.MultiheadAttention(DIM, num_heads=2, batch_first=True)
        attention.in_proj_weight, attention.in_proj_bias, attention.out_proj = qkv.weight, qkv.bias, out
        tokens = tokens + attention(z, z, z)[0]
        tokens = tokens + down(functional.silu(up(norm2(tokens))))
    tokens = norm(tokens).reshape(2, 4, -1, DIM).permute(0, 3, 1, 2)
    y = functional.fold(tokens.reshape(2, DIM * 4, -1), (rows, cols), 2, stride=2)
    if (rows, cols) != (height, width):
        y = functional.interpolate(y, (height, width), mode="bilinear", align_corners=False)
    expected = functional.silu(fuse(torch.cat((x, functional.silu(widen(y))), 1)))
    assert torch.allclose(module(x), expected, atol=1e-5)


@torch.no_grad()
def test_mobilevit_separable_differs_from_mobilevit_in_its_attention_alone() -> None:
    module, layers = _module(_graph("mobilevit_separable", 4, 8))
    x = torch.randn(2, CHANNELS, 4, 8, generator=torch.Generator().manual_seed(2))
    local, narrow, *rest, norm, widen, fuse = layers
    tokens = functional.unfold(narrow(functional.silu(local(x))), 2, stride=2).reshape(2, DIM, 4, -1)
    tokens = tokens.permute(0, 2, 3, 1)
    for i in range(2):
        norm1, score, key, value, out, norm2, up, down = rest[8 * i : 8 * i + 8]
        z = norm1(tokens)
        context = (score(z).softmax(dim=2) * key(z)).sum(2, keepdim=True)
        tokens = tokens + out(functional.relu(value(z)) * context)
        tokens = tokens + down(functional.silu(up(norm2(tokens))))
    tokens = norm(tokens).permute(0, 3, 1, 2)
    y = functional.fold(tokens.reshape(2, DIM * 4, -1), (4, 8), 2, stride=2)
    expected = functional.silu(fuse(torch.cat((x, functional.silu(widen(y))), 1)))
    assert torch.allclose(module(x), expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(4, 8), (5, 7)])
@torch.no_grad()
def test_mobilevitv2_weighs_all_patches_by_one_score(height: int, width: int) -> None:
    module, layers = _module(_graph("mobilevitv2", height, width))
    x = torch.randn(2, CHANNELS, height, width, generator=torch.Generator().manual_seed(2))
    local, narrow, *rest, norm, widen = layers
    rows, cols = -(-height // 2) * 2, -(-width // 2) * 2
    if (rows, cols) != (height, width):
        x_in = functional.interpolate(x, (rows, cols), mode="bilinear", align_corners=True)
    else:
        x_in = x
    y = narrow(functional.silu(local(x_in)))
    tokens = functional.unfold(y, 2, stride=2).reshape(2, DIM, 4, -1)
    for i in range(2):
        norm1, qkv, out, norm2, up, down = rest[6 * i : 6 * i + 6]
        query, key, value = qkv(norm1(tokens)).split((1, DIM, DIM), dim=1)
        # arXiv 2206.02680, equation 2: context = Σ softmax(query) · key; result = relu(value) ⊙ context.
        context = torch.einsum("bpn,bdpn->bdp", query.squeeze(1).softmax(-1), key)
        tokens = tokens + out(value.relu() * context[..., None])
        tokens = tokens + down(functional.silu(up(norm2(tokens))))
    y = functional.fold(norm(tokens).reshape(2, DIM * 4, -1), (rows, cols), 2, stride=2)
    assert torch.allclose(module(x), widen(y), atol=1e-5)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="heads must divide dim, but got dim=8, heads=3"):
        _graph("mobilevit", 4, 4, heads=3)
