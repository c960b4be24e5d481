"""Which channels of a graph are one and the same, and through which weights each of them goes.

Every channel gets a number where a convolution or a linear layer makes it. Numbers flow through the operators that keep
channels, are divided and put together by slices, concatenations, shuffles and heads, and become one where two maps are
added or multiplied, or two operands of a matrix product meet.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nas.graph import Graph, Node
from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Concat,
    Conv,
    GlobalPool,
    Input,
    LearnedScale,
    Linear,
    MatMul,
    Norm,
    Pool,
    Rearrange,
    Reduce,
    Resize,
    Shuffle,
    Slice,
    Softmax,
)
from nas.graph.rows import Shape

Ids = NDArray[np.int64]
"""Channel numbers. As the value of a node: an array that broadcasts to the node's shape; 0 is no channel."""

_KEEP = (Activation, Affine, LearnedScale, Norm, Pool, Resize, Softmax)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel meets weights: the node, the side of its weight, and which of how many groups or heads."""

    node: int
    side: str
    groups: int = 1
    group: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channels:
    """The channels of a graph. `sides` holds, for a node with weights, the channels along each side of its weight
    ("in", "out"), in order; `heads` those that meet in a matrix product, by head; `image` and `output` those of the
    graph's ends."""

    sides: Mapping[tuple[int, str], Ids]
    groups: Mapping[int, int]
    heads: Mapping[tuple[int, str], Ids]
    image: frozenset[int]
    output: frozenset[int]

    def places(self) -> Iterator[tuple[Place, Ids]]:
        """Every place with the channels that go through it, in order."""
        for (node, side), ids in self.sides.items():
            groups = self.groups.get(node, 1)
            for group, part in enumerate(np.split(ids, groups)):
                yield Place(node, side, groups, group), part
        for (node, side), ids in self.heads.items():
            for head, part in enumerate(ids):
                yield Place(node, side, len(ids), head), part


def channels_of(graph: Graph) -> Channels:
    """The channels of `graph`."""
    return _Tracker(graph).run()


