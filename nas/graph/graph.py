"""The operator graph of a network, and its readings: counts, operator rows, segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from nas.graph.node import Node
from nas.graph.operators import OperatorTable
from nas.graph.ops import Activation, Input
from nas.graph.rows import Row, Shape, elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The operators between two points where a single tensor is alive: what a stopwatch can time in context.

    `key` is the canonical text of its inference operators with their shapes; equal keys mean equal work. `rows` are the
    operators. Both are the network's own here; what a runtime adds is in `nas.runtimes`.
    """

    key: str
    layer: int
    params: int
    macs: int
    rows: tuple[Row, ...]

    @property
    def operators(self) -> OperatorTable:
        """The rows as columns."""
        return OperatorTable.from_rows(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file says of a network beside its operators.

    `batch` images go through it at once. `precision` is what most of its multiply-adds are computed in, `weights` what
    their weights are stored in; empty for a graph that is written in any. `uncounted` are kinds of operators that may
    hold multiply-adds nobody counted, `notes` sentences on what was taken for granted.
    """

    batch: int = 1
    precision: str = ""
    weights: str = ""
    uncounted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


OWN_GRAPH = Reading()
"""Of a graph that comes from no file."""


class Graph:
    """An immutable operator graph: `nodes` in execution order, node 0 the input, the last node the output.

    A network of several inputs has them all at the beginning. Counts are those of the whole batch (`reading`).
    """

    def __init__(self, nodes: tuple[Node, ...], reading: Reading = OWN_GRAPH) -> None:
        self.nodes = nodes
        self.reading = reading

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width) of the image."""
        return self.nodes[0].shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the last value."""
        return self.nodes[-1].shape

    @property
    def macs_are_a_lower_bound(self) -> bool:
        """Whether there are operators whose multiply-adds nobody counted."""
        return bool(self.reading.uncounted)

    @property
    def precision(self) -> str:
        """What most multiply-adds are computed in, as the file says; empty for a graph that comes from none."""
        return self.reading.precision

    @property
    def batch(self) -> int:
        """How many images go through it at once."""
        return self.reading.batch

    def batched(self, batch: int) -> Graph:
        """The graph of `batch` images at once. Raises `ValueError` where a node works on images of a batch together."""
        old = self.batch
        if any(node.times * batch % old for node in self.nodes):
            raise ValueError(f"every operator must work on each of the {old} images by itself")
        nodes = tuple(node._replace(times=node.times * batch // old) for node in self.nodes)
        return Graph(nodes, replace(self.reading, batch=batch))

    def input_shapes(self, node: Node) -> tuple[Shape, ...]:
        """The shapes of a node's operands."""
        return tuple(self.nodes[i].shape for i in node.inputs)

    @cached_property
    def params(self) -> int:
        """Learned numbers of the inference form (a folded batch norm is one bias a channel)."""
        return sum(n.params(self.input_shapes(n)) for n in self.nodes)

    @cached_property
    def training_params(self) -> int:
        """Learned numbers of the training form (batch norm: scale and shift)."""
        return sum(n.training_params(self.input_shapes(n)) for n in self.nodes)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of convolutions, linear layers and attention products."""
        return sum(n.macs(self.input_shapes(n)) for n in self.nodes)

    @cached_property
    def training_macs(self) -> int:
        """Multiply-adds of the training form, in which the branches of re-parameterised convolutions are apart."""
        return sum(n.op.training_macs(self.input_shapes(n), n.shape) * n.times for n in self.nodes)

    @cached_property
    def activation_elements(self) -> int:
        """Numbers written by all operators of the inference form for one image."""
        return int(self.operators().output_elements.sum())

    def memory_traffic_bytes(self, bytes_per_element: int = 2) -> int:
        """Bytes that the operators read and write for one image, weights included, nothing kept on chip."""
        table = self.operators()
        moved = table.input_elements.sum() + table.output_elements.sum() + table.weight_elements.sum()
        return int(moved) * bytes_per_element

    def operators(self) -> OperatorTable:
        """The inference operators as columns, in execution order."""
        return OperatorTable.from_rows([row for n in self.nodes for row in n.rows(self.input_shapes(n))])

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """One segment a layer, in order; together they hold every operator once. None knows its neighbours: the same
        layer on the same map is the same segment in all networks."""
        return tuple(_segment(self.nodes, start, stop) for start, stop in self.layers)

    @cached_property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Where each layer, and so its segment, starts and stops among the nodes."""
        layers = [node.layer for node in self.nodes]
        first = next((i for i, node in enumerate(self.nodes) if not isinstance(node.op, Input)), len(layers))
        starts = [i for i in range(first, len(layers)) if i == first or layers[i] != layers[i - 1]]
        return tuple(zip(starts, [*starts[1:], len(layers)], strict=False))


def single(graph: Graph) -> Graph:
    """The graph of one image of a batch; `graph` itself where it works on images together."""
    try:
        return graph if graph.batch == 1 else graph.batched(1)
    except ValueError:
        return graph


def _segment(nodes: tuple[Node, ...], start: int, stop: int) -> Segment:
    """The segment of nodes[start:stop]; values are numbered from 0, its input, so that equal work has equal text.

    What it reads beside that (a second input of the network) is -1, -2, ..., with its shape.
    """
    consumers: dict[int, int] = {}
    for node in nodes[start:stop]:
        for i in node.inputs:
            consumers[i] = consumers.get(i, 0) + 1
    number: dict[int, int] = {}
    outer: dict[int, int] = {}
    words: list[str] = []
    rows: list[Row] = []
    params = macs = 0
    for i in range(start, stop):
        node = nodes[i]
        shapes = tuple(nodes[j].shape for j in node.inputs)
        rows.extend(node.rows(shapes))
        params += node.params(shapes)
        macs += node.macs(shapes)
        sources = [outer.setdefault(j, -len(outer)) if j < start else number[j] for j in node.inputs]
        fused = isinstance(node.op, Activation) and node.inputs == (i - 1,) and i > start and consumers[i - 1] == 1
        if fused:
            words[-1] += "+" + node.op.text()
            number[i] = len(words)
            continue
        chain = sources == [len(words)]
        named = (f"{s}:{_dims(shape)}" if s < 0 else str(s) for s, shape in zip(sources, shapes, strict=True))
        refs = "" if chain else "(" + ",".join(named) + ")"
        before = f"{_dims(shapes[0])}>" if not words and shapes else ""
        times = f"*{node.times}" if node.times != 1 else ""
        words.append(f"{node.op.text()}{refs} {before}{_dims(node.shape)}{times}")
        number[i] = len(words)
    return Segment(key="; ".join(words), layer=nodes[start].layer, params=params, macs=macs, rows=tuple(rows))


def _dims(shape: Shape) -> str:
    return "x".join(map(str, shape))


def feature_candidates(graph: Graph) -> tuple[int, ...]:
    """Positions of the values that a backbone may hand out, in order: each layer's result, and maps marked inside."""
    last = {node.layer: i for i, node in enumerate(graph.nodes) if not isinstance(node.op, Input)}
    return tuple(sorted({*last.values(), *(i for i, node in enumerate(graph.nodes) if node.feature)}))


__all__ = ["OWN_GRAPH", "Graph", "Node", "Reading", "Segment", "elements", "feature_candidates", "single"]
