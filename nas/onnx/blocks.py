"""Convolutions that ONNX Runtime saved for blocks of channels (NCHWc): their weights are padded to whole blocks.

How many channels are real, the bias tells: its padding is zeros, and learned ones are none. Without it, or where it is
all zeros, the padded channels count, as the runtime computes them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from nas.graph.rows import Shape
from nas.onnx.alike import BLOCKS
from nas.onnx.constants import Array
from nas.onnx.shapes import fixed_shape

_MOST_PADDING = 15
"""Channels that fill a block of 16 (AVX-512)."""


def real_weights(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], constants: Mapping[str, Array | None]
) -> Shape | None:
    """The shape that the weights of such a convolution had before; None for another operator, or none that differs."""
    if node.domain != BLOCKS or node.op_type != "Conv" or len(node.input) < 3:
        return None
    bias, weights = constants.get(node.input[2]), fixed_shape(types.get(node.input[1]))
    source = fixed_shape(types.get(node.input[0]))
    if bias is None or weights is None or source is None or min(len(weights), len(source)) < 3:
        return None
    real = np.flatnonzero(bias)
    padding = len(bias) - 1 - int(real[-1]) if len(real) else 0
    out = weights[0] - padding if padding <= _MOST_PADDING else weights[0]
    found = (out, min(weights[1], source[1]), *weights[2:])
    return found if found != weights else None
