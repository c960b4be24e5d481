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
    8, 12, 16, 18, 20, 24, 32, 36, 40, 48, 58, 64, 72, 80, 96, 112, 116, 128, 144, 160, 192, 240, 256, 320, 384, 480,
    512, 672, 960,
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


def _grouped(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    divisors = [g for g in (2, 3, 4, 8, 12, 16, 24, 32) if x.channels % g == 0 and x.channels > g]
    groups = int(rng.choice(divisors or [1]))
    return b.conv(x, x.channels, int(rng.choice((1, 3))), groups=groups, act=_act(rng))


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
    y = b.norm(b.rearrange(x, x.shape, (1, 2, 0), (*x.shape[1:], x.channels)), "layer")
    kind = int(rng.integers(3))
    if kind:
        y = b.linear(b.act(b.linear(y, 4 * x.channels), str(rng.choice(("relu", "gelu")))), x.channels)
        y = b.learned_scale(y) if kind == 1 else y
    return b.rearrange(y, y.shape, (2, 0, 1), x.shape)


def _tokens(b: Builder, rng: Rng, x: Tensor) -> Tensor:
    _, rows, columns = x.shape
    y = b.rearrange(x, (x.channels, rows * columns), (1, 0), (rows * columns, x.channels))
    if rows * columns <= 400 and rng.random() < 0.5:
        y = attention(b, rng, b.norm(y, "layer") if rng.random() < 0.5 else y)
    else:
        y = b.linear(b.norm(y, "layer") if rng.random() < 0.5 else y, x.channels)
    return b.rearrange(y, (rows * columns, x.channels), (1, 0), x.shape)


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
    "grouped": _grouped,
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
    "resized": _resized,
}
