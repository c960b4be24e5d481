"""Which channels of a network its layers would miss most. Where there are no images, noise is looked at.

A layer that reads x through weights w makes Σ_c w_c x_c. Without a set R of its channels it lacks Σ_R w_c x_c, whose
energy, over the positions of the map, is the sum over R × R of E[x_c x_d] · w_c·w_d: channels that say the same weigh
more together, those that cancel less. Of each group the channel that adds least to what is lacking already is taken
away first (backward elimination; ThiNet, arXiv 1707.06342, section 3.2, judges channels by the layer that reads them
as well). A norm cannot tell: batch norm and the rectifier behind it decide how large a channel is.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import block_diag
from torch import Tensor, nn

from nas.graph.ops import Op
from nas.nets import GraphModule
from nas.nets.fuse import fused_layer
from nas.nets.layers import BranchSum, ConvNorm, NormLinear
from nas.training.inherit.channels import Channels

Matrix = NDArray[np.float64]
Groups = Sequence[Sequence[int]]
"""Channels that may stand for one another; those of a group rise."""
Order = NDArray[np.float64]
"""By channel when it is taken away from its group, counted from 0."""

PIXELS, FEWEST, MOST = 2**18, 4, 64
"""The noise has about so many pixels, in no fewer and no more images."""

Weighted = nn.Conv2d | nn.Linear | ConvNorm | BranchSum | NormLinear


def reader_costs(parent: GraphModule, channels: Channels, groups: Groups, images: Tensor | None = None) -> list[Matrix]:
    """For each of the `groups` a matrix (members, members), whose sum over R × R is what the layers behind lack without
    the members R. `images` (n, c, h, w) are what `parent` reads meanwhile; noise without them.

    A group that no weights read (queries and keys) goes by the squared norm of the weights that make it.
    """
    lacking = _what_readers_lack(parent, channels, {channel for group in groups for channel in group}, images)
    reading: dict[int, list[int]] = defaultdict(list)
    for position in lacking:
        for channel in channels.sides[position, "in"].tolist():
            reading[channel].append(position)
    made, costs = None, []
    for group in groups:
        members = np.asarray(group)
        cost = np.zeros((len(group), len(group)))
        for position in dict.fromkeys(position for channel in group for position in reading[channel]):
            cost += _of_members(lacking[position], channels.sides[position, "in"], members)
        if not cost.any():
            made = _energy_of_makers(parent, channels) if made is None else made
            cost = np.diag(made[members])
        costs.append(cost)
    return costs


def elimination_order(channels: Channels, groups: Groups, costs: Sequence[Matrix]) -> Order:
    """When each channel is taken away from its group of `groups` by the group's matrix of `costs`; a late one
    matters."""
    order = np.zeros(largest_channel(channels) + 1)
    for group, cost in zip(groups, costs, strict=True):
        order[np.asarray(group)] = _eliminated(cost)
    return order


def _eliminated(cost: Matrix) -> NDArray[np.int64]:
    """When each index goes, where those gone cost the sum of their part of `cost` and the next adds least."""
    turn = np.zeros(len(cost), np.int64)
    adds = np.diag(cost).copy()
    for number in range(len(cost)):
        first = int(adds.argmin())
        turn[first] = number
        adds += 2 * cost[first]
        adds[first] = np.inf
    return turn


def _of_members(lacking: Matrix, ids: NDArray[np.int64], members: NDArray[np.int64]) -> Matrix:
    """The part of a reader's matrix that is of `members`, which rise; what it reads twice counts twice."""
    rows = np.flatnonzero(np.isin(ids, members))
    places, found = np.searchsorted(members, ids[rows]), np.zeros((len(members), len(members)))
    np.add.at(found, (places[:, None], places[None, :]), lacking[np.ix_(rows, rows)])
    return found


