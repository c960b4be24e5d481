"""From the training form of a layer to its inference form.

The arithmetic is done in float64 and rounded once. Sources: batch norm folding, Jacob et al. (arXiv 1712.05877,
section 3.2); merging branches, Ding et al. (RepVGG, arXiv 2101.03697, section 3.3).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nas.graph.ops import Conv, Op
from nas.nets.layers import BranchSum, Conv2d, ConvNorm, LinearLayer, NormLinear

Kernel = tuple[Tensor, Tensor]
"""The weight (out, in / groups, height, width) and the bias (out,) of a convolution, in float64."""


def fused_layer(op: Op, layer: nn.Module) -> nn.Module:
    """The inference form of `layer`, the training form of `op`; always a new module, of the same dtype and device."""
    with torch.no_grad():
        if isinstance(op, Conv) and isinstance(layer, ConvNorm | BranchSum):
            return _fused_conv(op, layer)
        if isinstance(layer, NormLinear):
            return _fused_linear(layer)
        return copy.deepcopy(layer)


def _fused_conv(op: Conv, layer: ConvNorm | BranchSum) -> Conv2d:
    like = next(layer.parameters())
    if isinstance(layer, ConvNorm):
        weight, bias = _branch_kernel(op, layer)
    else:
        kernels = [_branch_kernel(op, branch) for branch in layer.branches.values() if isinstance(branch, ConvNorm)]
        weight, bias = (torch.stack(parts).sum(0) for parts in zip(*kernels, strict=True))
        if layer.norm is not None:
            weight, bias = _folded((weight, bias), layer.norm)
    conv = Conv2d(weight.shape[1] * op.groups, op, kernel=op.kernel, padding=op.padding, bias=op.inference_bias)
    conv.weight = nn.Parameter(weight.to(like))
    if conv.bias is not None:
        conv.bias = nn.Parameter(bias.to(like))
    return conv


def _branch_kernel(op: Conv, branch: ConvNorm) -> Kernel:
    """The branch as one convolution of the operator's kernel size."""
    if branch.conv is not None:
        rows, columns = ((full - own) // 2 for full, own in zip(op.kernel, branch.conv.kernel_size, strict=True))
        weight = nn.functional.pad(branch.conv.weight.double(), (columns, columns, rows, rows))
        bias = weight.new_zeros(op.out) if branch.conv.bias is None else branch.conv.bias.double()
    else:
        device = None if branch.norm is None else branch.norm.weight.device
        weight = _identity(op).to(device)
        bias = weight.new_zeros(op.out)
    return (weight, bias) if branch.norm is None else _folded((weight, bias), branch.norm)


def _identity(op: Conv) -> Tensor:
    """The kernel of the operator's shape that returns its input."""
    width = op.out // op.groups
    weight = torch.zeros(op.out, width, *op.kernel, dtype=torch.float64)
    channels = torch.arange(op.out)
    weight[channels, channels % width, op.kernel[0] // 2, op.kernel[1] // 2] = 1.0
    return weight


def _folded(kernel: Kernel, norm: nn.BatchNorm2d) -> Kernel:
    weight, bias = kernel
    scale, shift = _scale_and_shift(norm)
    return weight * scale[:, None, None, None], bias * scale + shift


def _fused_linear(layer: NormLinear) -> nn.Linear:
    like = layer.linear.weight
    scale, shift = _scale_and_shift(layer.norm)
    weight = like.double()
    bias = weight @ shift
    if layer.linear.bias is not None:
        bias = bias + layer.linear.bias.double()
    linear = LinearLayer(layer.linear.in_features, layer.linear.out_features)
    linear.weight = nn.Parameter((weight * scale).to(like))
    linear.bias = nn.Parameter(bias.to(like))
    return linear


def _scale_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Kernel:
    """What the batch norm does in eval mode, as x * scale + shift."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm must keep running statistics to be folded, but keeps none")
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale
