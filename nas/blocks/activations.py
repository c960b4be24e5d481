"""Activations with parameters that depend on the map: subgraphs, not pointwise operators.

Each computes coefficients from the pooled map (pooling, 1x1, ReLU, 1x1, gate) and applies them to it.
"""

from __future__ import annotations

from nas.graph.builder import Builder, Subgraph, Tensor


def pooled_gate(b: Builder, x: Tensor, hidden: int, out: int, *, gate: str, act: str = "relu") -> Tensor:
    """`out` numbers computed from the pooled map, (out, 1, 1): 1x1 to `hidden`, `act`, 1x1, `gate`; no batch norm."""
    y = b.conv(b.global_pool(x), hidden, norm=False, bias=True, act=act)
    return b.conv(y, out, norm=False, bias=True, act=gate)


def se_relu(b: Builder, x: Tensor) -> Tensor:
    """Squeeze-and-excitation before a ReLU, reduction 16 (Hu et al., arXiv 1709.01507)."""
    return b.act(b.product(x, pooled_gate(b, x, (x.channels + 15) // 16, x.channels, gate="sigmoid")), "relu")


def dynamic_relu_a(b: Builder, x: Tensor) -> Tensor:
    """max(a1·x + b1, a2·x + b2) with four numbers for the whole map (Chen et al., arXiv 2003.10027, variant A)."""
    return _dynamic_relu(b, x, 1)


def dynamic_relu_b(b: Builder, x: Tensor) -> Tensor:
    """max(a1·x + b1, a2·x + b2) with four numbers a channel (Chen et al., arXiv 2003.10027, variant B)."""
    return _dynamic_relu(b, x, x.channels)


def _dynamic_relu(b: Builder, x: Tensor, channels: int) -> Tensor:
    """Two slopes, 1 ± 1 and 0 ± 1, and two intercepts, 0 ± 0.5, for `channels` channels; reduction 8 (section 3.3)."""
    gates = pooled_gate(b, x, (x.channels + 7) // 8, 4 * channels, gate="sigmoid")
    parts = [b.slice(gates, i * channels, (i + 1) * channels) for i in range(4)]
    slopes = (b.affine(parts[0], 2.0, 0.0), b.affine(parts[1], 2.0, -1.0))
    shifts = (b.affine(parts[2], 1.0, -0.5), b.affine(parts[3], 1.0, -0.5))
    first, second = (b.sum(b.product(x, slope), shift) for slope, shift in zip(slopes, shifts, strict=True))
    return b.maximum(first, second)


def dynamic_shift_max(b: Builder, x: Tensor) -> Tensor:
    """max over k = 1, 2 of a(k)·x + c(k)·x shifted by a group (Li et al., MicroNet, arXiv 2108.05894, section 4).

    Four numbers a channel, a(1) 1 ± 1 and the others 0 ± 1; four groups of channels, reduction 4. Needs at least four
    channels.
    """
    channels, group = x.channels, x.channels // 4
    if group < 1:
        raise ValueError(f"dynamic_shift_max needs at least 4 channels, but got {channels}")
    gates = pooled_gate(b, x, (channels + 3) // 4, 4 * channels, gate="sigmoid")
    parts = [b.slice(gates, i * channels, (i + 1) * channels) for i in range(4)]
    shifted = b.concat([b.slice(x, group, channels), b.slice(x, 0, group)])
    own = (b.affine(parts[0], 2.0, 0.0), b.affine(parts[1], 2.0, -1.0))
    other = (b.affine(parts[2], 2.0, -1.0), b.affine(parts[3], 2.0, -1.0))
    first, second = (b.sum(b.product(x, a), b.product(shifted, c)) for a, c in zip(own, other, strict=True))
    return b.maximum(first, second)


DYNAMIC_ACTIVATIONS: dict[str, Subgraph] = {
    function.__name__: function for function in (se_relu, dynamic_relu_a, dynamic_relu_b, dynamic_shift_max)
}
"""Names that every `act` takes beside the pointwise functions of `nas.graph.ops.ACTIVATIONS`; maps only."""
