"""The layers with weights: what an operator of the graph becomes in torch, and their initial values.

A layer is made without values, which would take longer to draw than all else; `initialise` gives them. Maps are
(N, C, H, W), vectors (N, C), tokens (N, ..., C).
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.graph.ops import Activation, Branch, Conv, LearnedScale, Linear, Norm, Op
from nas.graph.rows import Shape
from nas.nets.small_maps import is_small, on_small_map

PRELU_START = 0.25
SMALL = 1 / 16
"""The variance with which what joins a skip connection starts, relative to the skip."""

WHOLE_BLOCK = 16
"""oneDNN takes channels in blocks of up to so many."""


class Conv2d(nn.Conv2d):
    """A convolution whose padding may differ from side to side: (top, left, bottom, right).

    In training one of a single pixel with a stride is given its pixels alone where they have few channels: oneDNN 3.12
    writes behind its workspace there (uxlfoundation/oneDNN issue 6035), so the program died, or gradients were wrong,
    in every re-parameterised stem that was trained on a CPU. A depthwise one on a small map has a faster derivative
    (`small_maps`).
    """

    def __init__(
        self, in_channels: int, op: Conv, *, kernel: tuple[int, int], padding: tuple[int, int, int, int], bias: bool
    ) -> None:
        top, left, bottom, right = padding
        symmetric = (top, left) == (bottom, right)
        super().__init__(
            in_channels, op.out, kernel, op.stride, (top, left) if symmetric else 0, op.dilation, op.groups, bias
        )
        self.outer_padding = () if symmetric else (left, right, top, bottom)
        few = in_channels // op.groups < WHOLE_BLOCK
        self._sees_pixels = few and kernel == (1, 1) and op.stride != (1, 1) and padding == (0, 0, 0, 0)
        self._is_depthwise = in_channels == op.groups == op.out

    def forward(self, x: Tensor) -> Tensor:
        if self.outer_padding:
            x = functional.pad(x, self.outer_padding)
        if self.training:
            if self._sees_pixels:
                down, across = self.stride
                return functional.conv2d(x[:, :, ::down, ::across], self.weight, self.bias, groups=self.groups)
            if self._is_depthwise and is_small(x, self.weight):
                return on_small_map(x, self)
        return super().forward(x)

    def reset_parameters(self) -> None:
        """Draw nothing."""


class LinearLayer(nn.Linear):
    """A linear layer."""

    def reset_parameters(self) -> None:
        """Draw nothing."""


class ConvNorm(nn.Module):
    """A convolution, a batch norm, or both; the identity without either."""

    def __init__(self, conv: Conv2d | None, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.conv is None else self.conv(x)
        return y if self.norm is None else self.norm(y)


class BranchSum(nn.Module):
    """The training form of a re-parameterisable convolution: the sum of its branches, and a batch norm after it.

    Branches named in `resting` are left out for a while; what they give must be 0.
    """

    def __init__(self, branches: dict[str, ConvNorm], norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.norm = norm
        self.resting: set[str] = set()

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch for name, branch in self.branches.items() if name not in self.resting)
        y: Tensor = first(x)
        for branch in others:
            y = y + branch(x)
        return y if self.norm is None else self.norm(y)


class NormLinear(nn.Module):
    """A batch norm over the last axis, then a linear layer."""

    def __init__(self, norm: nn.BatchNorm1d, linear: nn.Linear) -> None:
        super().__init__()
        self.norm = norm
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.norm(x.reshape(-1, x.shape[-1])).reshape(x.shape))
        return y


class Slope(nn.Module):
    """PReLU with one slope a channel, shaped to broadcast over the value."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.weight * x)


class Scale(nn.Module):
    """One learned factor a channel, shaped to broadcast over the value."""

    def __init__(self, shape: Shape, start: float) -> None:
        super().__init__()
        self.start = start
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


def make_layer(op: Op, shape: Shape) -> nn.Module | None:
    """The training form of `op` on an input of `shape`, without values; None for an operator without weights."""
    match op:
        case Conv(branches=()):
            conv = Conv2d(shape[0], op, kernel=op.kernel, padding=op.padding, bias=op.bias)
            return ConvNorm(conv, _batch_norm(op.out)) if op.norm else conv
        case Conv():
            counts = Counter(branch.kernel for branch in op.branches)
            seen: Counter[int] = Counter()
            branches = {}
            for branch in op.branches:
                seen[branch.kernel] += 1
                name = f"conv{branch.kernel}x{branch.kernel}" if branch.kernel else "identity"
                if counts[branch.kernel] > 1:
                    name += f"_{seen[branch.kernel]}"
                branches[name] = _branch(op, branch, shape)
            return BranchSum(branches, _batch_norm(op.out) if op.sum_norm else None)
        case Linear():
            linear = LinearLayer(shape[-1], op.out, bias=op.bias)
            return NormLinear(nn.BatchNorm1d(shape[-1]), linear) if op.pre_norm else linear
        case Activation(function="prelu"):
            return Slope(_per_channel(shape))
        case LearnedScale():
            return Scale(_per_channel(shape), op.start)
        case Norm(function="layer"):
            return nn.LayerNorm(shape[-1])
        case Norm(function="group"):
            return nn.GroupNorm(1, shape[0])
        case Norm(function="batch"):
            return _batch_norm(shape[0])
    return None


def initialise(layer: nn.Module, generator: torch.Generator, *, gain: float) -> None:
    """Give `layer` its initial values: weights normal with variance `gain` / fan-in, biases 0, norms the identity.

    The convolutions of summed branches share the gain, and start small beside an identity branch.
    """
    weighted = [part for part in layer.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    if isinstance(layer, BranchSum):
        has_identity = len(weighted) < len(layer.branches)
        gain *= (SMALL if has_identity else 1.0) / max(1, len(weighted))
    for conv in weighted:
        nn.init.normal_(conv.weight, 0.0, math.sqrt(gain / conv.weight[0].numel()), generator=generator)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    for part in layer.modules():
        if isinstance(part, Slope):
            nn.init.constant_(part.weight, PRELU_START)
        elif isinstance(part, Scale):
            nn.init.constant_(part.weight, part.start)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            part.reset_parameters()


def _branch(op: Conv, branch: Branch, shape: Shape) -> ConvNorm:
    norm = _batch_norm(op.out) if branch.norm else None
    if branch.kernel == 0:
        return ConvNorm(None, norm)
    top, left, bottom, right = (side - (op.kernel[0] - branch.kernel) // 2 for side in op.padding)
    size = (branch.kernel, branch.kernel)
    return ConvNorm(Conv2d(shape[0], op, kernel=size, padding=(top, left, bottom, right), bias=branch.bias), norm)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels)


def _per_channel(shape: Shape) -> Shape:
    """The shape of one number a channel that broadcasts over a value: maps have their channels first."""
    return (shape[0], 1, 1) if len(shape) == 3 else (shape[-1],)
