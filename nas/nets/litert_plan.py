"""What is decided of a whole graph before a LiteRT file is written: what fuses, and where the channels stand."""

from __future__ import annotations

from collections.abc import Mapping

from nas.graph import Graph
from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Conv,
    GlobalPool,
    LearnedScale,
    Linear,
    MatMul,
    Norm,
    Op,
    Rearrange,
    Reduce,
    Shuffle,
    Slice,
    Softmax,
)

_PRELU = Activation("prelu")
_KEEPS_TOKENS = (Activation, Affine, Binary, LearnedScale, Reduce, Slice, Softmax)


def absorbed(graph: Graph) -> dict[int, int]:
    """Position of an operator that another before it does with its own work → the position of that one.

    Where nobody else reads what is between them, a convolution takes over what multiplies and shifts its channels, and
    a convolution, a linear layer, a sum or a batch norm the ReLU behind that; the first two take over a hard sigmoid,
    save for its factor.
    """
    readers = _readers(graph)
    found: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        if len(node.inputs) != 1 or len(readers[node.inputs[0]]) > 1:
            continue
        (source,) = node.inputs
        if source in found and isinstance(graph.nodes[source].op, Activation):
            continue
        producer = found.get(source, source)
        match node.op, graph.nodes[producer].op:
            case ((LearnedScale() | Affine() | Norm(function="batch")), Conv()):
                found[position] = producer
            case Activation(function="relu" | "relu6"), (
                Conv() | Linear() | Binary(function="add" | "sub" | "mul") | Norm(function="batch")
            ):
                found[position] = producer
            case Activation(function="hsigmoid"), (Conv() | Linear()):
                found[position] = producer
    return found


def channels_first(graph: Graph, absorbed: Mapping[int, int]) -> list[bool]:
    """For every node, whether it reads and stores values of three axes as the graph has them.

    So are tokens, and the maps that torch's reshapes give and need: those of a rearrangement or a shuffle, and what has
    weights that broadcast over a map (a scale, a group norm). A sum or product that only such operators read is
    computed as they read it, where one of its operands is there in that order anyway. All other maps have their
    channels last. (litert-torch's passes come to the same.)
    """
    readers = _readers(graph)
    first = [_needs_first(node.op) and i not in absorbed for i, node in enumerate(graph.nodes)]
    first[0] = True
    tokens = [isinstance(node.op, Linear | MatMul) or node.op == Norm("layer") for node in graph.nodes]
    for position, node in enumerate(graph.nodes):
        if isinstance(node.op, _KEEPS_TOKENS) and any(tokens[i] for i in node.inputs):
            first[position] = tokens[position] = True
    for position in range(len(graph.nodes) - 1, 0, -1):
        node = graph.nodes[position]
        if isinstance(node.op, Binary):
            is_there = any(first[i] or any(first[j] for j in readers[i]) for i in node.inputs)
        else:
            is_there = node.op == _PRELU
        if is_there and readers[position] and all(first[i] for i in readers[position]):
            first[position] = True
    for position, producer in absorbed.items():
        first[position] = first[producer]
    return first


def reads_first(op: Op, stores_first: bool) -> bool:
    """Whether `op` reads maps with their channels first: as it stores them, but where it brings them elsewhere."""
    swaps = isinstance(op, Rearrange) and op.channels_to is not None
    return stores_first != swaps


def _readers(graph: Graph) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in graph.nodes]
    for position, node in enumerate(graph.nodes):
        for i in node.inputs:
            found[i].append(position)
    return found


def _needs_first(op: Op) -> bool:
    match op:
        case Rearrange():
            return op.channels_to != "first"
        case Shuffle() | LearnedScale() | Linear() | MatMul() | GlobalPool(flatten=True):
            return True
        case Norm(function="group" | "layer"):
            return True
    return False
