"""Where a runtime that computes on blocks of channels must bring a map into another layout.

ONNX Runtime convolves maps whose channels lie in blocks (NCHWc). An operator that cannot, because of what it does or of
its width, reads the plain layout, and a map that goes from one kind of operator to the other is copied: a row
`reorder`. The rules are ONNX Runtime's (onnxruntime/core/optimizer/nchwc_transformer.cc), checked against the graphs
that it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nas.graph.node import Node
from nas.graph.ops import (
    Activation,
    Binary,
    Concat,
    Conv,
    GlobalPool,
    LearnedScale,
    Norm,
    Op,
    Pool,
    Rearrange,
    Resize,
    Shuffle,
    Slice,
)
from nas.graph.rows import Row, Shape, elements, repeated
from nas.onnx.layers import Part, TakenApart

Layout = Literal["plain", "blocks"]
CHANNEL_BLOCK = 16
"""Channels a vector kernel takes at once (one AVX-512 register of float32; two or four registers elsewhere)."""
_ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows of copies before nodes and behind them, by position."""

    before: dict[int, list[Row]] = field(default_factory=dict)
    behind: dict[int, list[Row]] = field(default_factory=dict)

    def among(self, start: int, stop: int) -> list[Row]:
        """All copies of nodes[start:stop], in the order of their text."""
        found = [row for side in (self.before, self.behind) for i in range(start, stop) for row in side.get(i, ())]
        return sorted(found, key=str)


def copies_alone(nodes: Sequence[Node], start: int, stop: int) -> Copies:
    """The copies of the segment nodes[start:stop], of which nobody knows what is before and behind it.

    A map of a width that convolutions block is taken to go from segment to segment in blocks, any other value plainly;
    channel splits read, and shuffles hand on, what is plain.
    """
    tracker, copies = _Tracker(), Copies()
    for i in range(start, stop):
        node = nodes[i]
        for j in node.inputs:
            if j < start:
                split = isinstance(nodes[start].op, Slice | Part)
                tracker.enter(j, "plain" if split else _between(nodes[j].shape))
        copies.before[i] = [row for *_, row in tracker.step(nodes, i)]
    last = nodes[stop - 1]
    if not isinstance(last.op, Shuffle):
        copies.behind[stop - 1] = tracker.bring(stop - 1, last, _between(last.shape))
    return copies


def copies_in_context(nodes: Sequence[Node]) -> Copies:
    """The copies of a whole network. One between two segments is put where `copies_alone` would put it."""
    tracker, copies = _Tracker(), Copies()
    tracker.enter(0, "plain")
    for i, node in enumerate(nodes[1:], start=1):
        for j, wanted, row in tracker.step(nodes, i):
            elsewhere = node.layer != nodes[j].layer and not isinstance(nodes[j].op, Shuffle)
            early = elsewhere and wanted == _between(nodes[j].shape) == "blocks"
            side, place = (copies.behind, j) if early else (copies.before, i)
            side.setdefault(place, []).append(row)
    return copies


class _Tracker:
    """The layouts that values are in, followed node by node: the one in which each was made, and its copies."""

    def __init__(self) -> None:
        self._made: dict[int, Layout] = {}
        self._there: dict[int, set[Layout]] = {}

    def enter(self, value: int, layout: Layout) -> None:
        """`value` is made in `layout`."""
        if value not in self._made:
            self._made[value], self._there[value] = layout, {layout}

    def step(self, nodes: Sequence[Node], i: int) -> list[tuple[int, Layout, Row]]:
        """Go on to node `i`: what is copied for it, as (position of the value, into which layout, row)."""
        op, inputs, shape = nodes[i].op, nodes[i].inputs, nodes[i].shape
        if isinstance(op, Rearrange) and op.channels_to:  # such a copy is itself the change of layout
            self.enter(i, "plain")
            if op.channels_to == "first":
                self._there[i].add("blocks")
            return []
        shapes = tuple(nodes[j].shape for j in inputs)
        wanted, made = _layouts(op, shapes, shape, all(self._made[j] == "blocks" for j in inputs))
        self.enter(i, made)
        return [(j, wanted, row) for j in inputs for row in self.bring(j, nodes[j], wanted)]

    def bring(self, value: int, node: Node, wanted: Layout) -> list[Row]:
        """The copy that brings `value` into the layout `wanted`, if one is needed."""
        shape = node.shape
        if wanted in self._there[value] or not _is_map(shape):
            return []
        self._there[value].add(wanted)
        size = elements(shape)
        whole_blocks = (shape[0] + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK * CHANNEL_BLOCK * elements(shape[1:])
        return [repeated(("reorder", 1, 1, 1, 0, *shape, 0, size, whole_blocks, 0), node.times)]


def _is_map(shape: Shape) -> bool:
    return len(shape) == 3 and not (shape[1] == 1 and shape[2] == 1)


def _between(shape: Shape) -> Layout:
    return "blocks" if _is_map(shape) and _blocked_width(shape[0]) else "plain"


def _blocked_width(channels: Any) -> bool:
    return bool(channels >= CHANNEL_BLOCK) and bool(channels % _ALIGNMENT == 0)


def _layouts(op: Op, shapes: tuple[Shape, ...], out: Shape, in_blocks: bool) -> tuple[Layout, Layout]:
    """What `op` reads and makes, `in_blocks` telling whether all that it reads was made in blocks."""
    if isinstance(op, Conv):
        return _conv_layouts(op, shapes[0][0])
    if isinstance(op, Pool) and out[0] % CHANNEL_BLOCK == 0 and not (op.function == "avg" and op.ceil and op.count_pad):
        return "blocks", "blocks"
    return ("blocks", "blocks") if in_blocks and _keeps_blocks(op, shapes, out) else ("plain", "plain")


def _conv_layouts(op: Conv, channels: Any) -> tuple[Layout, Layout]:
    if op.groups == 1 and channels < CHANNEL_BLOCK:
        return "plain", "blocks"
    if op.groups == 1:
        blocks = channels % _ALIGNMENT == 0
    elif op.groups == channels:
        blocks = op.out == channels and channels % _ALIGNMENT == 0
    else:
        blocks = channels // op.groups % CHANNEL_BLOCK == 0 and op.out // op.groups % CHANNEL_BLOCK == 0
    return ("blocks", "blocks") if blocks else ("plain", "plain")


def _keeps_blocks(op: Op, shapes: tuple[Shape, ...], out: Shape) -> bool:
    """Whether `op` computes on blocks where all that it reads was made in blocks."""
    match op:
        case Activation():
            return op.function != "prelu" and not isinstance(op, TakenApart)
        case Binary():
            return op.function in ("add", "mul") and shapes[0] == shapes[1]
        case Concat():
            return all(shape[0] % CHANNEL_BLOCK == 0 for shape in shapes)
        case Norm():
            return op.function == "batch"
        case Resize():
            return out[1] % shapes[0][1] == 0 and out[2] % shapes[0][2] == 0
        case GlobalPool():
            return out[0] % CHANNEL_BLOCK == 0
        case _:
            return isinstance(op, LearnedScale)
