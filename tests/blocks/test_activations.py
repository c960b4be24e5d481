"""Activations that depend on the map: what they compute, against the formulas of their papers; what they cost."""

from __future__ import annotations

import pytest
import torch

from nas.blocks import BLOCKS
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.graph import Builder
from nas.nets.module import build_graph

CHANNELS = 24


def _run(function: str) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """A random map, the activation of it, and the 1x1 weights and biases inside, in order."""
    builder = Builder((CHANNELS, 6, 5), DYNAMIC_ACTIVATIONS)
    builder.layer = 1
    builder.act(builder.input, function)
    module = build_graph(builder.build(), seed=3).eval()
    weights: list[torch.Tensor] = list(module.parameters())
    generator = torch.Generator().manual_seed(1)
    for weight in weights:
        weight.data.normal_(0, 0.5, generator=generator)
    x = torch.randn(2, CHANNELS, 6, 5, generator=generator)
    with torch.no_grad():
        return x, module(x), weights


def _gates(x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """sigmoid(W2 relu(W1 mean(x) + b1) + b2), shape (n, outputs)."""
    w1, b1, w2, b2 = (w.detach().flatten(1) if w.ndim > 1 else w.detach() for w in weights)
    return torch.sigmoid(torch.relu(x.mean((2, 3)) @ w1.T + b1) @ w2.T + b2)


def _parts(gates: torch.Tensor) -> list[torch.Tensor]:
    return [part[:, :, None, None] for part in gates.chunk(4, dim=1)]


def test_se_relu() -> None:
    x, y, weights = _run("se_relu")
    assert weights[0].shape[0] == 2  # 24 / 16, rounded up
    assert torch.allclose(y, torch.relu(x * _gates(x, weights)[:, :, None, None]), atol=1e-6)


@pytest.mark.parametrize(("function", "outputs"), [("dynamic_relu_a", 4), ("dynamic_relu_b", 4 * CHANNELS)])
def test_dynamic_relu(function: str, outputs: int) -> None:
    x, y, weights = _run(function)
    assert (weights[0].shape[0], weights[2].shape[0]) == (3, outputs)  # reduction 8
    # arXiv 2003.10027, section 3.3: a = (1, 0) + 1.0 · (2 gate - 1), b = (0, 0) + 0.5 · (2 gate - 1).
    a1, a2, b1, b2 = (2 * gate - 1 for gate in _parts(_gates(x, weights)))
    expected = torch.maximum((1 + a1) * x + 0.5 * b1, a2 * x + 0.5 * b2)
    assert torch.allclose(y, expected, atol=1e-5)


def test_dynamic_shift_max() -> None:
    x, y, weights = _run("dynamic_shift_max")
    assert (weights[0].shape[0], weights[2].shape[0]) == (6, 4 * CHANNELS)  # reduction 4
    # arXiv 2108.05894, equation 4 with J = K = 2 and four groups: the second operand is channel (i + C/4) mod C.
    shifted = torch.stack([x[:, (i + CHANNELS // 4) % CHANNELS] for i in range(CHANNELS)], dim=1)
    a1, a2, c1, c2 = (2 * gate - 1 for gate in _parts(_gates(x, weights)))
    expected = torch.maximum((1 + a1) * x + c1 * shifted, a2 * x + c2 * shifted)
    assert torch.allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("function", DYNAMIC_ACTIVATIONS)
def test_any_block_takes_them(function: str) -> None:
    builder = Builder((8, 8, 8), DYNAMIC_ACTIVATIONS)
    builder.layer = 1
    args = BLOCKS.get("mbconv", "test").check({"out": 8, "hidden": 16, "act": function}, "test")
    shape = BLOCKS.get("mbconv", "test").function(builder, builder.input, **args).shape
    assert shape == (8, 8, 8)
    plain = Builder((8, 8, 8), DYNAMIC_ACTIVATIONS)
    plain.layer = 1
    BLOCKS.get("mbconv", "test").function(plain, plain.input, **{**args, "act": "relu"})
    assert builder.build().params > plain.build().params


def test_they_need_a_map_and_channels_enough() -> None:
    builder = Builder((8, 4, 4), DYNAMIC_ACTIVATIONS)
    vector = builder.global_pool(builder.input, flatten=True)
    with pytest.raises(ValueError, match=r"se_relu needs a map .* but got \(8,\)"):
        builder.act(vector, "se_relu")
    with pytest.raises(ValueError, match="at least 4 channels, but got 3"):
        Builder((3, 4, 4), DYNAMIC_ACTIVATIONS).act(Builder((3, 4, 4), DYNAMIC_ACTIVATIONS).input, "dynamic_shift_max")
