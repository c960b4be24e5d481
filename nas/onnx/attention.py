"""Attention as one operator, by ONNX and by ONNX Runtime: what it multiplies, and the shapes of its results.

Sources: the ONNX operator Attention (opset 23); ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.graph.rows import Shape

Shapes = Sequence[Shape | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """`queries` tokens that attend to `keys` in each of `heads` heads of each of `batch` images.

    `key_size` and `value_size` are numbers a head. `projected` is (inputs, outputs) of the linear layer that makes
    queries, keys and values of the tokens, where the operator holds it. `results` are the shapes of its results.
    """

    batch: int
    heads: int
    queries: int
    keys: int
    key_size: int
    value_size: int
    results: tuple[Shape | None, ...]
    projected: tuple[int, int] | None = None


def _at(shapes: Shapes, position: int) -> Shape | None:
    return shapes[position] if position < len(shapes) else None


def _known(shapes: Shapes, position: int) -> Shape:
    found = _at(shapes, position)
    if found is None:
        raise ValueError("a shape is not known")
    return found


def _onnx(shapes: Shapes, given: Mapping[str, Any]) -> Attended:
    """Q, K, V of four axes (batch, heads, tokens, size) or of three, the heads behind one another; past keys."""
    q, k, v, past = _known(shapes, 0), _known(shapes, 1), _known(shapes, 2), _at(shapes, 4)
    if len(q) == 3:
        heads, own = int(given["q_num_heads"]), int(given["kv_num_heads"])
        q = (q[0], heads, q[1], q[2] // heads)
        k, v = (k[0], own, k[1], k[2] // own), (v[0], own, v[1], v[2] // own)
        out: Shape = (q[0], q[2], heads * v[3])
    else:
        out = (*q[:3], v[3])
    keys = k[2] + (past[2] if past else 0)
    present = [(*x[:2], keys, x[3]) for x in (k, v)]
    scores = (q[0], q[1], q[2], keys)
    return Attended(
        batch=q[0], heads=q[1], queries=q[2], keys=keys, key_size=q[3], value_size=v[3],
        results=(out, *present, scores),
    )  # fmt: skip


def _projecting(shapes: Shapes, given: Mapping[str, Any], past_at: int) -> Attended:
    """Tokens (batch, tokens, width) and the weights of one linear layer for queries, keys and values."""
    (batch, tokens, width), weights = _known(shapes, 0), _known(shapes, 1)
    heads, past = int(given["num_heads"]), _at(shapes, past_at)
    third = weights[-1] // 3
    query, _, value = (int(n) for n in given.get("qkv_hidden_sizes", (third,) * 3))
    keys = tokens + (past[3] if past else 0)
    return Attended(
        batch=batch, heads=heads, queries=tokens, keys=keys, key_size=query // heads, value_size=value // heads,
        results=((batch, tokens, value), (2, batch, heads, keys, value // heads)), projected=(width, weights[-1]),
    )  # fmt: skip


def _attention(shapes: Shapes, given: Mapping[str, Any]) -> Attended:
    return _projecting(shapes, given, past_at=4)


def _integer_attention(shapes: Shapes, given: Mapping[str, Any]) -> Attended:
    return _projecting(shapes, given, past_at=8)


def _multi_head(shapes: Shapes, given: Mapping[str, Any]) -> Attended:
    """Queries of three axes, keys and values of three or, by heads, of four; or packed into one operand of five."""
    q, k, v, heads = _known(shapes, 0), _at(shapes, 1), _at(shapes, 2), int(given["num_heads"])
    if len(q) == 5:  # (batch, tokens, heads, 3, size)
        key_size = value_size = q[4]
        keys = q[1]
    elif k is not None and len(k) == 5:  # (batch, tokens, heads, 2, size)
        key_size = value_size = k[4]
        keys = k[1]
    else:
        k, v = _known(shapes, 1), _known(shapes, 2)
        key_size, keys = q[2] // heads, k[-2]
        value_size = v[3] if len(v) == 4 else v[2] // heads
    past = _at(shapes, 6)
    keys += past[2] if past else 0
    present = ((q[0], heads, keys, key_size), (q[0], heads, keys, value_size))
    return Attended(
        batch=q[0], heads=heads, queries=q[1], keys=keys, key_size=key_size, value_size=value_size,
        results=((q[0], q[1], heads * value_size), *present),
    )  # fmt: skip


def _grouped_query(shapes: Shapes, given: Mapping[str, Any]) -> Attended:
    """Queries of three axes; without keys they hold keys and values of `kv_num_heads` heads behind them."""
    q, k, past = _known(shapes, 0), _at(shapes, 1), _at(shapes, 3)
    heads, own = int(given["num_heads"]), int(given["kv_num_heads"])
    size = q[2] // heads if k is not None else q[2] // (heads + 2 * own)
    keys = (k[1] if k is not None else q[1]) + (past[2] if past else 0)
    present = (q[0], own, keys, size)
    return Attended(
        batch=q[0], heads=heads, queries=q[1], keys=keys, key_size=size, value_size=size,
        results=((q[0], q[1], heads * size), present, present),
    )  # fmt: skip


ATTENTIONS: Mapping[str, Callable[[Shapes, Mapping[str, Any]], Attended]] = {
    "Attention": _onnx,
    "com.microsoft.Attention": _attention,
    "com.microsoft.QAttention": _integer_attention,
    "com.microsoft.MultiHeadAttention": _multi_head,
    "com.microsoft.DecoderMaskedMultiHeadAttention": _multi_head,
    "com.microsoft.GroupQueryAttention": _grouped_query,
}
"""Kind of operator → what it attends to. Each raises `ValueError`, `KeyError` or `IndexError` where operands lack."""
