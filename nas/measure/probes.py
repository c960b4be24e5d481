"""Probes: small random networks of the operators that image networks at large are made of.

The known networks say nothing of plain, grouped and large convolutions at many widths, of concatenations, of norms that
stay, of layers over tokens; a table that serves any network must have seen them in context. A number makes a probe: the
same one always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from nas.graph import Graph
from nas.graph.builder import Builder, Tensor

Rng = np.random.Generator
_RESOLUTIONS = (96, 128, 160, 192, 224, 256)
_ACTIVATIONS = ("relu", "relu", "relu6", "hswish", "silu", "gelu", "leaky_relu", "prelu")
_WIDTHS = (8, 12, 16, 18, 24, 32, 40, 48, 58, 64, 72, 96, 112, 116, 128, 160, 192, 232, 256, 320, 384, 464, 512)
_ODD = (0, 0, 0, 0, 0, 0, 2, 3, 4)
"""Added to a width: runtimes block channels by fours and more, and take other paths where a block is not full."""
_WIDEST, _MOST_TOKENS = 1280, 784


def probe_graph(number: int) -> Graph:
    """The probe called `number`: a stem, up to five stages of blocks of one family each, a classifier."""
    rng = np.random.default_rng([number, 20260])
    side = int(rng.choice(_RESOLUTIONS))
    b = Builder((3, side, side))
    act = str(rng.choice(_ACTIVATIONS))
    b.layer = 1
    width = int(rng.choice((16, 24, 32, 48, 64)))
    x = _stem(b, rng, width, act)
    smallest = int(rng.choice((4, 5, 7)))
    while x.shape[1] // 2 >= smallest:
        block = list(_BLOCKS.values())[int(rng.integers(len(_BLOCKS)))]
        larger = [w for w in _WIDTHS if x.channels <= w <= 3 * x.channels] or [x.channels]
        width = int(rng.choice(larger)) + int(rng.choice(_ODD))
        for position in range(int(rng.integers(1, 4))):
            b.layer += 1
            x = block(b, rng, x, width, 2 if position == 0 else 1, act)
    b.layer += 1
    if rng.random() < 0.5:
        x = b.conv(x, int(rng.choice((256, 512, 960, 1280))), 1, act=act)
        b.layer += 1
    x = b.global_pool(x, flatten=True)
    if rng.random() < 0.1:
        x = b.act(b.linear(b.act(b.linear(x, 4096), "relu"), int(rng.choice((1024, 4096)))), "relu")
    b.linear(x, int(rng.choice((10, 100, 1000))))
    return b.build()


def _stem(b: Builder, rng: Rng, width: int, act: str) -> Tensor:
    kind = int(rng.integers(5))
    if kind == 4:
        x = b.pool(b.conv(b.input, width // 2, 3, act=act), "max", 2, 2)
        return b.pool(b.conv(x, width, 3, act=act), "max", 2, 2)
    if kind == 0:
        return b.pool(b.conv(b.input, width, 7, 2, act=act), "max", 3, 2, padding=1)
    if kind == 1:
        return b.conv(b.conv(b.input, width // 2, 3, 2, act=act), width, 3, 2, act=act)
    if kind == 2:
        return b.conv(b.input, width, 4, 4, padding=(0, 0, 0, 0))
    return b.conv(b.input, width, 3, 2, act=act)


def gated(b: Builder, x: Tensor, rng: Rng) -> Tensor:
    """`x` times a squeeze-and-excitation gate of a random width."""
    squeezed = max(8, x.channels // int(rng.choice((4, 8, 16))) // 4 * 4)
    gate = b.conv(b.global_pool(x), squeezed, 1, act="relu", norm=False, bias=True)
    gate = b.conv(gate, x.channels, 1, act=str(rng.choice(("sigmoid", "hsigmoid"))), norm=False, bias=True)
    return b.product(x, gate)


def _joined(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    return b.sum(x, y) if x.shape == y.shape else y


def _plain(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    y = b.conv(x, width, int(rng.choice((3, 3, 5))), stride, act=act)
    shortcut = x if x.shape == y.shape else b.conv(x, width, 1, stride)
    return b.act(b.sum(b.conv(y, width, 3), shortcut), act)


def _bottleneck(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    per_group = int(rng.choice((4, 8, 16, 24, 32)))
    groups = int(rng.choice((1, 1, 2, 4, 8, 16, 32)))
    inner = min(per_group * groups, _WIDEST // groups * groups)
    y = b.conv(b.conv(x, inner, 1, act=act), inner, 3, stride, groups=groups, act=act)
    if rng.random() < 0.3:
        y = gated(b, y, rng)
    return b.act(_joined(b, x, b.conv(y, width, 1)), act)


def _inverted(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    kernel, expansion = int(rng.choice((3, 3, 3, 5, 5, 7, 9))), int(rng.choice((2, 3, 4, 6)))
    y = b.conv(x, min(expansion * x.channels, _WIDEST), int(rng.choice((1, 1, 1, 3))), act=act)
    y = b.depthwise(y, kernel, stride, act=act)
    if rng.random() < 0.4:
        y = gated(b, y, rng)
    return _joined(b, x, b.conv(y, width, 1))


def _separable(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    return b.conv(b.depthwise(x, int(rng.choice((3, 5))), stride, act=act), width, 1, act=act)


def _shuffled(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    groups = int(rng.choice((2, 3, 4, 8)))
    inner = max(groups, x.channels // groups * groups)
    y = b.conv(x, inner, 1, act=act)
    expanded = inner * int(rng.choice((1, 1, 2, 4, 6)))
    y = b.shuffle(b.conv(y, min(expanded, _WIDEST // groups * groups), 1, groups=groups, act=act), groups)
    y = b.depthwise(y, 3, stride)
    if rng.random() < 0.5:
        y = b.shuffle(b.conv(y, max(1, width // groups) * groups, 1, groups=groups), groups)
    return _joined(b, x, b.conv(y, width, 1, act=act))


def _doubled(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    def cheap(x: Tensor, out: int, act: str) -> Tensor:
        half = (out + 1) // 2
        y = b.conv(x, half, 1, act=act)
        return b.slice(b.concat([y, b.depthwise(y, int(rng.choice((3, 5))), act=act)]), 0, out)

    y = cheap(x, min(int(rng.choice((2, 3, 6))) * x.channels, _WIDEST), act)
    if stride == 2:
        y = b.depthwise(y, 3, 2)
    if rng.random() < 0.3:
        y = gated(b, y, rng)
    return _joined(b, x, cheap(y, width, "none"))


def _divided(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if stride == 2 or x.channels % 2:
        x = b.conv(b.depthwise(x, 3, stride), 2 * (width // 2), 1, act=act)
    half = x.channels // 2
    kept, worked = b.slice(x, 0, half), b.slice(x, half, x.channels)
    worked = b.conv(b.depthwise(b.conv(worked, half, 1, act=act), 3), half, 1, act=act)
    joined = b.concat([kept, worked])
    return b.shuffle(joined, 2) if rng.random() < 0.7 else joined


def _concatenated(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if stride == 2:
        x = b.pool(x, "max" if rng.random() < 0.5 else "avg", 3, 2, padding=1, ceil=bool(rng.random() < 0.5))
    narrow = max(8, width // 4)
    squeezed = b.conv(x, narrow, 1, act=act)
    parts = [b.conv(squeezed, narrow, 1, act=act), b.conv(squeezed, narrow, 3, act=act)]
    if rng.random() < 0.5:
        parts.append(x)
    elif rng.random() < 0.6:
        function: Literal["max", "avg"] = "max" if rng.random() < 0.5 else "avg"
        parts.append(b.conv(b.pool(x, function, 3, 1, padding=1, ceil=bool(rng.random() < 0.5)), narrow, 1, act=act))
    return b.concat(parts)


def _grown(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if stride == 2:
        x = b.pool(b.conv(x, width, 1, act=act), "avg", 2, 2)
    growth = int(rng.choice((12, 16, 32)))
    y = b.conv(b.act(b.norm(x, "batch"), act), 4 * growth, 1, act=act)
    return b.concat([x, b.conv(y, growth, 3)])


def _mixed(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    y = b.conv(x, min(int(rng.choice((3, 4, 6))) * x.channels, _WIDEST), 1, act=act)
    count = int(rng.integers(2, 5))
    ends = [y.channels * i // count for i in range(count + 1)]
    parts = [b.depthwise(b.slice(y, ends[i], ends[i + 1]), 3 + 2 * i, stride) for i in range(count)]
    y = b.concat(parts)
    y = b.act(b.norm(y, "batch") if rng.random() < 0.7 else y, act)
    if rng.random() < 0.5:
        y = gated(b, y, rng)
    return _joined(b, x, b.conv(y, width, 1))


def _cascaded(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    y = b.conv(x, width, int(rng.choice((1, 3))), stride, act=act)
    count, depthwise = int(rng.integers(2, 5)), bool(rng.random() < 0.5)
    ends = [width * i // count for i in range(count + 1)]
    parts = [b.slice(y, ends[i], ends[i + 1]) for i in range(count)]
    for i in range(1, count):
        part = b.sum(parts[i], parts[i - 1]) if i > 1 and parts[i].shape == parts[i - 1].shape else parts[i]
        parts[i] = b.depthwise(part, 3, act=act) if depthwise else b.conv(part, part.channels, 3, act=act)
    return _joined(b, x, b.conv(b.concat(parts), width, 1))


def _multiplied(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if stride == 2 or x.channels != width:
        x = b.conv(x, width, 3, stride, act=act)
    y, factor = b.conv(x, 2 * width, 1, act=act), b.conv(x, 2 * width, 1)
    if rng.random() < 0.5 and min(x.shape[1:]) > 1:
        factor = b.act(b.depthwise(b.pool(factor, "avg", 2, 2), 5), "sigmoid")
        factor = b.resize(factor, *y.shape[1:])
    return b.sum(x, b.conv(b.product(y, factor), width, 1))


def _normed(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if x.channels != width or stride != 1:
        x = b.conv(x, width, 3, stride, act=act)
    y, (_, rows, columns) = b.depthwise(x, 7, norm=False, bias=True), x.shape
    inner = min(4 * width, _WIDEST)
    kind = int(rng.integers(3))
    if kind == 0:
        y = b.norm(y, "group")
    if kind > 0:
        y = b.norm(b.rearrange(y, y.shape, (1, 2, 0), (rows * columns, width)), "layer")
    if kind == 1:
        y = b.learned_scale(b.linear(b.act(b.linear(y, inner), "gelu"), width))
    if kind > 0:
        y = b.rearrange(y, (rows, columns, width), (2, 0, 1), x.shape)
    if kind != 1:
        y = b.conv(b.conv(y, inner, 1, act="gelu", norm=False, bias=True), width, 1, norm=False, bias=True)
    return b.sum(x, y)


def _tokens(b: Builder, rng: Rng, x: Tensor, width: int, stride: int, act: str) -> Tensor:
    if x.channels != width or stride != 1:
        x = b.conv(x, width, 3, stride, act=act)
    _, rows, columns = x.shape
    y = b.depthwise(x, int(rng.choice((3, 5, 7, 9))), norm=False, bias=True)
    y = b.rearrange(y, (width, rows * columns), (1, 0), (rows * columns, width))
    if rows * columns <= _MOST_TOKENS and rng.random() < 0.5:
        y = b.sum(y, attention(b, rng, b.norm(y, "layer")))
    inner = min(int(rng.choice((2, 4))) * width, _WIDEST)
    z = b.linear(b.act(b.linear(b.norm(y, "layer"), inner), str(rng.choice(("gelu", "silu")))), width)
    y = b.sum(y, z) if rng.random() < 0.5 else b.learned_scale(z)
    return b.sum(x, b.rearrange(y, (rows * columns, width), (1, 0), (width, rows, columns)))


def attention(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    """Self-attention over the tokens `x`, with a random number of heads."""
    tokens, width = x.shape
    heads = int(rng.choice((1, 2, 4)))
    depth = max(8, width // heads)
    split = b.linear(x, 3 * heads * depth)
    split = b.rearrange(split, (tokens, 3, heads, depth), (1, 2, 0, 3), (3 * heads, tokens, depth))
    query, key, value = (b.slice(split, i * heads, (i + 1) * heads) for i in range(3))
    mixed = b.matmul(b.softmax(b.matmul(query, key, transpose=True)), value)
    return b.linear(b.rearrange(mixed, (heads, tokens, depth), (1, 0, 2), (tokens, heads * depth)), width)


Block = Callable[[Builder, Rng, Tensor, int, int, str], Tensor]
_BLOCKS: Mapping[str, Block] = {
    "plain": _plain,
    "bottleneck": _bottleneck,
    "inverted": _inverted,
    "separable": _separable,
    "shuffled": _shuffled,
    "doubled": _doubled,
    "divided": _divided,
    "concatenated": _concatenated,
    "grown": _grown,
    "mixed": _mixed,
    "cascaded": _cascaded,
    "multiplied": _multiplied,
    "normed": _normed,
    "tokens": _tokens,
}
