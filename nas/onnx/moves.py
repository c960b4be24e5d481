"""What ONNX writes of data that moves: transposes, views, parts, concatenations, other sizes."""

from __future__ import annotations

from nas.graph.ops import Activation, Binary, Concat, Conv, Pool, Rearrange, Resize, Shuffle
from nas.graph.rows import elements
from nas.onnx.draft import Draft
from nas.onnx.layers import Joined, Move, Part, Stored, View, as_map
from nas.onnx.network import STATE, OnnxNode
from nas.onnx.products import other

MOVES = ("Pad", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Gather", "GatherND", "GatherElements", "Compress")
VIEWS = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Identity", "Dropout", "Cast", "CastLike", STATE,
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "SplitToSequence", "SequenceAt", "SequenceInsert",
    "SequenceConstruct", "SequenceErase", "Optional", "OptionalGetElement", "com.microsoft.nchwc.ReorderInput",
    "com.microsoft.nchwc.ReorderOutput",
)  # fmt: skip
_PARTS = ("Split", "Slice", "SequenceAt")
_NO_END = 2.0**31 - 1
"""From here on, the end of a slice means the last element."""


def transpose(d: Draft, node: OnnxNode) -> None:
    """A transposition, with the reshape behind it; none where nothing moves or a product reads it transposed."""
    x, out = node.inputs[0], node.outputs[0]
    shape = d.shape(x)
    order = [int(axis) for axis in node.attributes.get("perm", range(len(shape))[::-1])]
    following = d.readers.get(out, [])
    moved = [axis for axis in order if shape[axis] > 1]
    if moved == sorted(moved):
        d.put(View(), [x], out)
        return
    swapped = order == [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    if swapped and following and all(n.kind == "MatMul" and out in n.inputs[:2] for n in following):
        d.put(View(), [x], out)  # a matrix product reads either operand transposed
        return
    merged = out
    if len(following) == 1 and following[0].kind in ("Reshape", "Flatten") and out not in d.network.outputs:
        merged = following[0].outputs[0]
    target = d.shape(merged)
    images = d.split(x)[1]
    if images > 1 and order[0] == 0 and d.split(merged)[1] == images:  # each image by itself
        shape, target = (1, *shape[1:]), (1, *target[1:])
    rearrange = Rearrange(shape, tuple(order), target)
    if rearrange.channels_to and _in_blocks(d, x) != (rearrange.channels_to == "last"):
        a, b, c = shape[-3:]
        flat = (a, b * c) if rearrange.channels_to == "last" else (a * b, c)
        rearrange = Rearrange(flat, (1, 0), target)  # no change of layout that joins it
    d.put(rearrange, [x], merged)
    d.at.setdefault(out, d.at[merged])


def _in_blocks(d: Draft, x: str) -> bool:
    """Whether `x` is a map as convolutions leave it."""
    op = d.nodes[d.at[x]].op
    return isinstance(op, Conv | Pool | Binary | Concat) or (isinstance(op, Activation) and op.function != "prelu")


def shuffle(d: Draft, node: OnnxNode) -> None:
    """A channel shuffle, as `nas.onnx.folding` found it."""
    d.put(Shuffle(node.attributes["groups"]), node.inputs, node.outputs[0])


def views(d: Draft, node: OnnxNode) -> None:
    """What only names a value again, or a part of it."""
    if not node.inputs:  # the number of a trip
        d.put(Stored(), [], node.outputs[0])
        return
    if node.kind == "Slice" and len(node.inputs) > 4 and any(abs(s) != 1 for s in d.values(node.inputs[4]) or [0]):
        moves(d, node)
        return
    ends = d.values(node.inputs[2]) if node.kind == "Slice" and len(node.inputs) > 2 else None
    written = bool(ends) and max(ends or [0]) < _NO_END
    parts = node.kind in _PARTS and (written or d.shape(node.inputs[0]) != d.shape(node.outputs[0]))
    op = Part() if parts else View()
    for name in (name for name in node.outputs if name and name in d.network.shapes):
        d.put(op, node.inputs[:1], name)


def moves(d: Draft, node: OnnxNode) -> None:
    """What brings data into another order or size."""
    shape, out = d.shape(node.inputs[0]), d.shape(node.outputs[0])
    operands, learned = d.operands(node), d.learned(node.inputs[0])
    if not operands:
        other(d, node)
    elif learned:  # found in a table
        d.put(Move(node.kind.lower(), learned), operands, node.outputs[0])
    elif (shape == out and node.kind in ("Pad", "Expand", "Tile")) or (
        node.kind == "Gather" and elements(d.shape(node.inputs[1]) or (1,)) == 1
    ):
        d.put(Part() if node.kind == "Gather" else View(), operands[:1], node.outputs[0])
    else:
        d.put(Move(node.kind.lower()), operands, node.outputs[0])


def concat(d: Draft, node: OnnxNode) -> None:
    """A concatenation."""
    learned = sum(map(d.learned, dict.fromkeys(node.inputs)))
    d.put(Joined(learned) if learned else Concat(), d.operands(node), node.outputs[0])


def resize(d: Draft, node: OnnxNode) -> None:
    """A map in another size."""
    shape = as_map(d.one(node.outputs[0]))
    d.put(Resize(shape[-2], shape[-1]), d.operands(node)[:1], node.outputs[0], shape)
