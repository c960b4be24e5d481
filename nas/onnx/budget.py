"""How much of a file's constant arithmetic is done: what goes beyond is an operator that is not folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

MOST_NODES = 5_000
MOST_ELEMENTS = 2**22
"""Of all constants that are computed for one file."""
_FOLDED = frozenset((
    "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Cos", "CumSum", "Div", "Equal", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "Max", "Mean",
    "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "ScatterElements", "ScatterND", "Sigmoid", "Sign",
    "Sin", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze",
    "Where", "Xor",
))  # fmt: skip
"""Operators that bring numbers into shapes and scalars; none of them has a body, and none reads a pattern."""

Array = np.ndarray[Any, Any]


class Budget:
    """What is left for the constants of one file."""

    def __init__(self, nodes: int = MOST_NODES, numbers: int = MOST_ELEMENTS) -> None:
        self._nodes, self._numbers = nodes, numbers

    def allows(self, node: onnx.NodeProto, operands: Sequence[Array], most: int) -> bool:
        """Whether `node` is to be computed on `operands`: it makes at most `most` numbers, and they are left; they are
        spent then."""
        if node.domain not in ("", "ai.onnx") or node.op_type not in _FOLDED:
            return False
        made = result_elements(node, operands)
        if made > most or self._nodes < 1 or self._numbers < made:
            return False
        self._nodes, self._numbers = self._nodes - 1, self._numbers - int(made)
        return True


def result_elements(node: onnx.NodeProto, operands: Sequence[Array]) -> float:
    """At most how many numbers the results of `node` hold, without computing them."""
    sizes = [float(value.size) for value in operands]
    try:
        rule = _SIZES.get(node.op_type)
        if rule is not None:
            found = float(rule(operands))
            return found if np.isfinite(found) else np.inf
        if node.op_type in ("Gather", "GatherND", "Where"):
            return float(np.prod(sizes))
        if node.op_type in _BROADCAST:
            return float(np.prod(np.broadcast_shapes(*(value.shape for value in operands)), dtype=np.float64))
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return np.inf
    return sum(sizes) * max(np.ndim(value) for value in operands) + 1 if sizes else 1.0


_BROADCAST = frozenset((
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
    "Mul", "Or", "Pow", "Sub", "Sum", "Xor",
))  # fmt: skip


def _shape_of(values: Sequence[Array]) -> float:
    return float(np.prod(np.maximum(values[0].astype(np.float64), 0.0)))


def _tiles(values: Sequence[Array]) -> float:
    return float(values[0].size * np.prod(np.maximum(values[1].astype(np.float64), 0.0)))


def _steps(values: Sequence[Array]) -> float:
    start, limit, step = (float(value.reshape(-1)[0]) for value in values[:3])
    return max((limit - start) / step, 0.0) + 1.0


_SIZES: Mapping[str, Any] = {
    "ConstantOfShape": _shape_of,
    "Expand": lambda values: values[0].size * _shape_of(values[1:]),
    "Tile": _tiles,
    "Range": _steps,
}
"""Operators whose operands say how much they make."""
