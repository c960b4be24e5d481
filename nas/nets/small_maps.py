"""Depthwise convolutions on small maps, where torch is slow on a CPU.

The gradient of their weights has no kernel of its own in oneDNN (3.12) where the map is smaller than the kernel, or the
kernel is larger than 3×3. It takes ten times as long as all else of the layer then, a tenth to a quarter of a training
on small images (`benchmarks/small_maps.md`). Here it is the products of all pairs of an outgoing and an incoming
pixel, summed over the images, and of these those that a weight joins.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

Pair = tuple[int, int]

MOST_PIXELS = 64
"""On larger maps there are too many pairs of pixels."""


def is_small(x: Tensor, weight: Tensor) -> bool:
    """Whether `on_small_map` is worth its while: the map `x` (n, c, h, w) is smaller than the kernel of `weight` on
    both sides, or has up to `MOST_PIXELS` and the kernel is larger than 3×3; and it is not on an accelerator."""
    (height, width), (down, across) = x.shape[2:], weight.shape[2:]
    is_slow = (height < down and width < across) or (height * width <= MOST_PIXELS and min(down, across) > 3)
    return is_slow and x.device.type == "cpu" and x.dtype == torch.float32


def on_small_map(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """What the depthwise `conv` makes of `x`; its derivative is the one of this module."""
    y: Tensor = _SmallMap.apply(x, conv.weight, conv.stride, conv.padding, conv.dilation)  # type: ignore[no-untyped-call]
    return y if conv.bias is None else y + conv.bias[:, None, None]


class _SmallMap(torch.autograd.Function):
    """A depthwise convolution without a bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, dilation
        return functional.conv2d(x, weight, None, stride, padding, dilation, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.how
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = conv2d_input(x.shape, weight, gradient, stride, padding, dilation, len(weight))  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            count, channels = x.shape[:2]
            # Of what is not contiguous torch would copy every matrix by itself.
            outgoing = gradient.permute(1, 2, 3, 0).reshape(channels, -1, count).contiguous()
            incoming = x.permute(1, 0, 2, 3).reshape(channels, count, -1).contiguous()
            products = torch.bmm(outgoing, incoming).flatten(1)
            sizes = tuple(x.shape[2:]), tuple(gradient.shape[2:]), tuple(weight.shape[2:])
            of_weight = (products @ _joined(*sizes, stride, padding, dilation).to(products)).view_as(weight)
        return of_x, of_weight, None, None, None


@lru_cache(maxsize=64)
def _joined(size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Which weight joins which outgoing and incoming pixel, as ones: (outgoing · incoming, weights)."""

    def along(axis: int) -> Tensor:
        begins = torch.arange(out[axis]) * stride[axis] - padding[axis]
        seen = begins[:, None, None] + torch.arange(kernel[axis]) * dilation[axis]
        return (seen == torch.arange(size[axis])[None, :, None]).float()

    pairs = torch.einsum("aik,bjl->abijkl", along(0), along(1))
    return pairs.reshape(out[0] * out[1] * size[0] * size[1], kernel[0] * kernel[1])
