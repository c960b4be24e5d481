"""What a runtime makes of a network: the segments that it executes, with the operators that it adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from nas.graph.graph import Graph, Segment
from nas.graph.rows import Row, repeated
from nas.graph.words import kind_words
from nas.onnx.layers import TakenApart
from nas.runtimes.layouts import Copies, copies_alone, copies_in_context

CONTEXT = " ~ reorders "
"""What divides a key from the copies that a segment needs in a network, where they are not the usual ones."""

APART = " ~ apart "
"""What divides a key from the activations in it that the runtime computes operator by operator."""

Lowering = Callable[[Graph], tuple[Segment, ...]]
"""The segments of a network, in order; together they hold every operator of it once, and the runtime's own beside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How a runtime executes networks.

    `segments`: each as if alone, so that the same layer on the same map is the same segment in all networks, and a
    layer can be lowered by itself. `in_context`: as this very network needs them; where that is not what a segment
    needs alone, its key says so behind `CONTEXT`. `remarks`: why a network costs more there than it need, a sentence
    for each reason.
    """

    name: str
    segments: Lowering
    in_context: Lowering
    remarks: Callable[[Graph], tuple[str, ...]]


def usual_key(key: str) -> str:
    """The key that the segment called `key` has alone."""
    return key.partition(CONTEXT)[0]


def _own(graph: Graph) -> tuple[Segment, ...]:
    return graph.segments


def _copied_alone(graph: Graph) -> tuple[Segment, ...]:
    spans = zip(graph.segments, graph.layers, strict=True)
    return tuple(_with_copies(graph, own, span, copies_alone(graph.nodes, *span)) for own, span in spans)


def _copied_in_context(graph: Graph) -> tuple[Segment, ...]:
    needed = copies_in_context(graph.nodes)
    found = []
    for own, span in zip(graph.segments, graph.layers, strict=True):
        usual = copies_alone(graph.nodes, *span)
        copies = needed.among(*span)
        if copies == usual.among(*span):
            found.append(_with_copies(graph, own, span, usual))
            continue
        words = ", ".join("x".join(map(str, row[5:8])) for row in copies)
        made = _with_copies(graph, own, span, needed)
        found.append(replace(made, key=f"{made.key}{CONTEXT}{words}"))
    return tuple(found)


def _with_copies(graph: Graph, own: Segment, span: tuple[int, int], copies: Copies) -> Segment:
    """The network's own segment, nodes[start:stop], with `copies` where they are made, and activations that are taken
    apart operator by operator."""
    rows: list[Row] = []
    apart = []
    for i in range(*span):
        node = graph.nodes[i]
        operators = node.rows(graph.input_shapes(node))
        if isinstance(node.op, TakenApart):
            operators = tuple(repeated(row, node.times) for row in node.op.part_rows(node.shape))
            apart.append(node.op.function)
        rows += [*copies.before.get(i, ()), *operators, *copies.behind.get(i, ())]
    key = f"{own.key}{APART}{', '.join(apart)}" if apart else own.key
    return replace(own, key=key, rows=tuple(rows))


def _nothing(graph: Graph) -> tuple[str, ...]:
    return ()


def _taken_apart(graph: Graph) -> tuple[str, ...]:
    """What is written as several operators that ONNX Runtime does not join, and what to do."""
    counts = Counter(node.op.function for node in graph.nodes if isinstance(node.op, TakenApart))
    return tuple(
        f"{count} {kind_words(f'act:{function}')} of the file {'is' if count == 1 else 'are'} written as several"
        f" operators, which ONNX Runtime does not join, so that it is dearer than the network need be;"
        f" {_REMEDIES.get(function, _REMEDY)}"
        for function, count in counts.items()
    )


_REMEDY = "export it with the activation as one operator"
_REMEDIES = {
    "gelu": "export `torch.nn.GELU()` with opset 20, and simplify without moving its factor 1/2 into the next weights",
    "hswish": "use `torch.nn.Hardswish()`, and opset 14 or later",
    "hsigmoid": "use `torch.nn.Hardsigmoid()`, and opset 14 or later",
}
OWN = Runtime(name="", segments=_own, in_context=_own, remarks=_nothing)
"""A runtime of which no more is known than the network says: the network's own segments."""
ONNX_RUNTIME = Runtime(name="ONNX Runtime", segments=_copied_alone, in_context=_copied_in_context, remarks=_taken_apart)
"""With the copies between layouts (`nas.runtimes.layouts`)."""


def find_runtime(text: str) -> Runtime:
    """The runtime that a device names, with or without a version ("ONNX Runtime 1.26.0"); `OWN` for any other."""
    return ONNX_RUNTIME if f"{text} ".startswith(f"{ONNX_RUNTIME.name} ") else OWN
