"""The kinds of `nas.graph.operators` in a reader's words. Texts use these; tables, JSON and CSV keep the kinds."""

from __future__ import annotations

from collections.abc import Iterable

_KINDS = {
    "dense": "convolutions",
    "grp": "grouped convolutions",
    "dw": "depthwise convolutions",
    "pw": "1×1 convolutions",
    "lin": "linear layers",
    "mm": "matrix products of attention",
    "gap": "global average pooling",
    "pool": "max pooling",
    "avgpool": "average pooling",
    "avgpool:ceil": "average pooling of sizes rounded up",
    "add": "sums of maps",
    "mul": "products of maps",
    "se_mul": "squeeze-and-excitation products",
    "scale": "learned scalings",
    "cat": "concatenations",
    "slice": "copies of a part",
    "slice:whole": "copies of the whole",
    "layout": "moves of an axis",
    "layout:channels": "moves of the channels",
    "layout:scattered": "moves of several axes",
    "reorder": "copies between layouts",
    "norm": "normalisations",
    "norm:layer": "layer normalisations",
    "norm:group": "group normalisations",
    "norm:batch": "batch normalisations",
    "softmax": "softmax",
    "resize": "resizing",
    "act:relu": "ReLU",
    "act:relu6": "ReLU6",
    "act:prelu": "PReLU",
    "act:leaky_relu": "leaky ReLU",
    "act:hswish": "hard swish",
    "act:hsigmoid": "hard sigmoid",
    "act:silu": "SiLU",
    "act:gelu": "GELU",
}


def kind_words(kind: str) -> str:
    """An operator's kind in words; an operator that has no kind of its own by the name its file gives it."""
    if kind in _KINDS:
        return _KINDS[kind]
    head, _, name = kind.partition(":")
    if head in ("act", "other"):
        return name.replace("_", " ")
    return f"{_KINDS[head]} ({name})" if head in _KINDS else kind


def kinds_words(kinds: Iterable[str]) -> str:
    """Several kinds, separated by commas, each in words, in alphabetical order."""
    return ", ".join(sorted({kind_words(kind) for kind in kinds}))
