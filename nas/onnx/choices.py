"""Branches of a network of which a condition takes one, when it runs: the dearer one stands for both."""

from __future__ import annotations

from collections.abc import Callable

from nas.onnx.network import CHOICE, STATE, OnnxNetwork, OnnxNode

Count = Callable[[list[OnnxNode]], int]
"""The multiply-adds of some nodes."""


def choose(network: OnnxNetwork, count: Count) -> None:
    """Put the dearer branch in the place of every If, the first where both are as dear; a note says so."""
    network.nodes = _chosen(network, network.nodes, count)


def _chosen(network: OnnxNetwork, nodes: list[OnnxNode], count: Count) -> list[OnnxNode]:
    found: list[OnnxNode] = []
    for node in nodes:
        if node.kind != CHOICE:
            found.append(node)
            continue
        branches = [_chosen(network, branch, count) for branch in node.attributes["branches"]]
        macs = [count(branch) for branch in branches]
        dearer = macs.index(max(macs))
        found += branches[dearer]
        for source, name in zip(node.attributes["results"][dearer], node.outputs, strict=False):
            if name:
                found.append(OnnxNode(STATE, [source], [name], repeats=node.repeats))
        if len(set(macs)) > 1:
            network.notes.append(f"an If takes the dearer of its branches ({max(macs)} multiply-adds)")
    return found
