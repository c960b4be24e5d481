"""Files damaged at random, the same ones for the same seed: what a reader must turn into a sentence or into numbers."""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = (
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "0.0",
    "9223372036854775808",
    "-2.5",
    "1e-320",
    "1e999",
    "",
)
WORDS = (
    "",
    "null",
    "true",
    "[]",
    "{}",
    "..",
    "/etc/passwd",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "x" * 300,
    "other:thing",
    "1",
)
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e308, float("nan"), float("inf"), 2**63, 10**400, "", "x", "x" * 5000, [], [[]], {},
    {"a": 1}, [1e308] * 3, "\x1b[0m",
)  # fmt: skip


def mutated(content: bytes, rng: random.Random, kind: str) -> bytes:
    """`content` (of a healthy file) with one to three faults. `kind` is "bytes", "text", "json", "gzip" or "onnx": how
    much of its form the faults may keep, so that some of them reach deeper than the parser."""
    if kind == "gzip" and rng.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), rng, "text"), 1)
    if kind == "onnx" and rng.random() < 0.85:
        return _network(content, rng)
    if kind == "json" and rng.random() < 0.6:
        return _document(content, rng)
    faults = _BYTES if kind in ("bytes", "gzip", "onnx") else (*_BYTES, *_TEXT, *_TEXT)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(faults)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return b"\xff"
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def _without(content: bytes, rng: random.Random) -> bytes:
    start = rng.randint(0, len(content))
    return content[:start] + content[start + rng.randint(1, 40) :]


def _spliced(content: bytes, rng: random.Random) -> bytes:
    start, at = rng.randint(0, len(content)), rng.randint(0, len(content))
    return content[:at] + content[start : start + rng.randint(1, 200)] + content[at:]


def _swapped(pattern: re.Pattern[bytes], others: tuple[str, ...]) -> Callable[[bytes, random.Random], bytes]:
    def swap(content: bytes, rng: random.Random) -> bytes:
        places = [found.span() for found in pattern.finditer(content)]
        if not places:
            return content
        start, end = rng.choice(places)
        return content[:start] + rng.choice(others).encode() + content[end:]

    return swap


def _words_exchanged(content: bytes, rng: random.Random) -> bytes:
    """Two keys or words in each other's place."""
    places = [found.span() for found in _WORD.finditer(content)]
    if len(places) < 2:
        return content
    (a, b), (c, d) = sorted(rng.sample(places, 2))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _line_again(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return b"\n".join(lines)


_BYTES = (_flip, _cut, _without, _spliced)
_TEXT = (_swapped(_NUMBER, NUMBERS), _swapped(_NUMBER, NUMBERS), _swapped(_WORD, WORDS), _words_exchanged, _line_again)


def _document(content: bytes, rng: random.Random) -> bytes:
    """A JSON document with values of other kinds, keys away, renamed or exchanged."""
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        holders = list(_holders(document))
        if not holders:
            break
        holder = rng.choice(holders)
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        action = rng.random()
        if action < 0.65:
            holder[key] = copy.deepcopy(rng.choice(_VALUES))  # else a list may come to hold itself
        elif action < 0.85:
            del holder[key]
        elif isinstance(holder, dict):
            holder[rng.choice(("x", *holder))] = holder.pop(key)
    try:
        return json.dumps(document).encode()
    except ValueError:  # more digits than Python writes
        return content


_KINDS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "Add", "Mul", "Concat", "Split", "Slice", "Reshape", "Transpose",
    "Shape", "Gather", "Resize", "Pad", "ReduceMean", "BatchNormalization", "LSTM", "Softmax", "MaxPool", "Einsum",
    "ConstantOfShape", "Expand", "Tile", "Range", "Loop", "If", "Cast", "Pow", "DepthToSpace", "LayerNormalization",
    "QLinearConv", "DequantizeLinear", "Attention", "Upsample", "InstanceNormalization", "PRelu", "Clip", "Thing",
)  # fmt: skip
_SIZES = (-1, 0, 1, 2, 7, 1000, 2**31, 2**40, 2**63 - 1, -(2**63))


def _network(content: bytes, rng: random.Random) -> bytes:
    """An ONNX file whose operators, operands, attributes, sizes and weights are others'."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2, 3))):
        node, weight = rng.choice(graph.node), rng.choice(graph.initializer)
        names = [
            *(n for other in graph.node for n in (*other.input, *other.output)),
            *(w.name for w in graph.initializer),
        ]
        action = rng.randrange(12)
        if action == 0:
            node.op_type = rng.choice(_KINDS)
        elif action == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(("", "nothing", *names))
        elif action == 2 and node.input:
            del node.input[rng.randrange(len(node.input))]
        elif action == 3:
            node.input.append(rng.choice(names))
        elif action == 4 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = rng.choice(_SIZES)
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_SIZES)
        elif action == 5 and node.attribute:
            del node.attribute[rng.randrange(len(node.attribute))]
        elif action == 6:
            given = (
                "axis",
                "perm",
                "pads",
                "group",
                "kernel_shape",
                "strides",
                "axes",
                "hidden_size",
                "equation",
                "to",
            )
            value = rng.choice((rng.choice(_SIZES), [rng.choice(_SIZES)] * rng.randint(1, 5), "ij,jk->ik", 0.5))
            node.attribute.append(onnx.helper.make_attribute(rng.choice(given), value))
        elif action == 7 and weight.dims:
            weight.dims[rng.randrange(len(weight.dims))] = rng.choice(_SIZES)
        elif action == 8:
            dim = rng.choice(graph.input[0].type.tensor_type.shape.dim)
            dim.dim_value = rng.choice(_SIZES)
        elif action == 9:
            node.output.append(rng.choice(names))
        elif action == 10:
            model.opset_import[0].version = rng.choice((1, 6, 9, 11, 18, 21, 99, -1))
        else:
            weight.data_type = rng.choice((0, 2, 7, 8, 9, 10, 11, 16, 22, 23, 99))
    return bytes(model.SerializeToString())


def _holders(value: Any) -> Any:
    """The mappings and lists of a document that hold anything."""
    waiting = [value]
    while waiting:
        now = waiting.pop()
        if isinstance(now, dict | list) and now:
            yield now
            waiting.extend(now.values() if isinstance(now, dict) else now)
