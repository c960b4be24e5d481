from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas.graph import Builder
from nas.nets import build_graph
from nas.nets.small_maps import is_small, on_small_map


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (3, 5)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2)], ids=str)
def test_the_derivative_is_that_of_differences(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    padding = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
    conv = nn.Conv2d(3, 3, kernel, stride, padding, dilation, 3).double()
    x = torch.randn(2, 3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(on_small_map(x, conv), conv(x))

    def of(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return on_small_map(x, conv)

    assert torch.autograd.gradcheck(of, (x, *conv.parameters()))


def test_a_network_on_small_maps_learns_as_by_torch_itself() -> None:
    builder = Builder((6, 4, 4))
    builder.layer = 1
    builder.depthwise(builder.input, 5, norm=False, bias=True)
    module = build_graph(builder.build(), seed=0).train()
    weight, bias = module.parameters()
    x = torch.randn(8, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    assert is_small(x, weight) and not is_small(x.double(), weight)
    assert is_small(torch.zeros(1, 6, 8, 8), weight) and not is_small(torch.zeros(1, 6, 8, 9), weight)
    assert is_small(torch.zeros(1, 6, 2, 2), weight[..., :3, :3])
    assert not is_small(torch.zeros(1, 6, 2, 3), weight[..., :3, :3])
    found = torch.autograd.grad(module(x).square().sum(), [weight, bias])
    by_torch = torch.autograd.grad(
        functional.conv2d(x, weight, bias, padding=2, groups=6).square().sum(), [weight, bias]
    )
    for one, other in zip(found, by_torch, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
