"""How much memory the maps of a network need while it runs.

A map is alive from where it is made to the last operator that reads it. While an operator runs, its operands and its
result are alive, and whatever later operators still read. An operator that computes each element by itself (activation,
sum, product, scale) writes over an operand of the size of its result that nobody reads afterwards; a mere reshape is
its operand under another name. Everything else has a result of its own: slices and concatenations are copies. The image
and the network's result are alive like any other map. Weights are not counted, nor what a runtime adds (work space of
convolutions, alignment, other layouts).

Operators may run in any order in which each comes after what it reads. The order decides how much is alive at once, so
*the* peak of a graph is the least over all such orders.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nas.errors import InputError
from nas.graph.node import Node
from nas.graph.ops import Activation, Affine, Binary, LearnedScale, Rearrange
from nas.graph.rows import elements

BYTES_PER_NUMBER = {"float32": 4, "float16": 2, "int8": 1}
"""Precision → bytes of a number."""

MAX_STATES = 4096
"""Of more ways to be half done than this, those go on that needed the least so far: then the peak is an upper bound."""

_POINTWISE = (Activation, Affine, Binary, LearnedScale)


def bytes_per_number(precision: str) -> int:
    """Bytes of a number at a precision; `InputError` for one that is not known."""
    if precision not in BYTES_PER_NUMBER:
        known = ", ".join(BYTES_PER_NUMBER)
        raise InputError(f"sizes in bytes need a precision of {known}, but got {precision!r}; state it in device.yaml.")
    return BYTES_PER_NUMBER[precision]


def peak_elements(nodes: Sequence[Node]) -> Any:
    """The most numbers that are alive at once, at the least over all orders.

    An integer; for nodes whose shapes hold arrays (many graphs of one structure) an array of their shape.
    """
    graph = _Buffers(nodes)
    begin = _State(graph.sizes[0], graph.sizes[0], graph.next_to(0, 1))
    # The graph's own order first: what needs as much on the way need not be followed to its end.
    own = begin
    for node in range(1, len(nodes)):
        own = graph.run(node, (1 << node) - 1, own)
    # Which operators are done (a bit each) → how that stands, at the least over their orders.
    states = {1: begin}
    for _ in range(len(nodes) - 1):
        following: dict[int, _State] = {}
        for done, state in states.items():
            for node, then in graph.steps(done, state):
                if _all(then.peak >= own.peak):
                    continue
                reached = done | 1 << node
                known = following.get(reached)
                following[reached] = then if known is None else then._replace(peak=_smaller(known.peak, then.peak))
        if len(following) > MAX_STATES:
            least = sorted(following, key=lambda done: float(np.sum(following[done].peak)))[:MAX_STATES]
            following = {done: following[done] for done in least}
        states = following
    return functools.reduce(_smaller, [state.peak for state in states.values()], own.peak)


class _State(NamedTuple):
    """A graph half done: the most numbers alive so far, those alive now, and the operators that may run next."""

    peak: Any
    alive: Any
    ready: frozenset[int]


class _Buffers:
    """The buffers of a graph, each known by the node that makes it; sets of nodes are bits of an integer."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self.sizes = [_size(node) for node in nodes]
        self._of = list(range(len(nodes)))
        self._readers = [0] * len(nodes)
        self._needs = [0] * len(nodes)
        self._after: list[list[int]] = [[] for _ in nodes]
        for i, node in enumerate(nodes):
            if _is_view(node):
                self._of[i] = self._of[node.inputs[0]]
            for operand in set(node.inputs):
                self._readers[self._of[operand]] |= 1 << i
                self._needs[i] |= 1 << operand
                self._after[operand].append(i)
        self._result = self._of[-1]

    def next_to(self, node: int, done: int) -> frozenset[int]:
        """The readers of `node` that may run next when all of `done` is."""
        return frozenset(i for i in self._after[node] if self._needs[i] & done == self._needs[i])

    def steps(self, done: int, state: _State) -> list[tuple[int, _State]]:
        """What may run next, and how it stands then.

        Where an operator neither raises the peak nor leaves more alive, it alone: to wait with it wins nothing, since
        all that comes before it could as well come after.
        """
        found = []
        for node in state.ready:
            then = self.run(node, done, state)
            if _all(then.peak <= state.peak) and _all(then.alive <= state.alive):
                return [(node, then)]
            found.append((node, then))
        return found

    def run(self, node: int, done: int, state: _State) -> _State:
        """How it stands when `node` has run after those of `done`."""
        after = done | 1 << node
        dead = [i for i in {self._of[operand] for operand in self._nodes[node].inputs} if self._is_dead(i, after)]
        during = state.alive + self._added(node, dead)
        alive = state.alive - sum(self.sizes[i] for i in dead)
        if self._of[node] == node and not self._is_dead(node, after):
            alive = alive + self.sizes[node]
        ready = state.ready - {node} | self.next_to(node, after)
        return _State(_greater(state.peak, during), alive, ready)

    def _added(self, node: int, dead: Sequence[int]) -> Any:
        """The numbers that a node's result adds, where the buffers `dead` are read for the last time."""
        if self._of[node] != node:
            return 0
        operands = self._nodes[node].inputs if isinstance(self._nodes[node].op, _POINTWISE) else ()
        shape = self._nodes[node].shape
        in_place = any(self._of[i] in dead and self._nodes[i].shape == shape for i in operands)
        return 0 if in_place else self.sizes[node]

    def _is_dead(self, buffer: int, done: int) -> bool:
        return buffer != self._result and not self._readers[buffer] & ~done


def _greater(a: Any, b: Any) -> Any:
    return max(a, b) if type(a) is type(b) is int else np.maximum(a, b)


def _smaller(a: Any, b: Any) -> Any:
    return min(a, b) if type(a) is type(b) is int else np.minimum(a, b)


def _all(mask: Any) -> bool:
    return mask if type(mask) is bool else bool(np.all(mask))


def _is_view(node: Node) -> bool:
    return isinstance(node.op, Rearrange) and not node.op.moves_data


def _size(node: Node) -> Any:
    """The numbers in a node's value: an integer, or an array where its shape holds arrays."""
    return elements(tuple(getattr(size, "values", size) for size in node.shape))


__all__ = ["BYTES_PER_NUMBER", "MAX_STATES", "bytes_per_number", "peak_elements"]
