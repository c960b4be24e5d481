"""How many images a network works on at once."""

from __future__ import annotations

from nas.onnx.network import STATE, OnnxNetwork, OnnxNode

_SPATIAL = (
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "DeformConv",
    "BatchNormalization", "InstanceNormalization",
)  # fmt: skip
_RECURRENT = ("LSTM", "GRU", "RNN")


def batch_of(network: OnnxNetwork) -> int:
    """The leading size of the first input, where the operators say that this is the batch; else 1.

    Convolutions and poolings have their batch in front: an input is a batch where they agree with it. Recurrent layers
    have steps in front, unless their layout says otherwise, and so have inputs that are scanned. Where there is
    neither, an input of two axes and more has its batch in front.
    """
    sizes = [network.shapes[name] for name in network.inputs]
    leading = next((shape[0] for shape in sizes if len(shape) > 1), 1)
    if leading == 1:
        return 1
    reading = [node.inputs[0] for node in network.nodes if node.kind in _SPATIAL and node.inputs]
    spatial = [network.shapes[name] for name in reading if name in network.shapes]
    if spatial:
        return leading if any(shape[:1] == (leading,) for shape in spatial) else 1
    read = [node for node in network.nodes if node.kind in _RECURRENT and not node.attributes.get("layout")]
    scanned = [node for node in network.nodes if node.kind == STATE and _loses_an_axis(network, node)]
    if any(node.inputs[0] in network.inputs for node in (*read, *scanned)):
        return 1
    return leading


def _loses_an_axis(network: OnnxNetwork, node: OnnxNode) -> bool:
    """Whether a body of a loop sees a slice of the value at each trip."""
    if not node.inputs:
        return False
    source, result = (network.shapes.get(names[0], ()) for names in (node.inputs, node.outputs))
    return len(result) < len(source)