def readers_of(channels: Channels, asked: set[int]) -> list[int]:
    """The nodes whose weights read any of the channels `asked`."""
    return [p for (p, side), ids in channels.sides.items() if side == "in" and not asked.isdisjoint(ids.tolist())]


def reading_part(layer: nn.Module) -> tuple[nn.Module, int]:
    """The part of a layer that reads through its weights, and the axis of channels of what it reads: what a norm in
    front of the weights takes is not what they read."""
    return (layer.linear, -1) if isinstance(layer, NormLinear) else (layer, -1 if isinstance(layer, nn.Linear) else 1)


def _what_readers_lack(
    parent: GraphModule, channels: Channels, asked: set[int], images: Tensor | None
) -> dict[int, Matrix]:
    """Reader of any of the channels `asked` → E[x_c x_d] · w_c·w_d of all that it reads, of mean 1 along the
    diagonal."""
    readers = readers_of(channels, asked)
    if not readers:
        return {}
    twin = copy.deepcopy(parent).train()
    found: dict[int, Matrix] = {}
    for position in readers:
        layer = twin.layer(position)
        assert isinstance(layer, Weighted)
        weight = _reading_weight(parent.definition.nodes[position].op, layer).flatten(2)
        part, axis = reading_part(layer)
        part.register_forward_pre_hook(partial(_look, found, position, weight, axis, channels.groups.get(position, 1)))
    with torch.no_grad():
        twin((_noise(parent) if images is None else images).to(next(parent.parameters()).device))
    return found


def _noise(parent: GraphModule) -> Tensor:
    shape = parent.definition.input_shape
    images = max(FEWEST, min(MOST, PIXELS // (shape[1] * shape[2])))
    return torch.randn(images, *shape, generator=torch.Generator().manual_seed(0))


def _look(
    found: dict[int, Matrix], position: int, weight: Tensor, axis: int, groups: int, _: nn.Module, read: Any
) -> None:
    """Take what the layer at `position` reads into `found`."""
    values = read[0].movedim(axis, -1).flatten(0, -2).nan_to_num()
    values = values / values.abs().max().clamp_min(1e-30)
    parts = zip(weight.chunk(groups), values.chunk(groups, 1), strict=True)
    blocks = [(part.T @ part / len(part)) * torch.einsum("ock,odk->cd", own, own) for own, part in parts]
    together = block_diag(*(block.double().cpu().numpy() for block in blocks))
    found[position] = together / max(float(np.diag(together).mean()), 1e-30)


def largest_channel(channels: Channels) -> int:
    """The largest number of a channel."""
    return max(int(ids.max(initial=0)) for ids in channels.sides.values())


def _reading_weight(op: Op, layer: Weighted) -> Tensor:
    """The weight (out, in / groups, *kernel) times the scale of the norm behind it. It is not divided by the deviation,
    which is next to nothing where a channel is dead, and would make that one the heaviest. Branches are merged."""
    if isinstance(layer, ConvNorm) and layer.conv is not None and layer.norm is not None:
        return layer.conv.weight.detach() * layer.norm.weight.detach()[:, None, None, None]
    if isinstance(layer, NormLinear):
        return layer.linear.weight.detach()[:, :, None]
    fused = fused_layer(op, layer)
    assert isinstance(fused, nn.Conv2d | nn.Linear)
    weight = fused.weight.detach()
    return weight[:, :, None] if weight.ndim == 2 else weight


def _energy_of_makers(parent: GraphModule, channels: Channels) -> NDArray[np.float64]:
    """By channel the sum, over the weights that make it, of its squared norm there relative to that of the mean
    channel."""
    total = np.zeros(largest_channel(channels) + 1)
    for (position, side), ids in channels.sides.items():
        layer = parent.layer(position)
        if side == "out" and isinstance(layer, Weighted):
            squares = _reading_weight(parent.definition.nodes[position].op, layer).double().square().flatten(1).sum(1)
            np.add.at(total, ids, (squares / squares.mean().clamp_min(1e-30)).cpu().numpy())
    return total
