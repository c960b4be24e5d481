"""Squeeze-and-excitation (Hu et al., arXiv 1709.01507), as the families write it."""

from __future__ import annotations

from nas.blocks.activations import pooled_gate
from nas.graph import Builder, Tensor


def squeeze_excite(b: Builder, x: Tensor, reduced: int, *, gate: str, act: str = "relu") -> Tensor:
    """x times a gate a channel: pooling, 1x1 to `reduced` channels, `act`, 1x1 back, `gate`; biases, no batch norm."""
    return b.product(x, pooled_gate(b, x, reduced, x.channels, gate=gate, act=act))
