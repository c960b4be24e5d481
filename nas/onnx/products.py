"""What ONNX writes as products and sums: convolutions, linear layers, matrix products, elementwise operators."""

from __future__ import annotations

from collections.abc import Mapping

from nas.graph.ops import Affine, Binary, Linear, MatMul, Op, Softmax
from nas.graph.rows import elements
from nas.onnx import layers
from nas.onnx.draft import Draft
from nas.onnx.file import OnnxNode
from nas.onnx.layers import Other, Product, Scaled, View, as_map, unbatched

BINARIES: Mapping[str, str] = {
    "Add": "add", "Sub": "sub", "Sum": "add", "Max": "max", "Min": "max", "Mean": "add", "Mul": "mul", "Div": "mul",
    "Pow": "mul",
}  # fmt: skip


def other(d: Draft, node: OnnxNode) -> None:
    """An operator without a name here; its constant operands belong to its first result."""
    op = Other(node.kind, sum(d.constant_sizes(node)))
    for name in (name for name in node.outputs if name):
        d.put(op, d.operands(node), name)
        op = Other(node.kind, 0)


def convolution(d: Draft, node: OnnxNode) -> None:
    """A convolution, plain or transposed, of one or two axes."""
    x, out, weight = node.inputs[0], node.outputs[0], d.shape(node.inputs[1])
    bias = len(node.inputs) > 2 or bool(node.attributes.get("bias"))
    if len(weight) not in (3, 4):
        other(d, node)
        return
    source, shape = as_map(unbatched(d.shape(x))), as_map(unbatched(d.shape(out)))
    if node.kind == "Conv":
        op: Op = layers.convolution(node.attributes, weight, source, shape, bias=bias)
    else:
        op = layers.transposed_convolution(node.attributes, weight, bias=bias)
    kept = d.at[x]
    d.view(x, source)
    d.put(op, d.operands(node), out, shape)
    d.at[x] = kept


def matrix_product(d: Draft, node: OnnxNode) -> None:
    """A product of matrices: a linear layer where the second one is constant."""
    operands, out = d.operands(node), node.outputs[0]
    first, second = (d.shape(name) for name in node.inputs[:2])
    inner = first[0] if node.attributes.get("transA") else first[-1]
    if len(operands) == 1 and operands[0] == node.inputs[0] and len(second) == 2:
        bias = bool(node.attributes.get("bias")) or len(node.inputs) > 2
        d.put(Linear(elements(second) // inner, bias), operands, out)
    elif node.kind == "MatMul" and len(operands) == 2:
        d.put(MatMul(), operands, out)
    else:
        weights = sum(d.constant_sizes(node)[:1]) if len(operands) < 2 else 0
        d.put(Product(elements(d.shape(out)) * inner, inner, weights), operands, out)


def einsum(d: Draft, node: OnnxNode) -> None:
    """A sum of products over the letters that are not in the result."""
    letters = node.attributes["equation"].decode().replace(" ", "").split("->")[0].split(",")
    if "..." in "".join(letters) or len(letters) != len(node.inputs):
        other(d, node)
        return
    sizes = {
        a: n for text, name in zip(letters, node.inputs, strict=True) for a, n in zip(text, d.shape(name), strict=True)
    }
    products, out = elements(tuple(sizes.values())), elements(d.shape(node.outputs[0]))
    weights = sum(d.constant_sizes(node))
    d.put(Product(products, max(products // out, 1), weights), d.operands(node), node.outputs[0])


def binary(d: Draft, node: OnnxNode) -> None:
    """An elementwise operator: with a constant a scale, of several values one after another."""
    operands, out = d.operands(node), node.outputs[0]
    if len(operands) == 1:
        constant = max(d.constant_shapes(node), key=elements, default=(1,))
        following = d.readers.get(out, [])
        if elements(constant) > 1:
            d.put(Scaled(constant), operands, out)
        elif node.kind in ("Mul", "Div") and _beside_product(d, operands[0], following):
            d.put(View(), operands, out)
        elif (
            node.kind in ("Mul", "Div") and len(following) == 1 and following[0].kind in ("Add", "Sub")
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
        d.put(Binary(function), [total, name], partial, unbatched(d.shape(out)))  # type: ignore[arg-type]
        total = partial


def _beside_product(d: Draft, x: str, following: list[OnnxNode]) -> bool:
    """Whether a factor of `x` can become part of the product that makes it, or of those that read it."""
    made = d.nodes[d.at[x]].op
    products = following and all(reader.kind == "MatMul" for reader in following)
    return isinstance(made, MatMul | Linear | Product) or bool(products)


def attention(d: Draft, node: OnnxNode) -> None:
    """Attention as its two products with the softmax between."""
    query, key, value = node.inputs[:3]
    q, k, out = d.shape(query), d.shape(key), node.outputs[0]
    if len(q) != 4:
        other(d, node)
        return
    scores = (q[1], q[2], k[2])
    first = d.append(MatMul(transpose=True), (d.at[query], d.at[key]), scores)
    weights = d.append(Softmax(), (first,), scores)
    d.at[out] = d.append(MatMul(), (weights, d.at[value]), unbatched(d.shape(out)))
