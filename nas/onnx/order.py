"""What the nodes of an ONNX graph read of one another, and an order in which they can be computed."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import onnx

from nas.errors import InputError


def in_order(nodes: Sequence[onnx.NodeProto], path: Path) -> list[onnx.NodeProto]:
    """The nodes, each behind what it reads: some tools append what they insert, and runtimes sort.

    Raises `InputError` where values need one another.
    """
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    reads = [{maker[name] for name in (*node.input, *outer_names(node)) if name in maker} for node in nodes]
    if all(max(read, default=-1) < i for i, read in enumerate(reads)):
        return list(nodes)
    readers: dict[int, list[int]] = {}
    for i, read in enumerate(reads):
        for j in read:
            readers.setdefault(j, []).append(i)
    waiting = [len(read) for read in reads]
    ready = [i for i, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    found = []
    while ready:
        i = heapq.heappop(ready)
        found.append(nodes[i])
        for j in readers.get(i, ()):
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(ready, j)
    if len(found) < len(nodes):
        raise InputError(
            f"{path} must have values that can be computed one after the other, but some need one another."
        )
    return found


def names_read(graph: onnx.GraphProto) -> set[str]:
    """What any node, or whoever runs the network, reads."""
    found = {value.name for value in graph.output}
    for node in graph.node:
        found.update(node.input)
        found.update(outer_names(node))
    return found


def outer_names(node: onnx.NodeProto) -> set[str]:
    """Names that the subgraphs of a node read."""
    return {
        name
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
        for name in names_read(attribute.g)
    }
