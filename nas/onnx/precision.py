"""What a network computes in: float32, float16, int8, by the types of what its products multiply."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from nas.onnx.network import ComputedIn

FLOAT32 = "float32"
_NAMES: Mapping[int, str] = {
    TensorProto.FLOAT: FLOAT32, TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64", TensorProto.INT8: "int8", TensorProto.UINT8: "int8", TensorProto.INT16: "int16",
    TensorProto.UINT16: "int16", TensorProto.INT4: "int4", TensorProto.UINT4: "int4",
    **dict.fromkeys((TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2,
                     TensorProto.FLOAT8E5M2FNUZ), "float8"),
}  # fmt: skip
MOVING = frozenset((
    "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice", "Split", "Gather", "Pad", "Expand",
    "Concat",
))  # fmt: skip
"""Operators that leave numbers as they are: behind them is still what an integer was restored to."""


def precision_name(kind: int) -> str | None:
    """The name of a type of numbers, whether signed or not; None for types that nothing is computed in."""
    return _NAMES.get(kind)


def dominant(macs: Mapping[ComputedIn | None, int], otherwise: str) -> tuple[ComputedIn, str]:
    """What most multiply-adds are computed in (`otherwise` where there are none), and a sentence where it is not all.

    Less than a twentieth in another precision, such as a first layer, is not spoken of.
    """
    known = {key: count for key, count in macs.items() if key is not None and count}
    total = sum(known.values())
    if not total:
        return ComputedIn(otherwise, otherwise), ""
    first = max(known, key=lambda key: known[key])
    rest: dict[str, int] = {}
    for key, count in known.items():
        if key != first:
            name = key.values if key.values == key.weights else f"{key.values} with weights of {key.weights}"
            rest[name] = rest.get(name, 0) + count
    told = [f"{count / total:.0%} in {name}" for name, count in rest.items() if count >= total / 20]
    return first, f"not all multiply-adds are in {first.values}: {', '.join(told)}" if told else ""
