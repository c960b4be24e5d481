"""Rules of shapes that ONNX does not have: for its oldest operators, sequences, sizes that depend on the data, and for
operators of ONNX Runtime that are like none of ONNX's own.

A rule takes the operands' shapes (None where one is left out), the attributes and the operands' values where those are
constant; it gives a shape for each result, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.graph.rows import Shape, elements
from nas.onnx.attention import ATTENTIONS
from nas.onnx.letters import letters_of

Shapes = Sequence[Shape | None]
Values = Sequence[Any]
Rule = Callable[[Shapes, Mapping[str, Any], Values], Shapes]

AT_MOST = frozenset(("Compress", "Slice", "Split", "TopK", "Unique", "Dropout", "CenterCropPad"))
"""Operators of which no result is larger than the operand, whatever the data is."""


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError("a shape is not known")
    return shape


def _first(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    return [_known(shapes[0])] * 8


def _broadcast(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    if given.get("broadcast"):
        return [_known(shapes[0])]
    return [tuple(int(n) for n in np.broadcast_shapes(*(_known(shape) for shape in shapes)))]


def _reshape(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    wanted = [int(n) if n else source[i] for i, n in enumerate(given["shape"])]
    rest = elements(tuple(n for n in wanted if n > 0))
    return [tuple(elements(source) // max(rest, 1) if n < 0 else n for n in wanted)]


def _concat(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    axis = int(given.get("axis", 1))
    first = list(_known(shapes[0]))
    first[axis] = sum(_known(shape)[axis] for shape in shapes)
    return [tuple(first)]


def _pad(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    pads = [int(n) for n in given.get("paddings", given.get("pads", ()))]
    return [tuple(n + pads[i] + pads[i + len(source)] for i, n in enumerate(source))]


def _split(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source, axis = _known(shapes[0]), int(given.get("axis", 0))
    return [(*source[:axis], int(n), *source[axis + 1 :]) for n in given["split"]]


def _upsample(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    n, c, h, w = _known(shapes[0])
    return [(n, c, int(h * given["height_scale"]), int(w * given["width_scale"]))]


def _gemm(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    a, b = _known(shapes[0]), _known(shapes[1])
    return [(a[1] if given.get("transA") else a[0], b[0] if given.get("transB") else b[1])]


def _global_pool(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    return [(*source[:2], *[1] * (len(source) - 2))]


def _recurrent(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    x, r = _known(shapes[0]), _known(shapes[2])
    state = (r[0], x[1], r[2])
    return [(x[0], r[0], x[1], r[2]), state, state]


def _non_zero(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    return [(max(len(source), 1), elements(source))]


def _flat(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    if given.get("axis") is not None:
        return [source, *[(source[int(given["axis"])],)] * 3]
    return [(elements(source),)] * 4


def _non_max_suppression(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    """At most as many boxes of each class of each image as are asked for, or as there are."""
    boxes, scores = _known(shapes[0]), _known(shapes[1])
    most = boxes[1]
    if len(values) > 2 and values[2] is not None:
        most = min(most, max(int(np.ravel(values[2])[0]), 0))
    return [(scores[0] * scores[1] * most, 3)]


def _split_to_sequence(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source, axis = list(_known(shapes[0])), int(given.get("axis", 0))
    if len(values) > 1:
        source[axis] = int(np.max(values[1]))
    else:
        source[axis] = 1
    return [tuple(source)]


def _join_sequence(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    raise ValueError("how many elements a sequence has is not known")


def _blocks_upsample(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    scales = [int(n) for n in given["scales"]]
    return [tuple(n * scale for n, scale in zip(_known(shapes[0]), scales, strict=True))]


def _reorder_output(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    n, _, *rest = _known(shapes[0])
    channels = int(given["channels"])
    return [(n, *rest, channels) if given.get("channels_last") else (n, channels, *rest)]


def _reorder_input(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    source = _known(shapes[0])
    return [(source[0], source[-1], *source[1:-1]) if given.get("channels_last") else source]


def _packed_weights(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    return [(*_known(shapes[0])[:-1], int(given["N"]))]


def _einsum(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
    return [letters_of(given["equation"].decode("utf-8", "replace"), [_known(shape) for shape in shapes]).shape]


def _attention(kind: str) -> Rule:
    def rule(shapes: Shapes, given: Mapping[str, Any], values: Values) -> Shapes:
        return ATTENTIONS[kind](shapes, given).results

    return rule


_ELEMENTWISE = (
    "Abs", "Cast", "CastLike", "Ceil", "Clip", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid", "InstanceNormalization",
    "BatchNormalization", "GroupNormalization", "LeakyRelu", "Log", "Neg", "PRelu", "Reciprocal", "Relu", "Selu",
    "Sigmoid", "Sqrt", "Tanh", "Swish", "Gelu", "MeanVarianceNormalization", "LayerNormalization", "HardSwish", "Mish",
    "QuantizeLinear", "DequantizeLinear", "SequenceInsert", "SequenceErase", "SequenceConstruct", "SequenceAt",
    "OptionalGetElement", "Optional",
)  # fmt: skip
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _first),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max", "Min"), _broadcast),
    "Reshape": _reshape,
    "Concat": _concat,
    "Pad": _pad,
    "Split": _split,
    "Upsample": _upsample,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "GlobalLpPool": _global_pool,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "NonZero": _non_zero,
    "Unique": _flat,
    "Compress": _flat,
    "NonMaxSuppression": _non_max_suppression,
    "SplitToSequence": _split_to_sequence,
    "ConcatFromSequence": _join_sequence,
    "com.microsoft.nchwc.ReorderInput": _reorder_input,
    "com.microsoft.nchwc.ReorderOutput": _reorder_output,
    "com.microsoft.MatMulNBits": _packed_weights,
    "com.microsoft.MatMulBnb4": _packed_weights,
    "com.microsoft.MatMulFpQ4": _packed_weights,
    **{kind: _attention(kind) for kind in ATTENTIONS},
}
