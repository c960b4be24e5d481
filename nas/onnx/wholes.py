"""Whole layers that are one operator: attention and recurrent ones."""

from __future__ import annotations

from nas.graph.ops import Linear, Softmax
from nas.graph.rows import elements
from nas.onnx.attention import ATTENTIONS
from nas.onnx.draft import Draft
from nas.onnx.layers import Other, Product, View
from nas.onnx.network import OnnxNode
from nas.onnx.products import other


def attention(d: Draft, node: OnnxNode) -> None:
    """Attention as its two products with the softmax between, behind the linear layer where it holds one."""
    shapes = [d.network.shapes.get(name) if name else None for name in node.inputs]
    try:
        found = ATTENTIONS[node.kind](shapes, node.attributes)
    except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError):
        d.uncount(node.kind)
        other(d, node)
        return
    out, names = node.outputs[0], [name for name in node.inputs[:3] if name and name not in d.network.constants]
    if found.projected:
        made = f"{out}#projected"
        d.network.shapes[made] = (found.batch, found.queries, found.projected[1])
        d.put(Linear(found.projected[1], len(node.inputs) > 2), names[:1], made)
        names = [made]
    operands = tuple(d.at[name] for name in names)
    scores = (found.heads, found.queries, found.keys)
    count = elements(scores)
    first = d.append(Product(count * found.key_size, found.key_size, 0), operands[:2], scores, found.batch)
    weights = d.append(Softmax(), (first,), scores, found.batch)
    values = (weights, *operands[-1:])
    shape = (found.queries, found.heads * found.value_size)
    d.at[out] = d.append(Product(count * found.value_size, found.keys, 0), values, shape, found.batch)
    for name in (name for name in node.outputs[1:] if name and name in d.network.shapes):
        d.put(View(), names[-1:], name)


def recurrent(d: Draft, node: OnnxNode) -> None:
    """A recurrent layer: at each step of each sequence its input and its state meet all their weights, both ways where
    it goes both ways. Gates are scalings and activations, and hold none."""
    steps = elements(d.shape(node.inputs[0])[:2])
    weights = sum(elements(d.shape(name)) for name in node.inputs[1:3])
    whole = Other(node.kind, sum(d.constant_sizes(node)), steps * weights)
    outputs = [name for name in node.outputs if name and name in d.network.shapes]
    for name in outputs[:1]:
        shape, times = d.split(name)
        d.at[name] = d.append(whole, tuple(d.at[x] for x in d.operands(node)), shape, 1)
        d.view(name, shape, times)
    for name in outputs[1:]:
        d.put(View(), outputs[:1], name)
