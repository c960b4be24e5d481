"""What ONNX writes as products and sums: convolutions, linear layers, matrix products, elementwise operators."""

from __future__ import annotations

from collections.abc import Mapping

from nas.graph.ops import Affine, Binary, Linear, MatMul, Op
from nas.graph.rows import elements
from nas.onnx import layers
from nas.onnx.draft import Draft
from nas.onnx.layers import Other, Product, Scaled, View, as_map
from nas.onnx.letters import letters_of
from nas.onnx.network import OnnxNode

BINARIES: Mapping[str, str] = {
    "Add": "add", "Sub": "sub", "Sum": "add", "Max": "max", "Min": "max", "Mean": "add", "Mul": "mul", "Div": "mul",
    "Pow": "mul",
}  # fmt: skip


_NOT_COUNTED = ("LinearAttention", "CausalConvWithState", "Det", "SequenceMap")
"""ONNX's own that multiply and add, and are not read."""
_FREE = tuple(f"com.microsoft.{name}" for name in (
    "RotaryEmbedding", "EmbedLayerNormalization", "GroupNorm", "SkipGroupNorm", "BiasSplitGelu", "BiasDropout", "Rfft",
    "Irfft", "ComplexMul", "ComplexMulConj", "CropAndResize", "GridSample", "Range", "Unique", "ExpandDims",
    "IsAllFinite", "RemovePadding", "RestorePadding",
))  # fmt: skip
"""ONNX Runtime's own that hold no products."""


def other(d: Draft, node: OnnxNode, products: int = 0) -> None:
    """An operator without a name here; its constant operands and its products belong to its first result."""
    foreign = "." in node.kind and node.kind not in _FREE
    if not products and (foreign or node.kind in _NOT_COUNTED):
        d.uncount(node.kind)
    op = Other(node.kind, sum(d.constant_sizes(node)), products)
    for name in (name for name in node.outputs if name and name in d.network.shapes):
        d.put(op, d.operands(node), name)
        op = Other(node.kind, 0)


def convolution(d: Draft, node: OnnxNode) -> None:
    """A convolution, plain or transposed, of any number of axes; what leads its map is how often it runs."""
    x, out, weight = node.inputs[0], node.outputs[0], d.shape(node.inputs[1])
    bias = (len(node.inputs) > 2 and bool(node.inputs[2])) or bool(node.attributes.get("bias"))
    inputs, outputs = d.shape(x), d.shape(out)
    if len(weight) < 3 or len(inputs) != len(weight) or len(outputs) != len(weight):
        other(d, node, products=elements(weight) * elements(outputs[2:]))
        return
    if node.attributes.get("channels_last"):
        inputs, outputs = (
            tuple(shape[axis] for axis in (0, -1, *range(1, len(shape) - 1))) for shape in (inputs, outputs)
        )
    source, shape = as_map(inputs[1:]), as_map(outputs[1:])
    transposed = node.kind == "ConvTranspose"
    if len(weight) > 4 or transposed:
        kind = "convtranspose" if transposed else f"conv{len(weight) - 2}d"
        op: Op = layers.convolved(node.attributes, weight, inputs[1:], outputs[1:], kind=kind, bias=bias)
    else:
        op = layers.convolution(node.attributes, weight, source, shape, bias=bias)
    kept = d.at.get(x)
    d.view(x, source, inputs[0])
    computed = [name for name in d.operands(node) if name != x]
    d.at[out] = d.append(op, (d.at[x], *(d.at[name] for name in computed)), shape, inputs[0])
    if kept is not None:
        d.at[x] = kept


def deformed_convolution(d: Draft, node: OnnxNode) -> None:
    """A convolution whose kernel is bent by its second operand."""
    other(d, node, products=elements(d.shape(node.inputs[1])) * elements(d.shape(node.outputs[0])[2:]))


def matrix_product(d: Draft, node: OnnxNode) -> None:
    """A product of matrices: a linear layer where the second one is constant."""
    operands, out = d.operands(node), node.outputs[0]
    first, second = (d.shape(name) for name in node.inputs[:2])
    turned = bool(node.attributes.get("transA")) and len(first) > 1
    inner = first[-2 if turned else -1] if first else 1
    if len(operands) == 1 and operands[0] == node.inputs[0] and len(second) == 2 and not turned and len(first) > 0:
        bias = bool(node.attributes.get("bias")) or (len(node.inputs) > 2 and bool(node.inputs[2]))
        d.put(Linear(elements(second) // max(inner, 1), bias), operands, out)
    elif node.kind == "MatMul" and len(operands) == 2 and min(len(first), len(second)) > 1 and not turned:
        d.put(MatMul(), operands, out)
    else:
        weights = sum(d.constant_sizes(node)[:1]) if len(operands) < 2 else 0
        shape, times = d.split(out)
        d.put(Product(elements(shape) * inner, inner, weights), operands, out, shape, times)


def packed_product(d: Draft, node: OnnxNode) -> None:
    """A linear layer whose weights are packed, several to a byte."""
    size = int(node.attributes.get("N", 1))
    d.put(Linear(size, len(node.inputs) > 5 and bool(node.inputs[5])), d.operands(node)[:1], node.outputs[0])


def einsum(d: Draft, node: OnnxNode) -> None:
    """A sum of products over the letters that are not in the result; without such letters elementwise products."""
    out, shapes = node.outputs[0], [d.shape(name) for name in node.inputs if name]
    try:
        found = letters_of(node.attributes["equation"].decode("utf-8", "replace"), shapes)
    except ValueError:
        d.uncount(node.kind)
        other(d, node)
        return
    if not found.summed or len(shapes) < 2:
        other(d, node)
        return
    inner = elements(tuple(found.sizes[letter] for letter in found.summed))
    products = elements(tuple(found.sizes.values()))
    d.put(Product(products, max(inner, 1), sum(d.constant_sizes(node))), d.operands(node), out, d.shape(out) or (1,), 1)


def binary(d: Draft, node: OnnxNode) -> None:
    """An elementwise operator: with a constant a scale, of several values one after another."""
    operands, out = d.operands(node), node.outputs[0]
    if len(operands) < 2:
        constant = max(d.constant_shapes(node), key=elements, default=(1,))
        following = d.readers.get(out, [])
        is_factor = node.kind == "Mul" or (node.kind == "Div" and node.inputs[0] == operands[0])
        if elements(constant) > 1:
            d.put(Scaled(constant), operands, out)
        elif is_factor and _beside_product(d, operands[0], following):
            d.put(View(), operands, out)
        elif (
            is_factor and len(following) == 1 and following[0].kind in ("Add", "Sub")
            and out not in d.network.outputs and d.constant_sizes(following[0]) == [1]
        ):  # fmt: skip
            d.at[out] = d.at[operands[0]]  # x·a + b is one operator: the sum stands for both
        else:
            d.put(Affine(1.0, 0.0), operands, out)
        return
    function = BINARIES[node.kind]
    total = operands[0]
    for i, name in enumerate(operands[1:], start=2):
        partial = out if i == len(operands) else f"{out}#{i}"
        d.network.shapes.setdefault(partial, d.shape(out))
        d.put(Binary(function), [total, name], partial)  # type: ignore[arg-type]
        total = partial


def _beside_product(d: Draft, x: str, following: list[OnnxNode]) -> bool:
    """Whether a factor of `x` can become part of the product that makes it, or of those that read it."""
    made = d.nodes[d.at[x]].op
    products = following and all(reader.kind == "MatMul" for reader in following)
    return isinstance(made, MatMul | Linear | Product) or bool(products)
