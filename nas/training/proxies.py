"""What an untrained network says of itself: proxies of accuracy, each as its paper defines it.

Parameters and MACs; NASWOT (Mellor et al., arXiv 2006.04647, section 4); SynFlow (Tanaka et al., arXiv 2006.05467,
equation 5, summed as in Abdelfattah et al., arXiv 2101.08134, section 3); ZiCo (Li et al., arXiv 2301.11300, section
3.3); AZ-NAS (Lee and Ham, arXiv 2403.19232, section 3.1). In a narrow band of latencies none of them ranks networks by
itself: they are columns for a model of accuracy, and tell what is broken.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from nas.errors import InputError
from nas.graph.ops import Activation
from nas.nets import GraphModule, build, functions
from nas.space import Architecture

RECTIFIERS = ("relu", "relu6", "hswish", "silu", "gelu", "prelu", "leaky_relu")
"""Activations that pass what is positive and hold back the rest; the others are gates."""

ZICO_BATCHES = 2
"""In how many batches ZiCo sees the images (section 4: two)."""

NAMES = ("params", "macs", "naswot", "synflow", "zico", "expressivity", "progressivity", "trainability")
"""The proxies, larger is better; AZ-NAS's complexity is `macs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxies of one network at its initial weights; None for one that is no number, and why in `broken`.

    `synflow` is the logarithm of its sum, which grows exponentially with depth; all others are as their papers have
    them.
    """

    params: int
    macs: int
    naswot: float | None
    synflow: float | None
    zico: float | None
    expressivity: float | None
    progressivity: float | None
    trainability: float | None
    broken: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """{proxy: value, "broken": {proxy: reason}}."""
        return {**{name: getattr(self, name) for name in NAMES}, "broken": dict(self.broken)}


def proxies(network: Architecture, batch: Tensor, labels: Tensor, seed: int) -> Proxies:
    """The proxies of `network` with the initial weights of `seed`, on images `batch` (n, c, h, w) as it is trained on
    (normalised) and their classes `labels` (n,).

    The same arguments give the same numbers on one thread. Batch norms use the statistics of the batch, but in SynFlow,
    where they are the identity. Raises `InputError` for a batch that is not the network's, or of less than four images.
    """
    if tuple(batch.shape[1:]) != network.input_shape or len(batch) < 2 * ZICO_BATCHES or len(labels) != len(batch):
        raise InputError(
            f"proxies need {2 * ZICO_BATCHES} images or more of the shape {network.input_shape} with a label each, but"
            f" got {tuple(batch.shape)} and {len(labels)} labels."
        )
    module = build(network, seed=seed).train()
    values = _values(module, batch)
    features = _features(module, values)
    entropies = [expressivity(feature.detach()) for feature in features]
    found: dict[str, tuple[float, str]] = {
        "naswot": (naswot(_codes(module, values)), "two images switch all rectifiers alike, or it has none"),
        "expressivity": (math.fsum(entropies), "a layer gives every pixel of every image the same"),
        "progressivity": (_least_step(entropies), "it has less than two layers of maps, or one of them is constant"),
        "trainability": (_trainability(features, seed), "a layer passes no gradient"),
        "synflow": (synflow(module), "nothing flows from its input to its output"),
        "zico": (zico(module, batch, labels), "its gradients are none, or no numbers"),
    }
    del values, features
    return Proxies(
        params=network.params,
        macs=network.macs,
        broken={name: reason for name, (value, reason) in found.items() if not math.isfinite(value)},
        **{name: value if math.isfinite(value) else None for name, (value, _) in found.items()},
    )


def naswot(codes: Tensor) -> float:
    """log |K| with K[i, j] the number of rectifiers that images i and j switch alike; `codes` (n, rectifiers) are 0 and
    1. Minus infinity where K is singular."""
    on = codes.double()
    kernel = on @ on.T + (1 - on) @ (1 - on).T
    sign, value = torch.linalg.slogdet(kernel)
    return float(value) if float(sign) > 0 else -math.inf


def synflow(module: GraphModule) -> float:
    """The logarithm of Σ θ · ∂R/∂θ over all weights of convolutions and linear layers, where R is the sum of the
    outputs for an image of ones of the network whose weights are |θ|, without biases, norms and rectifiers: these
    change nothing of what is positive. Gates stay."""
    flow = copy.deepcopy(module).double().eval()
    for part in flow.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.reset_parameters()
            part.eps = 0.0
    with torch.no_grad():
        for part in flow.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.abs_()
                if part.bias is not None:
                    part.bias.zero_()
    weights = _weights(flow)
    ones = torch.ones(1, *module.definition.input_shape, dtype=torch.float64)
    total = _values(flow, ones, linear=True)[-1].sum()
    gradients = torch.autograd.grad(total, weights, allow_unused=True)
    pairs = [(weight, gradient) for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None]
    saliency = sum(float((weight.detach() * gradient).sum()) for weight, gradient in pairs)
    return math.log(saliency) if saliency > 0 and math.isfinite(saliency) else math.nan


def zico(module: GraphModule, batch: Tensor, labels: Tensor) -> float:
    """Σ over convolutions and linear layers of log Σ over their weights of E|∇| / √Var|∇|, expectation and variance
    over `ZICO_BATCHES` batches; `module` in train mode. Weights whose gradient does not vary are left out."""
    weights = _weights(module)
    rows = []
    for images, classes in zip(batch.chunk(ZICO_BATCHES), labels.chunk(ZICO_BATCHES), strict=True):
        loss = functional.cross_entropy(module(images), classes)
        rows.append(torch.autograd.grad(loss, weights, allow_unused=True))
    total, layers = 0.0, 0
    for gradients in zip(*rows, strict=True):
        if any(gradient is None for gradient in gradients):
            continue
        sizes = torch.stack([gradient.detach().double().abs() for gradient in gradients])
        mean, deviation = sizes.mean(0), sizes.std(0, correction=0)
        ratio = float((mean[deviation > 0] / deviation[deviation > 0]).sum())
        if ratio != 0:  # nothing varies in a layer without gradients, which is left out; nan is none of that
            total += math.log(ratio) if ratio > 0 else math.nan
            layers += 1
    return total if layers else math.nan


def expressivity(feature: Tensor) -> float:
    """The entropy of the spectrum of the covariance of a map's channels over pixels and images; `feature` has shape
    (n, c, h, w). NaN where nothing varies."""
    pixels = feature.double().permute(0, 2, 3, 1).flatten(0, 2)
    centred = pixels - pixels.mean(0)
    spectrum = torch.linalg.eigvalsh(centred.T @ centred / len(centred)).clamp_min(0)
    total = float(spectrum.sum())
    return float(torch.special.entr(spectrum / total).sum()) if total > 0 and math.isfinite(total) else math.nan


def trainability(behind: Tensor, before: Tensor) -> float:
    """2 − σ − 1/σ, with σ the largest singular value of the mean of g_before · g_behindᵀ over pixels and images: an
    estimate of a layer's Jacobian, transposed.

    `behind` (n, c, h, w) holds random signs, `before` (n, c', h', w') what they are propagated back to; where it is
    larger the pixels that become one are so many channels.
    """
    stride = -(-before.shape[2] // behind.shape[2])
    if stride > 1 or before.shape[3] != behind.shape[3]:
        height, width = (stride * side for side in behind.shape[2:])
        before = functional.pad(before, (0, width - before.shape[3], 0, height - before.shape[2]))
        before = functional.pixel_unshuffle(before, stride)
    rows, columns = (one.double().permute(0, 2, 3, 1).flatten(0, 2) for one in (before, behind))
    largest = float(torch.linalg.matrix_norm(rows.T @ columns / len(columns), ord=2))
    return 2 - largest - 1 / largest if largest > 0 else -math.inf


def az_nas(records: Sequence[Proxies]) -> NDArray[np.float64]:
    """AZ-NAS's score of each network among all: Σ over expressivity, progressivity, trainability and complexity of
    log(rank / count), the best having the rank `count` (section 3.2); minus infinity for what is broken."""
    scores = np.zeros(len(records))
    for name in ("expressivity", "progressivity", "trainability", "macs"):
        values = np.array([-math.inf if (value := getattr(one, name)) is None else value for one in records])
        scores += np.log(rankdata(values) / len(records))
        scores[np.isneginf(values)] = -math.inf
    return scores


def _values(module: GraphModule, x: Tensor, *, linear: bool = False) -> list[Tensor]:
    """The value of every node; with `linear` rectifiers pass what they get."""
    values = [x]
    for position, node in enumerate(module.definition.nodes[1:], start=1):
        operands = [values[i] for i in node.inputs]
        layer = module.layer(position)
        if linear and isinstance(node.op, Activation) and node.op.function in RECTIFIERS:
            values.append(operands[0])
        else:
            values.append(functions.apply(node.op, operands) if layer is None else layer(*operands))
    return values


def _codes(module: GraphModule, values: Sequence[Tensor]) -> Tensor:
    """Which rectifiers each image switches on, (n, rectifiers)."""
    found = [
        values[node.inputs[0]].detach().flatten(1) > 0
        for node in module.definition.nodes
        if isinstance(node.op, Activation) and node.op.function in RECTIFIERS
    ]
    return torch.cat(found, dim=1) if found else torch.zeros(len(values[0]), 0)


def _features(module: GraphModule, values: Sequence[Tensor]) -> list[Tensor]:
    """The maps behind the layers, in order."""
    last = {node.layer: position for position, node in enumerate(module.definition.nodes) if position}
    return [values[position] for _, position in sorted(last.items()) if values[position].ndim == 4]


def _least_step(entropies: Sequence[float]) -> float:
    """The smallest growth from one layer to the next; NaN for less than two, or where one is no number."""
    steps = np.diff(np.asarray(entropies, dtype=np.float64))
    return float(steps.min()) if len(steps) else math.nan


def _trainability(features: Sequence[Tensor], seed: int) -> float:
    """The mean of `trainability` over the layers behind the first, signs drawn from `seed`, the last layer's first."""
    generator = torch.Generator().manual_seed(seed)
    scores = []
    for before, behind in reversed(list(itertools.pairwise(features))):
        signs = 2.0 * torch.randint(0, 2, behind.shape, generator=generator) - 1
        (back,) = torch.autograd.grad(behind, before, signs, retain_graph=True)
        scores.append(trainability(signs, back))
    return math.fsum(scores) / len(scores) if scores else math.nan


def _weights(module: nn.Module) -> list[Tensor]:
    """Of every convolution and linear layer."""
    return [part.weight for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
