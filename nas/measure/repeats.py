"""Repeats: one block many times over, on one map.

The time of a network of many kinds of operators says little of one that takes a hundredth of it; the time of a
network that is nearly all one block says what that block takes, in a network, with the caches as they are there.
A number makes a repeat: the same one always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from nas.graph import Graph
from nas.graph.builder import Builder, Tensor
from nas.measure.probes import Rng, attention, gated

_SIDES = (7, 8, 10, 14, 14, 16, 20, 28, 28, 32, 40, 56, 56, 64, 80, 112, 112)
_WIDTHS = (
    8, 12, 16, 18, 20, 24, 32, 36, 40, 48, 58, 64, 72, 80, 96, 112, 116, 128, 144, 152, 160, 192, 240, 256, 320, 368,
    384, 480, 512, 672, 960,
)  # fmt: skip
_ELEMENTS = (8_000, 1_000_000)
_WORK, _WORK_AN_ELEMENT, _COPIES = 120e6, 40.0, (3, 20)
"""Multiply-adds a network, and what an element that is written counts as: a few ms; and how often a block may come."""


def repeat_graph(number: int) -> Graph:
    """The repeat called `number`: a 1x1 stem, then copies of one block, which keeps the shape."""
    rng = np.random.default_rng([number, 20261])
    block = list(_BLOCKS.values())[int(rng.integers(len(_BLOCKS)))]
    side = int(rng.choice(_SIDES))
    fitting = [w for w in _WIDTHS if _ELEMENTS[0] <= w * side * side <= _ELEMENTS[1]]
    width, seed = int(rng.choice(fitting)), int(rng.integers(2**32))
    work = _work(_stacked(block, seed, side, width, 1))
    while 2 * work > _WORK and width > fitting[0]:
        width = max(w for w in fitting if w < width)
        work = _work(_stacked(block, seed, side, width, 1))
    return _stacked(block, seed, side, width, int(np.clip(_WORK / work, *_COPIES)))


def _stacked(block: Block, seed: int, side: int, width: int, copies: int) -> Graph:
    b = Builder((3, side, side))
    b.layer = 1
    x = b.conv(b.input, width, 1)
    for _ in range(copies):
        b.layer += 1
        x = block(b, np.random.default_rng(seed), x)
    b.layer += 1
    b.linear(b.global_pool(x, flatten=True), 10)
    return b.build()


def _work(graph: Graph) -> float:
    return graph.macs + _WORK_AN_ELEMENT * graph.activation_elements


def _act(rng: Rng) -> str:
    return str(rng.choice(("none", "none", "relu", "hswish")))


def _pointwise(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.conv(x, x.channels, 1, act=_act(rng))


def _expanded(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    factor = float(rng.choice((0.25, 0.5, 2, 3, 4, 6)))
    return b.conv(b.conv(x, max(4, int(x.channels * factor)), 1, act=_act(rng)), x.channels, 1)


def _dense(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.conv(x, x.channels, int(rng.choice((3, 3, 3, 5, 7))), act=_act(rng))


def _depthwise(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.depthwise(x, int(rng.choice((3, 3, 5, 5, 7, 9))), act=_act(rng))


def _separable(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.conv(b.depthwise(x, int(rng.choice((3, 3, 5, 7))), act=_act(rng)), x.channels, 1, act=_act(rng))


def _asymmetric(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    kernel = int(rng.choice((3, 3, 5, 7)))
    return b.conv(b.conv(x, x.channels, (1, kernel), act=_act(rng)), x.channels, (kernel, 1), act=_act(rng))


def _grouped(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    wide = [width for width in (4, 8, 8, 16, 16, 24, 32, 40, 64) if x.channels % width == 0 and x.channels > width]
    groups = x.channels // int(rng.choice(wide or [x.channels]))
    return b.conv(x, x.channels, 3, groups=groups, act=_act(rng))


def _grouped_pointwise(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    groups = int(rng.choice([g for g in (2, 3, 4, 8, 16) if x.channels % g == 0]))
    middle = groups * max(1, int(x.channels // groups * float(rng.choice((0.5, 1, 2, 4)))))
    return b.conv(b.conv(x, middle, 1, groups=groups, act=_act(rng)), x.channels, 1, groups=groups, act=_act(rng))


def _activated(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    function = str(rng.choice(("hswish", "silu", "silu", "gelu", "prelu", "leaky_relu", "sigmoid", "hsigmoid", "tanh")))
    return b.act(b.conv(x, x.channels, 1), function)


def _added(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.sum(x, b.conv(x, x.channels, 1))


def _multiplied(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.product(b.conv(x, x.channels, 1, act="sigmoid"), x)


def _squeezed(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    y = b.depthwise(x, 3) if rng.random() < 0.5 else b.conv(x, x.channels, 1)
    return gated(b, y, rng)


def _pooled(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    function: Literal["max", "avg"] = "max" if rng.random() < 0.4 else "avg"
    y = b.pool(x, function, 3, 1, padding=1, ceil=bool(rng.random() < 0.5))
    return b.conv(y, x.channels, 1) if rng.random() < 0.5 else y


def _joined(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    count = int(rng.integers(2, 5))
    ends = [x.channels * i // count for i in range(count + 1)]
    return b.concat([b.conv(x, ends[i + 1] - ends[i], 1) for i in range(count)])


def _split(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    count = int(rng.integers(2, 5))
    ends = [x.channels * i // count for i in range(count + 1)]
    y = b.conv(x, x.channels, 1) if rng.random() < 0.5 else x
    parts = [b.slice(y, ends[i], ends[i + 1]) for i in range(count)]
    if rng.random() < 0.3:  # without a change of layout
        return b.concat([b.act(part, "sigmoid") for part in parts])
    worked = [b.conv(part, part.channels, 1) if rng.random() < 0.5 else b.depthwise(part, 3) for part in parts]
    return b.concat(worked)


def _shuffled(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    groups = int(rng.choice([g for g in (2, 3, 4, 8) if x.channels % g == 0]))
    return b.shuffle(b.conv(x, x.channels, 1), groups)


def _batch_normed(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.act(b.norm(b.sum(x, b.conv(x, x.channels, 1)), "batch"), _act(rng))


def _group_normed(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    return b.norm(b.conv(x, x.channels, 1), "group")


def _channels_last(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    channels, rows, columns = x.shape
    y = b.norm(b.rearrange(b.depthwise(x, 3), x.shape, (1, 2, 0), (rows * columns, channels)), "layer")
    kind = int(rng.integers(3))
    if kind:
        y = b.linear(b.act(b.linear(y, 4 * channels), str(rng.choice(("relu", "gelu")))), channels)
        y = b.learned_scale(y) if kind == 1 else y
    return b.rearrange(y, (rows, columns, channels), (2, 0, 1), x.shape)


def _tokens(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    _, rows, columns = x.shape
    y = b.rearrange(b.depthwise(x, 3), (x.channels, rows * columns), (1, 0), (rows * columns, x.channels))
    y = b.norm(y, "layer") if rng.random() < 0.5 else y
    y = attention(b, rng, y) if rows * columns <= 400 and rng.random() < 0.5 else b.linear(y, x.channels)
    return b.rearrange(y, (rows * columns, x.channels), (1, 0), x.shape)


def _transposed(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    """Transpositions with a convolution or a linear layer between: runtimes join those that follow each other."""
    channels, rows, columns = x.shape
    kind = int(rng.integers(4))
    if kind == 0:
        return b.shuffle(x, int(rng.choice([g for g in (2, 3, 4, 8) if channels % g == 0])))
    x = b.depthwise(x, 3)
    if kind == 1:  # channels exchanged with rows, or with columns, as in a DiCENet
        order = (1, 0, 2) if rng.random() < 0.5 else (2, 1, 0)
        turned = tuple(x.shape[axis] for axis in order)
        return b.rearrange(b.depthwise(b.rearrange(x, x.shape, order, turned), 3), turned, order, x.shape)
    if kind == 2 or rows % 2 or columns % 2:
        y = b.rearrange(x, (channels, rows * columns), (1, 0), (rows * columns, channels))
        return b.rearrange(b.linear(y, channels), y.shape, (1, 0), x.shape)
    cut = (channels * rows // 2, 2, columns // 2, 2)  # patches of 2x2, as of a MobileViT
    patches, swapped = (channels, rows * columns // 4, 4), (channels * rows // 2, columns // 2, 2, 2)
    y = b.rearrange(b.rearrange(x, cut, (0, 2, 1, 3), patches), patches, (2, 1, 0), patches[::-1])
    y = b.linear(y, channels)
    return b.rearrange(b.rearrange(y, y.shape, (2, 1, 0), patches), swapped, (0, 2, 1, 3), x.shape)


def _attended(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    channels, rows, columns = x.shape
    tokens = rows * columns
    depths = [d for d in (8, 16, 32, 64) if channels % d == 0]
    if tokens > 400 or not depths or rng.random() < 0.3:
        flat = b.rearrange(x, (channels, tokens), (0, 1), (channels, tokens))
        return b.rearrange(b.softmax(flat), (channels, tokens), (0, 1), x.shape)
    depth = int(rng.choice(depths))
    heads = (channels // depth, tokens, depth)
    y = b.softmax(b.rearrange(x, heads, (0, 1, 2), heads))  # small, so that the next one makes no denormal numbers
    return b.rearrange(b.matmul(b.softmax(b.matmul(y, y, transpose=True)), y), heads, (0, 1, 2), x.shape)


def _resized(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    y = b.depthwise(b.pool(x, "avg", 2, 2), 3)
    return b.sum(x, b.resize(y, *x.shape[1:]))


Block = Callable[[Builder, Rng, Tensor], Tensor]
_BLOCKS: Mapping[str, Block] = {
    "pointwise": _pointwise,
    "expanded": _expanded,
    "dense": _dense,
    "depthwise": _depthwise,
    "separable": _separable,
    "asymmetric": _asymmetric,
    "grouped": _grouped,
    "grouped again": _grouped,
    "grouped pointwise": _grouped_pointwise,
    "activated": _activated,
    "added": _added,
    "multiplied": _multiplied,
    "squeezed": _squeezed,
    "pooled": _pooled,
    "joined": _joined,
    "split": _split,
    "shuffled": _shuffled,
    "batch normed": _batch_normed,
    "group normed": _group_normed,
    "channels last": _channels_last,
    "tokens": _tokens,
    "transposed": _transposed,
    "transposed again": _transposed,
    "attended": _attended,
    "resized": _resized,
}
