"""Operators that compute what one of ONNX's own does: of integers, and those that ONNX Runtime writes.

Each becomes its like: the operands that hold numbers, without scales and zero points, and behind it what is fused into
it. Sources: the ONNX operators of quantised networks; ONNX Runtime, docs/ContribOperators.md, and for the domain
`com.microsoft.nchwc` onnxruntime/core/graph/contrib_ops/nhwc_schema_defs.cc and nchwc_schema_defs.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import helper

MICROSOFT, BLOCKS, LAST = "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"
_ONNX = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """`kind` on the operands at `operands` of an operator (those that it has), and on all from `rest` on, every third
    one. `bias` and `summand` are operands that are added afterwards, before its activation."""

    kind: str
    operands: tuple[int, ...] = (0,)
    rest: int | None = None
    bias: int | None = None
    summand: int | None = None


_CONV, _LINEAR = Like(kind="Conv", operands=(0, 1, 2), summand=3), Like(kind="MatMul", operands=(0, 1))
_NORM = Like(kind="LayerNormalization", operands=(0, 1, 2))
_OWN: Mapping[str, Like] = {
    "QLinearConv": Like(kind="Conv", operands=(0, 3, 8)),
    "ConvInteger": Like(kind="Conv", operands=(0, 1)),
    "QLinearMatMul": Like(kind="MatMul", operands=(0, 3)),
    "MatMulInteger": _LINEAR,
    # ONNX Runtime registers these without a domain of their own.
    "SimplifiedLayerNormalization": _NORM,
}
_MICROSOFT: Mapping[str, Like] = {
    **_OWN,
    "Conv": _CONV,
    "FusedConv": _CONV,
    "NhwcFusedConv": _CONV,
    "ConvTransposeWithDynamicPads": Like(kind="ConvTranspose", operands=(0, 1, 3)),
    "QLinearConvTranspose": Like(kind="ConvTranspose", operands=(0, 3, 8)),
    "FusedMatMul": _LINEAR,
    "FusedMatMulActivation": _LINEAR,
    "TransposeMatMul": _LINEAR,
    "MatMulInteger16": _LINEAR,
    "MatMulIntegerToFloat": Like(kind="MatMul", operands=(0, 1), bias=6),
    "DynamicQuantizeMatMul": Like(kind="MatMul", operands=(0, 1), bias=4),
    "FusedGemm": Like(kind="Gemm", operands=(0, 1, 2)),
    "GemmFastGelu": Like(kind="MatMul", operands=(0, 1), bias=2),
    "GemmFloat8": Like(kind="Gemm", operands=(0, 1, 2)),
    "QGemm": Like(kind="Gemm", operands=(0, 3, 6)),
    "DynamicQuantizeLSTM": Like(kind="LSTM", operands=(0, 1, 2)),
    "QLinearAdd": Like(kind="Add", operands=(0, 3)),
    "QLinearMul": Like(kind="Mul", operands=(0, 3)),
    "QLinearSigmoid": Like(kind="Sigmoid"),
    "QLinearLeakyRelu": Like(kind="LeakyRelu"),
    "QLinearSoftmax": Like(kind="Softmax"),
    "QLinearReduceMean": Like(kind="ReduceMean"),
    "QLinearAveragePool": Like(kind="AveragePool"),
    "QLinearGlobalAveragePool": Like(kind="GlobalAveragePool"),
    "QLinearConcat": Like(kind="Concat", operands=(), rest=2),
    "QLinearWhere": Like(kind="Where", operands=(0, 1, 4)),
    "NhwcMaxPool": Like(kind="MaxPool"),
    "QuantizeLinear": Like(kind="QuantizeLinear", operands=(0, 1, 2)),
    "DequantizeLinear": Like(kind="DequantizeLinear", operands=(0, 1, 2)),
    "Gelu": Like(kind="Gelu"),
    "BiasGelu": Like(kind="Gelu", bias=1),
    "FastGelu": Like(kind="Gelu", bias=1),
    "QuickGelu": Like(kind="Swish"),
    "BiasAdd": Like(kind="Add", operands=(0, 1), summand=2),
    "BiasSoftmax": Like(kind="Softmax", bias=1),
    "SkipLayerNormalization": Like(kind="LayerNormalization", operands=(0, 2, 3), summand=1),
    "SkipSimplifiedLayerNormalization": Like(kind="LayerNormalization", operands=(0, 2), summand=1),
    "Pad": Like(kind="Pad", operands=(0, 1, 2)),
    "Trilu": Like(kind="Trilu", operands=(0, 1)),
}
_BLOCKS: Mapping[str, Like] = {
    "Conv": _CONV,
    "MaxPool": Like(kind="MaxPool"),
    "AveragePool": Like(kind="AveragePool"),
    "GlobalMaxPool": Like(kind="GlobalMaxPool"),
    "GlobalAveragePool": Like(kind="GlobalAveragePool"),
    "Upsample": Like(kind="Resize", operands=()),
}
_FIRST = ("BiasGelu", "FastGelu", "BiasSoftmax", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
"""What adds before it computes."""
_ACTIVATIONS: Mapping[str, str] = {"FastGelu": "Gelu", "GemmFastGelu": "Gelu"}
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "Clip": ("min", "max"), "LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"),
}  # fmt: skip
_FUSED = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")


def in_standard_form(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """`node` as operators of ONNX itself; itself where it is one, or nothing here knows what it is like."""
    like = _like(node)
    if like is None:
        return [node]
    operands = [node.input[i] for i in like.operands if i < len(node.input)]
    if like.rest is not None:
        operands += node.input[like.rest :: 3]
    while operands and not operands[-1]:
        operands.pop()
    attributes = [a for a in node.attribute if a.name not in _FUSED]
    if node.domain == LAST or node.op_type.startswith("Nhwc"):
        attributes.append(helper.make_attribute("channels_last", 1))
    added = [
        node.input[i] for i in (like.bias, like.summand) if i is not None and i < len(node.input) and node.input[i]
    ]
    if node.op_type in _FIRST:
        return _sum_first(node, like, operands, attributes, added)
    steps: list[tuple[str, list[str], list[onnx.AttributeProto]]] = [("Add", [name], []) for name in added]
    steps += _activation(node)
    results = [f"{node.output[0]}#{i}" for i in range(len(steps))] + [node.output[0]]
    found = [_made(like.kind, operands, [results[0], *node.output[1:]], attributes)]
    for (kind, further, given), before, after in zip(steps, results, results[1:], strict=False):
        found.append(_made(kind, [before, *further], [after], given))
    return found


def _like(node: onnx.NodeProto) -> Like | None:
    if node.domain in _ONNX:
        return _OWN.get(node.op_type)
    if node.domain == LAST:
        return _MICROSOFT.get(node.op_type) or Like(kind=node.op_type, operands=tuple(range(len(node.input))))
    return {MICROSOFT: _MICROSOFT, BLOCKS: _BLOCKS}.get(node.domain, {}).get(node.op_type)


def _sum_first(
    node: onnx.NodeProto, like: Like, operands: list[str], attributes: list[onnx.AttributeProto], added: list[str]
) -> list[onnx.NodeProto]:
    """The sums that an operator begins with, then what it computes of them; some hand out the sum as well."""
    found, source = [], operands[0]
    for i, name in enumerate(added):
        result = f"{node.output[0]}#{i}"
        found.append(_made("Add", [source, name], [result], []))
        source = result
    found.append(_made(like.kind, [source, *operands[1:]], list(node.output[:1]), attributes))
    if len(node.output) > 3 and node.output[3] and source != operands[0]:
        found.append(_made("Identity", [source], [node.output[3]], []))
    return found


def _activation(node: onnx.NodeProto) -> list[tuple[str, list[str], list[onnx.AttributeProto]]]:
    """The activation that is fused into an operator, with its parameters; none, or one."""
    given = {a.name: a for a in node.attribute if a.name in _FUSED}
    name = given["activation"].s.decode("utf-8", "replace") if "activation" in given else ""
    name = name or _ACTIVATIONS.get(node.op_type, "")
    numbers = list(given["activation_params"].floats) if "activation_params" in given else []
    numbers = numbers or [given[f"activation_{key}"].f for key in ("alpha", "beta") if f"activation_{key}" in given]
    parameters = [helper.make_attribute(*pair) for pair in zip(_PARAMETERS.get(name, ()), numbers, strict=False)]
    return [(name, [], parameters)] if name else []


def _made(kind: str, inputs: list[str], outputs: list[str], attributes: list[onnx.AttributeProto]) -> onnx.NodeProto:
    node = helper.make_node(kind, inputs, outputs)
    node.attribute.extend(attributes)
    return node
