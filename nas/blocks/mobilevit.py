"""MobileViT (Mehta & Rastegari, arXiv 2110.02178, section 3.1) and MobileViTv2 (arXiv 2206.02680, section 3).

Both unfold the map into P = patch² pixels of N patches, mix the patches pixel by pixel, and fold it back. A size that
the patch does not divide is resized up, as the authors' code (apple/ml-cvnets) does.
"""

from __future__ import annotations

from collections.abc import Callable

from nas.blocks.registry import Act, BlockRegistry, Builder, Channels, Count, KernelSize, Tensor


def _padded(size: int, patch: int) -> int:
    return (size + patch - 1) // patch * patch


def _attention(b: Builder, x: Tensor, heads: int) -> Tensor:
    """Multi-head self-attention among the N tokens of each of P pixels; x is (P, N, C)."""
    pixels, count, dim = x.shape
    width = dim // heads
    if width * heads != dim:
        raise ValueError(f"heads must divide dim, but got dim={dim}, heads={heads}")
    qkv = b.linear(x, 3 * dim)
    split = b.rearrange(qkv, (pixels, count, 3, heads, width), (2, 0, 3, 1, 4), (3 * pixels, heads, count, width))
    query, key, value = (b.slice(split, i * pixels, (i + 1) * pixels) for i in range(3))
    weights = b.softmax(b.matmul(b.affine(query, width**-0.5), key, transpose=True))
    mixed = b.matmul(weights, value)
    return b.linear(b.rearrange(mixed, (pixels, heads, count, width), (0, 2, 1, 3), (pixels, count, dim)), dim)


def mobilevit(
    b: Builder,
    x: Tensor,
    *,
    dim: Channels,
    hidden: Channels,
    layers: Count,
    heads: Count = 4,
    patch: Count = 2,
    kernel: KernelSize = 3,
    act: Act = "silu",
) -> Tensor:
    """Convolution, 1x1 to `dim`, `layers` transformer layers (MLP of `hidden`), 1x1 back, fused with the input.

    Fusing is a convolution over the concatenation of the input and the result.
    """
    return _mobilevit(b, x, lambda y: _attention(b, y, heads), dim, hidden, layers, patch, kernel, act)


def mobilevit_separable(
    b: Builder,
    x: Tensor,
    *,
    dim: Channels,
    hidden: Channels,
    layers: Count,
    patch: Count = 2,
    kernel: KernelSize = 3,
    act: Act = "silu",
) -> Tensor:
    """`mobilevit` with separable self-attention (arXiv 2206.02680, section 3.2) in place of its own, the rest alike."""
    return _mobilevit(b, x, lambda y: _separable_attention_of_tokens(b, y), dim, hidden, layers, patch, kernel, act)


def _mobilevit(
    b: Builder,
    x: Tensor,
    attention: Callable[[Tensor], Tensor],
    dim: int,
    hidden: int,
    layers: int,
    patch: int,
    kernel: int,
    act: str,
) -> Tensor:
    """The block of MobileViT around an `attention` from and to tokens (pixels, patches, dim)."""
    channels, height, width = x.shape
    y = b.conv(b.conv(x, channels, kernel, act=act), dim, norm=False)
    rows, cols = _padded(height, patch) // patch, _padded(width, patch) // patch
    resized = (rows * patch, cols * patch) != (height, width)
    if resized:
        y = b.resize(y, rows * patch, cols * patch)
    tokens = (patch * patch, rows * cols, dim)
    y = b.rearrange(y, (dim, rows, patch, cols, patch), (2, 4, 1, 3, 0), tokens)
    for _ in range(layers):
        y = b.sum(y, attention(b.norm(y, "layer")))
        y = b.sum(y, b.linear(b.act(b.linear(b.norm(y, "layer"), hidden), act), dim))
    y = b.norm(y, "layer")
    y = b.rearrange(y, (patch, patch, rows, cols, dim), (4, 2, 0, 3, 1), (dim, rows * patch, cols * patch))
    if resized:
        y = b.resize(y, height, width)
    return b.conv(b.concat([x, b.conv(y, channels, act=act)]), channels, kernel, act=act)


def _separable_attention_of_tokens(b: Builder, x: Tensor) -> Tensor:
    """`_separable_attention` on (P, N, C), as the transformer layers of MobileViT hold their tokens."""
    pixels, count, dim = x.shape
    scores = b.softmax(b.rearrange(b.linear(x, 1), (pixels, count, 1), (0, 2, 1), (pixels, 1, count)))
    context = b.matmul(scores, b.linear(x, dim))
    return b.linear(b.product(b.act(b.linear(x, dim), "relu"), context), dim)


def _separable_attention(b: Builder, x: Tensor) -> Tensor:
    """Self-attention that is linear in the tokens; x is (C, P, N): one score a token weighs the sum of all keys."""
    dim = x.channels
    projected = b.conv(x, 1 + 2 * dim, norm=False, bias=True)
    scores = b.softmax(b.slice(projected, 0, 1))
    context = b.reduce(b.product(b.slice(projected, 1, 1 + dim), scores), "sum", 2)
    value = b.act(b.slice(projected, 1 + dim, 1 + 2 * dim), "relu")
    return b.conv(b.product(value, context), dim, norm=False, bias=True)


def mobilevitv2(
    b: Builder,
    x: Tensor,
    *,
    dim: Channels,
    hidden: Channels,
    layers: Count,
    patch: Count = 2,
    kernel: KernelSize = 3,
    act: Act = "silu",
) -> Tensor:
    """Depthwise convolution, 1x1 to `dim`, `layers` layers of separable self-attention (MLP of `hidden`), 1x1 back."""
    channels, height, width = x.shape
    rows, cols = _padded(height, patch) // patch, _padded(width, patch) // patch
    if (rows * patch, cols * patch) != (height, width):
        x = b.resize(x, rows * patch, cols * patch, align_corners=True)
    y = b.conv(b.depthwise(x, kernel, act=act), dim, norm=False)
    tokens = (dim, patch * patch, rows * cols)
    y = b.rearrange(y, (dim, rows, patch, cols, patch), (0, 2, 4, 1, 3), tokens)
    for _ in range(layers):
        y = b.sum(y, _separable_attention(b, b.norm(y, "group")))
        z = b.conv(b.norm(y, "group"), hidden, norm=False, bias=True, act=act)
        y = b.sum(y, b.conv(z, dim, norm=False, bias=True))
    y = b.norm(y, "group")
    y = b.rearrange(y, (dim, patch, patch, rows, cols), (0, 3, 1, 4, 2), (dim, rows * patch, cols * patch))
    return b.conv(y, channels)


def register(registry: BlockRegistry) -> None:
    """Add the blocks of this file."""
    registry.add(mobilevit, inner_widths=("hidden",))
    registry.add(mobilevit_separable, inner_widths=("hidden",))
    registry.add(mobilevitv2, inner_widths=("dim", "hidden"))
