"""Which channels to keep, seen on images: what the logits would miss, and which child is then most like its parent.

Where a channel is put aside, the norms behind it take in its mean; what is lost is how it strays. To first order the
logits z change by J_c = Σ ∂z/∂x_c · (x_c − E[x_c]), the sum over the positions of every layer that reads it. A set R of
channels then costs |Σ_R J_c|² over images and logits (Gauss–Newton): `logit_costs` measures the change of the logits
themselves, or by Fisher's matrix that of what is said (Theis et al., arXiv 1801.05787, section 2.2). Nothing of this is
exact where much is taken away at once, and neither is what the readers lack (`importance`). So each of these
judgements, and each mixture of them, chooses channels; the child that says most nearly what its parent says of the
images is kept, and changed as long as that brings it nearer (random steps, a fixed number of them).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Split
from nas.nets import GraphModule
from nas.training.feed import resized
from nas.training.inherit.channels import Channels
from nas.training.inherit.importance import (
    Groups,
    Matrix,
    Order,
    elimination_order,
    largest_channel,
    reader_costs,
    readers_of,
    reading_part,
)
from nas.training.preprocessing import Normalize, preprocessing_for

PIXELS, FEWEST, MOST = 2**17, 32, 128
"""Images of about so many pixels together are looked at, no fewer and no more of them."""
DRAWS = 8
"""So many directions of the logits are followed back through the network, and as many draws of its classes."""
RANDOM, CHANGES, STIR = 8, 24, 0.25
"""So many random orders are tried, then changes of the best, each by so large a share of a group (a deviation)."""


def looked_at(split: Split) -> Tensor:
    """Some images of `split`, drawn once for all, as networks take them: (n, c, h, w)."""
    height, width, channels = split.images.shape[1:]
    count = max(FEWEST, min(MOST, PIXELS // (height * width)))
    chosen = np.random.default_rng(0).permutation(len(split))[:count]
    return Normalize(preprocessing_for(channels))(split.images[np.sort(chosen)])


def logit_costs(
    parent: GraphModule, channels: Channels, groups: Groups, images: Tensor
) -> tuple[list[Matrix], list[Matrix]]:
    """As `reader_costs`, of what the logits lack, and of what is said by them (Fisher's matrix). `images` are as
    `parent` takes them."""
    asked = {channel for group in groups for channel in group}
    twin = copy.deepcopy(parent).eval().requires_grad_(False)
    read: dict[int, tuple[Tensor, int]] = {}
    for position in readers_of(channels, asked):
        layer = twin.layer(position)
        assert layer is not None
        part, axis = reading_part(layer)
        part.register_forward_pre_hook(partial(_follow, read, position, axis))
    logits = twin(images.to(next(parent.parameters()).device))
    rng = torch.Generator().manual_seed(0)
    signs = [torch.randint(0, 2, logits.shape, generator=rng).to(logits) * 2 - 1 for _ in range(DRAWS)]
    share = logits.detach().softmax(1)
    drawn = [torch.multinomial(share.cpu(), 1, generator=rng).to(logits.device) for _ in range(DRAWS)]
    centred = logits - logits.mean(1, keepdim=True)
    by_logits = [(centred * sign).sum() for sign in signs]
    by_classes = [logits.log_softmax(1).gather(1, classes).sum() for classes in drawn]
    found: list[list[Matrix]] = []
    for targets in (by_logits, by_classes):
        rows = np.concatenate([_changes(target, read, channels) for target in targets])
        parts = [rows[:, np.asarray(group)] for group in groups]
        found.append([part.T @ part for part in parts])
    return found[0], found[1]


def _follow(read: dict[int, tuple[Tensor, int]], position: int, axis: int, _: nn.Module, given: Any) -> Any:
    """Give the layer at `position` what it reads as a value of its own, whose gradient is asked for later."""
    value = given[0]
    own = value.view_as(value) if value.requires_grad else value.detach().requires_grad_()
    read[position] = own, axis
    return (own, *given[1:])


def _changes(target: Tensor, read: dict[int, tuple[Tensor, int]], channels: Channels) -> Matrix:
    """(images, channels) J of one number an image, which `target` is the sum of."""
    slopes = torch.autograd.grad(target, [value for value, _ in read.values()], retain_graph=True, allow_unused=True)
    images = next(iter(read.values()))[0].shape[0]
    found = np.zeros((largest_channel(channels) + 1, images))
    for (position, (value, axis)), slope in zip(read.items(), slopes, strict=True):
        if slope is not None:
            own, towards = (one.detach().movedim(axis, -1) for one in (value, slope))
            strays = (own - own.flatten(0, -2).mean(0)) * towards
            change = strays.reshape(images, -1, strays.shape[-1]).sum(1)
            np.add.at(found, channels.sides[position, "in"], change.double().cpu().numpy().T)
    return found.T


def most_faithful(
    parent: GraphModule,
    channels: Channels,
    groups: Groups,
    make: Callable[[Order], GraphModule],
    images: Tensor,
) -> Order:
    """The order in which channels of the `groups` are taken away that makes the child which says of `images` most
    nearly what `parent` says. `make` gives a child by an order; each reads the images at its own size."""
    parent_images = resized(images, parent.definition.input_shape[1:])
    by_readers = reader_costs(parent, channels, groups, parent_images)
    with torch.no_grad():
        said = copy.deepcopy(parent).eval()(parent_images).log_softmax(1)
    if not said.isfinite().all():
        return elimination_order(channels, groups, by_readers)
    judgements = [by_readers]
    for costs in logit_costs(parent, channels, groups, parent_images):
        judgements.append([cost if cost.any() else other for cost, other in zip(costs, by_readers, strict=True)])
    orders = [
        elimination_order(channels, groups, [_mixed(one) for one in zip(*mixture, strict=True)])
        for count in range(1, len(judgements) + 1)
        for mixture in combinations(judgements, count)
    ]
    return improved(orders, groups, lambda order: _unlike(make(order), images, said))


def improved(orders: Sequence[Order], groups: Groups, cost: Callable[[Order], float]) -> Order:
    """The order of least `cost` among `orders`, some random ones, and what random changes of the best lead to, which
    stir the order within one group at a time."""
    rng = np.random.default_rng(0)
    drawn = [rng.random(len(orders[0])) for _ in range(RANDOM)]
    costs = {cost(order): order for order in (*orders, *drawn)}
    least = min(costs)
    best = costs[least].copy()
    for group in groups:  # from 0 on in every group, so that what is added below means the same in all
        best[np.asarray(group)] = best[np.asarray(group)].argsort().argsort()
    for _ in range(CHANGES):
        members = np.asarray(groups[int(rng.integers(len(groups)))])
        changed = best.copy()
        changed[members] += rng.normal(0.0, STIR * len(members), len(members))
        found = cost(changed)
        if found < least:
            least, best = found, changed
    return best


def _mixed(costs: Sequence[Matrix]) -> Matrix:
    """The sum of matrices of one group, each of mean 1 along its diagonal."""
    return sum((cost / max(float(np.diag(cost).mean()), 1e-30) for cost in costs), np.zeros_like(costs[0]))


def _unlike(child: GraphModule, images: Tensor, said: Tensor) -> float:
    """How far what `child` says, its norms taken anew, is from what was `said` (Kullback and Leibler), per image."""
    with torch.no_grad():
        own = child.train()(resized(images, child.definition.input_shape[1:])).log_softmax(1)
    return float(functional.kl_div(own, said, log_target=True, reduction="batchmean").nan_to_num(torch.inf))
