"""Constant arithmetic of an ONNX file: the values of a node whose operands are known, small and few.

Only operators that bring numbers into shapes and scalars are computed, once each, and only where the size of their
result is known beforehand (`nas.onnx.budget`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, reference

from nas.onnx.budget import Budget

SMALL = 4096
"""Constants of up to so many elements are kept with their values; of larger ones, weights, the shape counts."""

Array = NDArray[Any]

_DIRECT: Mapping[str, Callable[..., Array]] = {
    "Identity": lambda x: x,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Neg": lambda x: -x,
    "Not": lambda x: np.logical_not(x),
    "Equal": lambda x, y: np.equal(x, y),
    "Less": lambda x, y: np.less(x, y),
    "Greater": lambda x, y: np.greater(x, y),
    "Where": lambda c, x, y: np.where(c, x, y),
}
"""What is computed by NumPy alone, as ONNX's own evaluator would: it takes a millisecond a node."""


def kept(tensor: onnx.TensorProto) -> Array | None:
    """The values of a small tensor; None where they are many, elsewhere, or of a type that NumPy has not."""
    if number(tensor.dims) > SMALL or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        return None


def number(dims: Sequence[int]) -> float:
    """How many elements a tensor of these sizes has, as a float, which no size overflows."""
    return float(np.prod(np.asarray(dims, dtype=np.float64))) if len(dims) else 1.0


def evaluate(
    node: onnx.NodeProto, operands: Mapping[str, Array], opsets: Sequence[onnx.OperatorSetIdProto], budget: Budget
) -> list[Array] | None:
    """The results of `node` on `operands`; None for what the budget does not allow, or fails."""
    if not budget.allows(node, [operands[name] for name in node.input if name], SMALL):
        return None
    try:
        with np.errstate(all="ignore"):
            direct = _DIRECT.get(node.op_type)
            if direct is not None and not any(attribute.name in ("broadcast", "axis") for attribute in node.attribute):
                results = [np.asarray(direct(*(operands[name] for name in node.input)))]
            else:
                results = _referred(node, operands, opsets)
    # ONNX's evaluator raises whatever NumPy does, and assertions of its own.
    except Exception:  # noqa: BLE001
        return None
    return None if any(np.size(value) > SMALL for value in results) else [np.asarray(value) for value in results]


def _referred(
    node: onnx.NodeProto, operands: Mapping[str, Array], opsets: Sequence[onnx.OperatorSetIdProto]
) -> list[Any]:
    """The results by ONNX's own evaluator."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(operands[name].dtype), operands[name].shape)
        for name in dict.fromkeys(node.input)
        if name
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "constant", inputs, outputs)
    evaluator = reference.ReferenceEvaluator(helper.make_model(graph, opset_imports=list(opsets)))
    return list(evaluator.run(None, dict(operands)))
