"""Which layer of a network, and which operator in it, stands for which of another: the longest runs that agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from nas.graph import Graph
from nas.graph.ops import Activation, Binary, Conv, GlobalPool, Norm
from nas.space import Architecture
from nas.space.architecture import Layer

T = TypeVar("T")
_BLOCK, _LEVEL, _ARGUMENT = 10_000, 1_000, 10


def paired_nodes(child: Architecture, parent: Architecture) -> tuple[dict[int, int], dict[int, int]]:
    """(layer of the child → layer of the parent, node of the child's graph → node of the parent's), layers from 1.

    Layers pair with layers of the same block, in order, by where they are in the network and how much their parameters
    agree; of equals the first do. Image and image are a pair.
    """
    ours, theirs = child.graph(), parent.graph()
    layers = paired_layers(child, parent)
    nodes = {0: 0}
    for mine, other in layers.items():
        own, its = range(*ours.layers[mine - 1]), range(*theirs.layers[other - 1])
        first, second = ([_node_key(graph, i) for i in places] for graph, places in ((ours, own), (theirs, its)))
        for i, j in _aligned(first, second, _node_score):
            nodes[own[i]] = its[j]
    return layers, nodes


def paired_layers(child: Architecture, parent: Architecture) -> dict[int, int]:
    """Layer of the child → layer of the parent, both counted from 1."""
    pairs = _aligned(_placed(child), _placed(parent), _layer_score)
    return {i + 1: j + 1 for i, j in pairs}


_Placed = tuple[Layer, int, int]


def _placed(architecture: Architecture) -> list[_Placed]:
    """Each layer with how often the image was halved before it, and behind it."""
    inputs = architecture.layer_inputs()
    levels = [round(math.log2(inputs[0][1] / shape[1])) for shape in inputs]
    return list(zip(architecture.layers, levels, [*levels[1:], levels[-1]], strict=True))


def _layer_score(child: _Placed, parent: _Placed) -> int:
    (own, own_in, own_out), (its, its_in, its_out) = child, parent
    if own.block != its.block:
        return 0
    given = dict(its.args)
    same = sum(value == given[name] for name, value in own.args)
    return _BLOCK + _LEVEL * ((own_in == its_in) + (own_out == its_out)) + _ARGUMENT * same


_NodeKey = tuple[str, str, tuple[int, ...]]


def _node_key(graph: Graph, position: int) -> _NodeKey:
    op = graph.nodes[position].op
    match op:
        case Conv():
            inputs = graph.input_shapes(graph.nodes[position])[0][0]
            kind = "dense" if op.groups == 1 else "depthwise" if op.groups == inputs else "grouped"
            return ("conv", kind + " of a vector" * _is_pooled(graph, position), op.kernel)
        case Binary() | Norm():
            return (op.name, op.function, ())
        case Activation():
            return (op.name, "learned" if op.function == "prelu" else "fixed", ())
    return (op.name, "", ())


def _is_pooled(graph: Graph, position: int) -> bool:
    """Whether a node reads what comes, through convolutions and activations alone, from pooling a map to one value."""
    op = graph.nodes[graph.nodes[position].inputs[0]].op
    if isinstance(op, Conv | Activation):
        return _is_pooled(graph, graph.nodes[position].inputs[0])
    return isinstance(op, GlobalPool)


def _node_score(child: _NodeKey, parent: _NodeKey) -> int:
    if child[:2] != parent[:2]:
        return 0
    return (10 if child[0] in ("conv", "linear", "norm") else 1) + (child[2] == parent[2])


def _aligned(first: Sequence[T], second: Sequence[T], score: Callable[[T, T], int]) -> list[tuple[int, int]]:
    """Pairs of positions, in order in both, whose scores have the largest sum; pairs of score 0 are none."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    scores = [[score(one, two) for two in second] for one in first]
    for i in reversed(range(len(first))):
        for j in reversed(range(len(second))):
            matched = scores[i][j] + best[i + 1][j + 1] if scores[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], matched)
    pairs, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if scores[i][j] and scores[i][j] + best[i + 1][j + 1] == best[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] == best[i][j]:
            i += 1
        else:
            j += 1
    return pairs
