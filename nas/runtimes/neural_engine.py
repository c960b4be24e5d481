"""Operators that are reported to leave Apple's Neural Engine, so that Core ML runs them on the GPU or CPU.

The source is M. Hollemans, "Which Core ML layers are not supported by the ANE?"
(github.com/hollance/neural-engine, docs/unsupported-layers.md): recurrent layers, gather, dilated convolutions, layers
for broadcasting and for tensors of any rank ("ND"), custom layers. It calls itself incomplete and partly guessed, and
Apple documents none of it, so these are flags to look at in Xcode's performance report, not facts about a device.
No operator of this project becomes a recurrent, gathering or custom layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas.graph.graph import Graph, Node
from nas.graph.ops import Conv, Linear, MatMul, Softmax

SOURCE = "github.com/hollance/neural-engine, docs/unsupported-layers.md"


def _is_dilated(node: Node) -> bool:
    return isinstance(node.op, Conv) and max(node.op.dilation) > 1


def _has_any_rank(node: Node) -> bool:
    """Whether its Core ML layer is one for tensors of any rank; the vector of a head is a map of one pixel."""
    return isinstance(node.op, MatMul | Softmax) or (isinstance(node.op, Linear) and len(node.shape) > 1)


LEAVING: Mapping[str, Callable[[Node], bool]] = {
    "dilated convolutions": _is_dilated,
    "layers for tensors of any rank (matrix products, softmax, linear layers of tokens)": _has_any_rank,
}


def leaves_neural_engine(graph: Graph) -> tuple[str, ...]:
    """One sentence for each kind of operator in `graph` that is reported to leave the Neural Engine."""
    found = []
    for name, applies in LEAVING.items():
        count = sum(applies(node) for node in graph.nodes)
        if count:
            found.append(f"operators reported to leave Apple's Neural Engine: {count} {name} ({SOURCE})")
    return tuple(found)
