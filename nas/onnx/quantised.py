"""Quantised networks: what brings numbers into integers and back folds into the operators between.

A pair of QuantizeLinear and DequantizeLinear around an operator, and the scalings behind an integer one, say how that
operator computes, not that something else is done. In what precision that is, `OnnxNode.computed_in` has kept.
"""

from __future__ import annotations

from nas.onnx.network import OnnxNetwork, prune

_PAIRS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_RESCALING = ("Mul", "Div", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity")


def fold_quantisation(network: OnnxNetwork) -> None:
    """Leave the operators that compute, in place."""
    same: dict[str, str] = {}
    scales: set[str] = set()
    kept = []
    for node in network.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        if node.kind in _PAIRS:
            same[node.outputs[0]] = node.inputs[0]
            scales.update(name for name in node.outputs[1:] if name)
            continue
        read = [name for name in node.inputs if name and name not in network.constants]
        if node.kind in _RESCALING and read and all(name in scales for name in read):
            scales.update(node.outputs)
            continue
        if node.kind in ("Mul", "Div") and len(read) == 2 and read[1] in scales:
            same[node.outputs[0]] = read[0]
            continue
        kept.append(node)
    network.nodes = kept
    network.constants.update(dict.fromkeys(scales))
    network.outputs = [same.get(name, name) for name in network.outputs]
    prune(network)
