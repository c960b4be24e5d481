"""A descendant's weights, sliced out of its parent's.

Widths, kernels, depth, expansion, SE, input channels and classes may differ. Kernels are cropped to their middle (of a
larger kernel the rim starts at zero); a first convolution that reads one channel is the sum over the three of its
parent's; what cannot be sliced starts anew and is named.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.graph.ops import Conv
from nas.nets import GraphModule, build
from nas.nets.layers import BranchSum, ConvNorm, NormLinear
from nas.space import Architecture
from nas.training.inherit.account import NO_LAYER, Anew, Inheritance, joined
from nas.training.inherit.channels import Channels, channels_of
from nas.training.inherit.faithful import most_faithful
from nas.training.inherit.importance import Order, elimination_order, largest_channel, reader_costs
from nas.training.inherit.pairs import paired_nodes
from nas.training.inherit.slices import ChannelPairs, differing_heads

COLOURS = 3
Index = NDArray[np.int64]


def inherit_weights(
    child: Architecture,
    parent: GraphModule,
    *,
    images: Tensor | None = None,
    new_classes: bool = False,
    seed: int = 0,
    draw: np.random.Generator | None = None,
) -> Inheritance:
    """`child` in training form with the slices of `parent` (in training form, of an architecture) that fit it.

    Of channels that stand for one another those are kept that the layers behind them would miss most (`importance`);
    with `images` (n, c, h, w), normalised, those with which the child says most nearly what its parent says of them
    (`faithful`). `draw` keeps channels at random instead, for comparison.
    With `new_classes` the classifier starts anew, as it does where their number differs. New weights are drawn from
    `seed`. Statistics of batch norms are sliced too, and are those of the parent's inputs: take them anew before the
    network is used untrained.
    """
    whose = parent.architecture
    if whose is None:
        raise ValueError("a parent must be the network of an architecture, but is a bare graph")
    channels = channels_of(parent.definition)

    descent = _Descent(child, parent, channels, new_classes=new_classes)
    groups = descent.pairs.losing
    if draw is not None:
        order = draw.random(largest_channel(channels) + 1)
    elif images is None or not groups or images.shape[1] != whose.in_channels:
        order = elimination_order(channels, groups, reader_costs(parent, channels, groups))
    else:  # what is compared are the parent's classes
        alike = _Descent(child.adapted(num_classes=whose.num_classes, in_channels=whose.in_channels), parent, channels)
        order = most_faithful(parent, channels, groups, lambda order: alike.inherited(order).module, images)
    return descent.inherited(order, seed=seed)


class _Descent:
    """How `child` comes of `parent`, whose channels are `theirs`."""

    def __init__(
        self, child: Architecture, parent: GraphModule, theirs: Channels, *, new_classes: bool = False
    ) -> None:
        assert parent.architecture is not None
        self._child, self._parent = child, parent
        graph = child.graph()
        self._layers, self._nodes = paired_nodes(child, parent.architecture)
        self._ours = channels_of(graph)
        left_out = differing_heads(self._ours, theirs, self._nodes)
        if new_classes or graph.output_shape != parent.definition.output_shape:
            left_out |= self._ours.output
        self.pairs = ChannelPairs(self._ours, theirs, self._nodes, left_out)

    def inherited(self, order: Order, *, seed: int = 0) -> Inheritance:
        """The child with its slices, where channels that come early in `order` are left behind."""
        assert self._parent.architecture is not None
        module = build(self._child, seed=seed)
        slicer = _Slicer(module, self._parent, (self._layers, self._nodes), self.pairs.kept(order), self._ours)
        with torch.no_grad():
            for position in range(1, len(module.definition.nodes)):
                slicer.take(position)
        return Inheritance(
            module=module,
            parent=self._parent.architecture.name,
            inherited=slicer.inherited,
            total=sum(weight.numel() for weight in module.parameters()),
            anew=joined(slicer.anew),
            unused=tuple(_unused_layers(self._parent.architecture, set(self._layers.values()))),
        )


def _unused_layers(parent: Architecture, used: set[int]) -> list[str]:
    layers = enumerate(parent.layers, start=1)
    return [f"layer{number:02d}_{layer.block}" for number, layer in layers if number not in used]


class _Slicer:
    """Copies slices, and keeps account of them."""

    def __init__(
        self,
        module: GraphModule,
        parent: GraphModule,
        pairs: tuple[Mapping[int, int], Mapping[int, int]],
        kept: Mapping[tuple[int, str], Index],
        channels: Channels,
    ) -> None:
        self._module, self._parent, self._kept, self._channels = module, parent, kept, channels
        self._layers, self._nodes = pairs
        self.inherited = 0
        self.anew: list[Anew] = []
        self._names = {id(part): name for name, part in module.named_modules()}

    def take(self, position: int) -> None:
        """Fill the layer at `position` of the descendant, where it has one."""
        layer = self._module.layer(position)
        if layer is None:
            return
        of = sum(weight.numel() for weight in layer.parameters())
        before = self.inherited
        reason = self._fill(position, layer)
        missing = of - (self.inherited - before)
        if missing:
            self.anew.append(Anew(name=self._names[id(layer)], numbers=missing, of=of, reason=reason))

    def _fill(self, position: int, layer: nn.Module) -> str:
        """Copy what fits; the reason for what does not."""
        if position not in self._nodes:
            known = self._module.definition.nodes[position].layer in self._layers
            return "the parent's layer has no such operator" if known else NO_LAYER
        other = self._parent.layer(self._nodes[position])
        if other is None or type(other) is not type(layer):
            return "the parent's layer is of another kind"
        groups = _conv_groups(self._module, position)
        if groups != _conv_groups(self._parent, self._nodes[position]) and (position, "in") in self._kept:
            return "the parent's convolution has other groups"
        out = self._kept.get((position, "out"), np.zeros(0, np.int64))
        inputs = self._kept.get((position, "in"))
        if inputs is not None and set(self._channels.sides[position, "in"].tolist()) <= self._channels.image:
            inputs = np.arange(len(inputs))
            other = _for_image(other, len(inputs))
        if not (out >= 0).any() or (inputs is not None and not (inputs >= 0).any()):
            if isinstance(layer, NormLinear) and isinstance(other, NormLinear) and inputs is not None:
                self._copy_vectors(layer.norm, other.norm, inputs)  # what it reads is the parent's all the same
            is_output = set(self._channels.sides[position, "out"].tolist()) <= self._channels.output
            return "the classes are others" if is_output else "none of its channels is one of the parent's"
        self._copy_all(layer, other, out, inputs, groups)
        return "it is larger than the parent's"

    def _copy_all(self, layer: nn.Module, other: nn.Module, out: Index, inputs: Index | None, groups: int) -> None:
        match layer, other:
            case BranchSum(), BranchSum():
                for name, branch in _paired_branches(layer, other):
                    self._copy_all(layer.branches[name], branch, out, inputs, groups)
                if layer.norm is not None and other.norm is not None:
                    self._copy_vectors(layer.norm, other.norm, out)
            case ConvNorm(), ConvNorm():
                if layer.conv is not None and other.conv is not None:
                    self._copy_weight(layer.conv, other.conv, out, inputs, groups)
                if layer.norm is not None and other.norm is not None:
                    self._copy_vectors(layer.norm, other.norm, out)
            case NormLinear(), NormLinear():
                assert inputs is not None
                self._copy_vectors(layer.norm, other.norm, inputs)
                self._copy_weight(layer.linear, other.linear, out, inputs, groups)
            case ((nn.Conv2d() | nn.Linear()), (nn.Conv2d() | nn.Linear())):
                self._copy_weight(layer, other, out, inputs, groups)
            case _:
                self._copy_vectors(layer, other, out)

    def _copy_weight(
        self, layer: nn.Conv2d | nn.Linear, other: nn.Conv2d | nn.Linear, out: Index, inputs: Index | None, groups: int
    ) -> None:
        copied = copy_slice(layer.weight, other.weight, out, inputs, groups)
        self.inherited += copied
        if layer.bias is not None and other.bias is not None:
            self._copy_vector(layer.bias, other.bias, out)

    def _copy_vectors(self, layer: nn.Module, other: nn.Module, index: Index) -> None:
        """One number a channel: scales, shifts, slopes, and statistics."""
        theirs = dict(other.state_dict(keep_vars=True))
        for name, value in layer.state_dict(keep_vars=True).items():
            if value.ndim == 0:
                value.copy_(theirs[name])
            elif isinstance(value, nn.Parameter):
                self._copy_vector(value, theirs[name], index)
            else:
                _copied(value, theirs[name], index)

    def _copy_vector(self, value: Tensor, other: Tensor, index: Index) -> None:
        self.inherited += _copied(value, other, index)


def copy_slice(weight: Tensor, other: Tensor, out: Index, inputs: Index | None, groups: int = 1) -> int:
    """Copy into `weight` (out, in / groups, *kernel) what it has of `other`; the count of numbers copied.

    `out` and `inputs` name for each channel the other's (-1: none); `inputs` is None where each channel has a filter of
    its own. Kernels meet in their middle; the rim of a larger one becomes 0.
    """
    other = other.to(weight)
    into, source = _middles(weight.shape[2:], other.shape[2:])
    rows = np.flatnonzero(out >= 0)
    if inputs is None:
        own, its = np.zeros((len(rows), 1), np.int64), np.zeros((len(rows), 1), np.int64)
    else:
        width, its_width = weight.shape[1], other.shape[1]
        group = rows // (len(out) // groups)
        own = np.broadcast_to(np.arange(width), (len(rows), width))
        its = inputs[group[:, None] * width + own]
        its_group = out[rows] // (other.shape[0] // groups)
        its = np.where(its >= 0, its - its_group[:, None] * its_width, -1)
        its = np.where((its >= 0) & (its < its_width), its, -1)
    fits = its >= 0
    at_row, at_column = np.nonzero(fits)
    to_row, to_column = torch.as_tensor(rows[at_row]), torch.as_tensor(own[at_row, at_column])
    from_row, from_column = torch.as_tensor(out[rows[at_row]]), torch.as_tensor(its[at_row, at_column])
    taken = other[from_row, from_column]
    placed = torch.zeros(len(taken), *weight.shape[2:], dtype=weight.dtype, device=weight.device)
    placed[(slice(None), *into)] = taken[(slice(None), *source)]
    weight[to_row, to_column] = placed
    return int(taken[(slice(None), *source)].numel())


def _middles(kernel: tuple[int, ...], other: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where two kernels with the same centre overlap: in the first, in the second."""
    pairs = []
    for own, its in zip(kernel, other, strict=True):
        size = min(own, its)
        pairs.append(tuple(slice((full - size) // 2, (full - size) // 2 + size) for full in (own, its)))
    return tuple(one for one, _ in pairs), tuple(two for _, two in pairs)


def _copied(value: Tensor, other: Tensor, index: Index) -> int:
    has = torch.as_tensor(np.flatnonzero(index >= 0))
    value.flatten()[has] = other.flatten()[torch.as_tensor(index[index >= 0])].to(value)
    return len(has)


def _paired_branches(layer: BranchSum, other: BranchSum) -> list[tuple[str, nn.Module]]:
    """The branches of `layer` with the other's: full kernels in turn, then the smaller ones, then the identity."""
    theirs: dict[str, list[nn.Module]] = {}
    for name, branch in other.branches.items():
        theirs.setdefault(_branch_kind(other, name), []).append(branch)
    pairs = []
    for name in layer.branches:
        left = theirs.get(_branch_kind(layer, name), [])
        if left:
            pairs.append((name, left.pop(0)))
    return pairs


def _branch_kind(layer: BranchSum, name: str) -> str:
    branch = layer.branches[name]
    assert isinstance(branch, ConvNorm)
    if branch.conv is None:
        return "identity"
    sizes = [part.conv.kernel_size[0] for part in layer.branches.values() if isinstance(part, ConvNorm) and part.conv]
    return "full" if branch.conv.kernel_size[0] == max(sizes) else f"of {branch.conv.kernel_size[0]}"


def _conv_groups(module: GraphModule, position: int) -> int:
    op = module.definition.nodes[position].op
    depthwise = (
        isinstance(op, Conv) and op.groups == module.definition.input_shapes(module.definition.nodes[position])[0][0]
    )
    return op.groups if isinstance(op, Conv) and not depthwise else 1


def _for_image(layer: nn.Module, channels: int) -> nn.Module:
    """A first layer as it reads an image of so many channels: the sum over colours for grey, a third of what was for
    grey for each colour. A channel beyond the colours has nothing."""
    changed = copy.deepcopy(layer)
    for conv in changed.modules():
        if isinstance(conv, nn.Conv2d):
            conv.weight = nn.Parameter(_read(conv.weight.detach(), channels))
    return changed


def _read(weight: Tensor, channels: int) -> Tensor:
    own = weight.shape[1]
    if own == channels:
        return weight
    if channels == 1:
        return weight[:, :COLOURS].sum(1, keepdim=True)
    colours = weight.expand(-1, COLOURS, -1, -1) / COLOURS if own == 1 else weight
    return colours[:, :channels]