class _Tracker:
    """Follows channels from node to node."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values: list[Ids] = []
        self._next = 1
        self._same: list[tuple[Ids, Ids]] = []
        self._sides: dict[tuple[int, str], Ids] = {}
        self._heads: dict[tuple[int, str], Ids] = {}
        self._groups: dict[int, int] = {}

    def run(self) -> Channels:
        for position, node in enumerate(self._graph.nodes):
            self._values.append(self._value(position, node))
        labels = self._labels()
        return Channels(
            sides={key: labels[ids] for key, ids in self._sides.items()},
            groups=self._groups,
            heads={key: labels[ids] for key, ids in self._heads.items()},
            image=frozenset(labels[self._values[0]].ravel().tolist()),
            output=frozenset(labels[self._values[-1]].ravel().tolist()) - {0},
        )

    def _labels(self) -> Ids:
        """The number of the class of each number: the smallest in it."""
        first = np.concatenate([one for one, _ in self._same] or [np.zeros(0, np.int64)])
        second = np.concatenate([two for _, two in self._same] or [np.zeros(0, np.int64)])
        links = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(self._next, self._next))
        _, classes = connected_components(links, directed=False)
        _, smallest = np.unique(classes, return_index=True)
        found: Ids = smallest[classes].astype(np.int64)
        return found

    def _value(self, position: int, node: Node) -> Ids:
        match node.op:
            case Input():
                return self._new(node.shape[0]).reshape(-1, 1, 1)
            case Conv():
                return self._conv(position, node.op, node)
            case Linear():
                self._sides[position, "in"] = _line(self._operand(node), -1, self._shapes(node)[0])
                out = self._sides[position, "out"] = self._new(node.op.out)
                return out.reshape(*(1,) * (len(node.shape) - 1), -1)
            case Binary():
                return self._binary(node)
            case MatMul():
                return self._matmul(position, node.op, node)
            case GlobalPool():
                pooled = self._operand(node)[:, :1, :1]
                return pooled[:, 0, 0] if node.op.flatten else pooled
            case Reduce(axis=axis):
                return np.take(self._operand(node), [0], axis)
            case _:
                return self._moved(position, node)

    def _moved(self, position: int, node: Node) -> Ids:
        value = self._operand(node)
        match node.op:
            case Concat():
                parts = [_widened(self._values[i], self._graph.nodes[i].shape) for i in node.inputs]
                rest = np.broadcast_shapes(*(part.shape[1:] for part in parts))
                return np.concatenate([np.broadcast_to(part, (len(part), *rest)) for part in parts])
            case Slice(start=start, stop=stop):
                return _narrowed(_widened(value, self._shapes(node)[0])[start:stop])
            case Shuffle(groups=groups):
                wide = _widened(value, node.shape)
                return wide.reshape(groups, -1, *wide.shape[1:]).swapaxes(0, 1).reshape(wide.shape)
            case Rearrange(split=split, order=order, merge=merge):
                full = np.broadcast_to(value, self._shapes(node)[0])
                return _narrowed(full.reshape(split).transpose(order).reshape(merge))
            case op if isinstance(op, _KEEP):
                if isinstance(op, LearnedScale | Norm) or (isinstance(op, Activation) and op.function == "prelu"):
                    axis = 0 if len(node.shape) == 3 and not _is_layer_norm(op) else -1
                    self._sides[position, "out"] = _line(value, axis, node.shape)
                return value
        raise NotImplementedError(f"channels cannot be followed through {node.op.text()}")

    def _conv(self, position: int, op: Conv, node: Node) -> Ids:
        shape = self._shapes(node)[0]
        ids = _line(self._operand(node), 0, shape)
        if op.groups == op.out == shape[0] and op.groups > 1:
            self._sides[position, "out"] = ids
            return ids.reshape(-1, 1, 1)
        self._sides[position, "in"] = ids
        self._sides[position, "out"] = out = self._new(op.out)
        if op.groups > 1:
            self._groups[position] = op.groups
        if any(branch.kernel == 0 for branch in op.branches):  # what passes an identity branch stays the same channel
            self._tie(ids, out)
        return out.reshape(-1, 1, 1)

    def _binary(self, node: Node) -> Ids:
        operands = [self._values[i] for i in node.inputs]
        shapes = self._shapes(node)
        carrying = [not _is_repeated(own, shapes[i], operands[1 - i]) for i, own in enumerate(operands)]
        if all(carrying):
            first, second = np.broadcast_arrays(*operands)
            self._tie(first.ravel(), second.ravel())
            return np.where(first > 0, first, second)
        return operands[carrying.index(True)]

    def _matmul(self, position: int, op: MatMul, node: Node) -> Ids:
        """The sides that are summed over meet: queries and keys. The result has the channels of the other sides."""
        first, second = (self._values[i] for i in node.inputs)
        if op.transpose:
            second = second.swapaxes(-1, -2)
        rows, columns = first[..., 0, :], second[..., :, 0]
        if rows.shape[-1] > 1 and columns.shape[-1] > 1:  # over channels, not over tokens
            rows, columns = np.broadcast_arrays(rows, columns)
            self._tie(rows.ravel(), columns.ravel())
        for side, ids in (("rows", rows), ("columns", second[..., 0, :])):
            if ids.shape[-1] > 1:
                self._heads[position, side] = ids.reshape(math.prod(ids.shape[:-1]), -1)
        return np.zeros_like(second[..., :1, :1]) if op.transpose else second[..., :1, :]

    def _tie(self, first: Ids, second: Ids) -> None:
        both = (first > 0) & (second > 0)
        self._same.append((first[both], second[both]))

    def _new(self, count: int) -> Ids:
        self._next += count
        return np.arange(self._next - count, self._next, dtype=np.int64)

    def _operand(self, node: Node) -> Ids:
        return self._values[node.inputs[0]]

    def _shapes(self, node: Node) -> tuple[Shape, ...]:
        return self._graph.input_shapes(node)


def _is_layer_norm(op: object) -> bool:
    return isinstance(op, Norm) and op.function == "layer"


def _line(ids: Ids, axis: int, shape: Shape) -> Ids:
    """The channels along one axis of a value of `shape`."""
    line = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)[:, 0]
    return np.broadcast_to(line, (shape[axis],)).copy()


def _widened(ids: Ids, shape: Shape) -> Ids:
    """`ids` with a number for each index of the first axis."""
    return np.broadcast_to(ids, (shape[0], *ids.shape[1:]))


def _narrowed(ids: Ids) -> Ids:
    """`ids` without the axes along which they are all the same."""
    for axis in range(ids.ndim):
        first = np.take(ids, [0], axis)
        if ids.shape[axis] > 1 and bool((ids == first).all()):
            ids = first
    return ids


def _is_repeated(ids: Ids, shape: Shape, other: Ids) -> bool:
    """Whether a value has one entry where `other` has many channels, each of which it is combined with."""
    return any(shape[axis] == 1 and other.shape[axis] > 1 for axis in range(ids.ndim))


def signatures(channels: Channels, renumber: Mapping[int, int]) -> dict[int, frozenset[tuple[Place, int]]]:
    """Channel → where it goes through (place, how often), by the numbers that `renumber` gives to nodes; places at
    nodes without any are left out."""
    found: dict[int, dict[Place, int]] = defaultdict(dict)
    for place, ids in channels.places():
        for channel in ids.tolist():
            met = found[channel]
            if place.node in renumber:
                own = Place(renumber[place.node], place.side, place.groups, place.group)
                met[own] = met.get(own, 0) + 1
    return {channel: frozenset(met.items()) for channel, met in found.items() if channel}
