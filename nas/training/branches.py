"""Training a re-parameterised network with few of its branches first, which is faster, and with all of them at last."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from nas.nets.layers import BranchSum, ConvNorm


def use_branches(module: nn.Module, count: int) -> None:
    """Let every sum of branches in `module` use its `count` largest convolutions; identities always stay.

    Branches that rest start at zero: when they are used the network computes what it did before.
    """
    for part in _sums(module):
        used = resting = 0
        for name in sorted(part.branches, key=lambda one: _kernel(part, one), reverse=True):
            branch = part.branches[name]
            assert isinstance(branch, ConvNorm)
            if branch.conv is None:
                continue
            used += 1
            if used > count:
                resting += 1
                part.resting.add(name)
                silenced = branch.conv if branch.norm is None else branch.norm
                nn.init.zeros_(silenced.weight)
                if silenced.bias is not None:
                    nn.init.zeros_(silenced.bias)


def use_all_branches(module: nn.Module) -> None:
    """Let every sum of branches in `module` use all of them."""
    for part in _sums(module):
        part.resting.clear()


def _sums(module: nn.Module) -> Iterator[BranchSum]:
    return (part for part in module.modules() if isinstance(part, BranchSum))


def _kernel(part: BranchSum, name: str) -> int:
    branch = part.branches[name]
    assert isinstance(branch, ConvNorm)
    return 0 if branch.conv is None else branch.conv.kernel_size[0]
