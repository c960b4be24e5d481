"""Each proxy beside a plain implementation of its definition, or a value by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nas.errors import InputError
from nas.nets import GraphModule, build
from nas.space import Architecture
from nas.training.proxies import (
    NAMES,
    Proxies,
    az_nas,
    expressivity,
    naswot,
    proxies,
    synflow,
    trainability,
    zico,
)
from tests.training.examples import network

CHAIN = network(
    resolution=16,
    layers=[
        {"block": "conv", "out": 6, "kernel": 1, "act": "relu"},
        {"block": "conv", "out": 5, "kernel": 1, "act": "relu6"},
        {"block": "head"},
    ],
)
"""Two 1x1 convolutions with a batch norm each, and a classifier: matrices, which a test can multiply by itself."""

IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(3))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def matrices(module: GraphModule) -> list[Tensor]:
    """The three weights of `CHAIN`, (out, in)."""
    found = [value for name, value in module.named_parameters() if value.ndim in (2, 4) and "bias" not in name]
    return [value.detach().flatten(1) for value in found]


def plain(weights: list[Tensor], bias: Tensor, images: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """`CHAIN` as sums: what goes into the activations, what comes out of them, and the logits."""
    x, inner, outer = images, [], []
    for i, weight in enumerate(weights[:2]):
        y = torch.einsum("oc,nchw->nohw", weight, x)
        mean = y.mean((0, 2, 3), keepdim=True)
        y = (y - mean) / torch.sqrt(((y - mean) ** 2).mean((0, 2, 3), keepdim=True) + 1e-5)
        inner.append(y)
        x = y.clamp(0, 6) if i else y.clamp(min=0)
        outer.append(x)
    return inner, outer, x.mean((2, 3)) @ weights[2].T + bias


def bias_of(module: GraphModule) -> Tensor:
    return [value.detach() for name, value in module.named_parameters() if name.endswith("bias")][-1]


def test_naswot_is_the_log_determinant_of_how_many_rectifiers_agree() -> None:
    module = build(CHAIN, seed=1).train()
    inner, _, _ = plain(matrices(module), bias_of(module), IMAGES)
    codes = np.array([[bit for y in inner for bit in (y[i] > 0).flatten().tolist()] for i in range(len(IMAGES))])
    rectifiers = codes.shape[1]
    assert rectifiers == (6 + 5) * 16 * 16
    kernel = np.array(
        [[rectifiers - sum(a != b for a, b in zip(one, other, strict=True)) for other in codes] for one in codes]
    )
    expected = math.log(np.linalg.det(kernel / rectifiers)) + len(IMAGES) * math.log(rectifiers)
    assert proxies(CHAIN, IMAGES, LABELS, 1).naswot == pytest.approx(expected, rel=1e-6)


def test_naswot_by_hand() -> None:
    # Codes 110 and 100 differ in one of three: K = [[3, 2], [2, 3]], |K| = 5. The same code twice is singular.
    assert naswot(torch.tensor([[1, 1, 0], [1, 0, 0]])) == pytest.approx(math.log(5))
    assert naswot(torch.tensor([[1, 1, 0], [1, 1, 0]])) == -math.inf


def test_synflow_is_layers_times_the_flow() -> None:
    """R is linear in the weights of each layer, so each layer's Σ θ ∂R/∂θ is R (the paper's conservation law)."""
    module = build(CHAIN, seed=1)
    one, two, three = (weight.abs().double().numpy() for weight in matrices(module))
    flow = (three @ two @ one @ np.ones(3)).sum()  # all pixels are alike, and the pool is their mean
    assert synflow(module) == pytest.approx(math.log(3 * flow), rel=1e-12)
    # Weights of the module are left alone.
    assert min(float(weight.min()) for weight in matrices(module)) < 0


def test_synflow_sees_branches_skips_and_no_saturation() -> None:
    """A residual block whose branch is θ: R = 1 + θ for a single path of weight 1, so that θ ∂R/∂θ = θ."""
    whole = network(resolution=16, layers=[{"block": "repvgg", "out": 3, "act": "relu6"}, {"block": "head"}])
    module = build(whole, seed=0)
    with torch.no_grad():
        for value in module.parameters():
            if value.ndim == 4:  # 3x3 and 1x1: 2 at the middle tap of one channel; ReLU6 would cut 10
                value.zero_()
                value[0, 0, value.shape[2] // 2, value.shape[3] // 2] = 10.0 if value.shape[2] == 3 else -4.0
            elif value.ndim == 2:
                value.zero_()
                value[0, 0] = 1.0
    # |10| + |-4| + identity 1 = 15 of channel 0. Saliencies: 10, 4, and the classifier's 15.
    assert synflow(module) == pytest.approx(math.log(10 + 4 + 15), rel=1e-12)


def test_zico_is_the_sum_over_layers_of_the_log_of_means_over_deviations() -> None:
    module = build(CHAIN, seed=1).train()
    weights, bias = [weight.clone().requires_grad_() for weight in matrices(module)], bias_of(module)
    grads = []
    for images, labels in ((IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])):
        _, _, logits = plain(weights, bias, images)
        loss = -torch.log_softmax(logits, 1)[range(4), labels].mean()
        grads.append([one.double().abs().flatten().tolist() for one in torch.autograd.grad(loss, weights)])
    expected = 0.0
    for first, second in zip(*grads, strict=True):
        ratios = [
            ((a + b) / 2) / math.sqrt((a * a + b * b) / 2 - ((a + b) / 2) ** 2)
            for a, b in zip(first, second, strict=True)
            if a != b
        ]
        expected += math.log(sum(ratios))
    assert zico(module, IMAGES, LABELS) == pytest.approx(expected, rel=1e-3)


def test_expressivity_is_the_entropy_of_principal_components() -> None:
    module = build(CHAIN, seed=1).train()
    _, outer, _ = plain(matrices(module), bias_of(module), IMAGES)
    expected = []
    for feature in outer:
        pixels = feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1]).double().numpy()
        variances = np.linalg.svd(pixels - pixels.mean(0), compute_uv=False) ** 2
        share = variances / variances.sum()
        expected.append(-(share * np.log(share)).sum())
    found = proxies(CHAIN, IMAGES, LABELS, 1)
    assert found.expressivity == pytest.approx(sum(expected), rel=1e-4)
    assert found.progressivity == pytest.approx(expected[1] - expected[0], rel=1e-3)


def test_expressivity_by_hand() -> None:
    # Two channels that vary alike and independently: two equal eigenvalues, entropy log 2; one constant channel: 0.
    both = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).reshape(4, 2, 1, 1)
    assert expressivity(both) == pytest.approx(math.log(2))
    assert expressivity(both * torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)) == 0.0
    assert math.isnan(expressivity(torch.ones(4, 2, 3, 3)))


def test_trainability_by_hand() -> None:
    # Signs behind (1, 1) and (1, -1); in front 2 and 3 times them: the mean outer product is diag(2, 3).
    behind = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).reshape(2, 2, 1, 1)
    before = behind * torch.tensor([2.0, 3.0]).reshape(1, 2, 1, 1)
    assert trainability(behind, before) == pytest.approx(2 - 3 - 1 / 3)
    assert trainability(behind, behind) == pytest.approx(0.0)  # an isometry is best
    assert trainability(behind, 0 * behind) == -math.inf
    # With stride 2 the four pixels are four channels: a sum of 2 x 2 pixels has the Jacobian (1, 1, 1, 1), σ = 2.
    one = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    assert trainability(one, one.expand(2, 1, 2, 2)) == pytest.approx(2 - 2 - 1 / 2)
    # An odd map: the row and the column that are not there pass nothing, so that of four places one is there in all
    # four windows, two in half of them, one in a quarter: σ² = 1 + 1/4 + 1/4 + 1/16.
    assert trainability(one.expand(2, 1, 2, 2), one.expand(2, 1, 3, 3)) == pytest.approx(2 - 1.25 - 1 / 1.25)


def test_trainability_goes_back_through_each_layer_by_itself() -> None:
    module = build(CHAIN, seed=1).train()
    weights, bias = matrices(module), bias_of(module)
    _, (first, _), _ = plain(weights, bias, IMAGES)
    generator = torch.Generator().manual_seed(1)
    signs = 2.0 * torch.randint(0, 2, (8, 5, 16, 16), generator=generator) - 1

    def second(x: Tensor) -> Tensor:
        y = functional.batch_norm(functional.conv2d(x, weights[1][:, :, None, None]), None, None, training=True)
        return functional.relu6(y)

    start = first.detach().requires_grad_()
    (back,) = torch.autograd.grad(second(start), start, signs)
    product = np.einsum("nahw,nbhw->ab", back.double().numpy(), signs.double().numpy()) / (8 * 16 * 16)
    sigma = np.linalg.svd(product, compute_uv=False)[0]
    assert proxies(CHAIN, IMAGES, LABELS, 1).trainability == pytest.approx(2 - sigma - 1 / sigma, rel=1e-4)


def test_az_nas_joins_ranks_by_hand() -> None:
    def record(e: float | None, p: float, t: float, c: int) -> Proxies:
        return Proxies(
            params=1, macs=c, naswot=0.0, synflow=0.0, zico=0.0, expressivity=e, progressivity=p, trainability=t,
            broken={},
        )  # fmt: skip

    found = az_nas([record(3, 1, 2, 5), record(1, 2, 1, 5), record(None, 3, 3, 9)])
    # Ranks of 3: expressivity 3 and 2 (the broken one is last), progressivity 1 and 2, trainability 2 and 1, and MACs
    # tie at 1.5.
    assert found[0] == pytest.approx(math.log(3 / 3) + math.log(1 / 3) + math.log(2 / 3) + math.log(1.5 / 3))
    assert found[1] == pytest.approx(math.log(2 / 3) + math.log(2 / 3) + math.log(1 / 3) + math.log(1.5 / 3))
    assert found[2] == -math.inf


def test_a_record_is_the_same_again_and_another_by_another_seed() -> None:
    one, again, other = (proxies(network(), images(16), LABELS, seed) for seed in (4, 4, 5))
    assert one == again != other
    assert (one.params, one.macs) == (network().params, network().macs)
    assert set(one.as_json()) == {*NAMES, "broken"} and not one.broken


def images(side: int) -> Tensor:
    return torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(9))


def test_what_is_broken_is_said() -> None:
    alike = proxies(CHAIN, IMAGES[:1].expand(8, -1, -1, -1), LABELS, 1)
    assert alike.naswot is None and "rectifiers alike" in alike.broken["naswot"]
    constant = proxies(CHAIN, torch.zeros_like(IMAGES), LABELS, 1)
    assert {"naswot", "expressivity", "progressivity"} <= set(constant.broken)
    assert constant.expressivity is None and constant.synflow is not None
    single: Architecture = replace(CHAIN, layers=CHAIN.layers[1:])
    assert "progressivity" in proxies(single, IMAGES, LABELS, 1).broken


def test_a_batch_that_does_not_fit() -> None:
    for batch, labels in ((IMAGES[:3], LABELS[:3]), (images(24), LABELS), (IMAGES, LABELS[:4])):
        with pytest.raises(InputError, match="proxies need 4 images or more of the shape"):
            proxies(CHAIN, batch, labels, 0)
