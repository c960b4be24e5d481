"""Small parents of every family, random descendants of them, and a count of what these can inherit."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from nas.nets import GraphModule, build
from nas.space import Architecture
from nas.space.architecture import Layer
from nas.space.seeds import list_known
from nas.space.shrink import shrink_moves

SIDE = 64
CLASSES = 7


def parents() -> list[Architecture]:
    """The smallest network of each family, with at most three equal layers in a row."""
    smallest: dict[str, Architecture] = {}
    for known in list_known():
        best = smallest.get(known.family)
        if best is None or known.architecture.params < best.params:
            smallest[known.family] = known.architecture
    return [_thinned(architecture) for architecture in smallest.values()]


def _thinned(architecture: Architecture) -> Architecture:
    layers: list[Layer] = []
    for layer, before, after in _with_shapes(architecture):
        if before != after or [one.block for one in layers[-3:]] != [layer.block] * 3:
            layers.append(layer)
    thin = replace(architecture, layers=tuple(layers), resolution=SIDE, num_classes=CLASSES, genes={})
    thin.graph()
    return thin


def _with_shapes(architecture: Architecture) -> list[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
    shapes = [*architecture.layer_inputs(), ()]
    return list(zip(architecture.layers, shapes, shapes[1:], strict=False))


def descendant(parent: Architecture, rng: np.random.Generator) -> tuple[Architecture, dict[int, int]]:
    """A network that a few changes make of `parent`, and for each of its layers the parent's, from 1."""
    child, origin = parent, list(range(1, len(parent.layers) + 1))
    for _ in range(3):
        narrower = [found for _, found in shrink_moves(child) if _expands(found)] or _narrower_groups(child)
        if narrower:
            child = narrower[int(rng.integers(len(narrower)))]
    layers = list(child.layers)
    kernels = [
        i for i, layer in enumerate(layers) if dict(layer.args).get("kernel") in (3, 5) and layer.block != "conv"
    ]
    for i in rng.permutation(kernels)[:2].tolist():
        layers[i] = layers[i].with_args(kernel=8 - int(layers[i].arg("kernel")))
    gated = [i for i, layer in enumerate(layers) if int(dict(layer.args).get("se", 0)) > 1]
    for i in rng.permutation(gated)[:1].tolist():
        layers[i] = layers[i].with_args(se=int(layers[i].arg("se")) // 2)
    child = replace(child, layers=tuple(layers), genes={})
    droppable = [
        i
        for i, (layer, before, after) in enumerate(_with_shapes(child))
        if before == after and [one.block for one in child.layers[i + 1 : i + 2]] != [layer.block]
    ]
    if droppable and rng.random() < 0.5:
        dropped = int(rng.choice(droppable))
        del layers[dropped], origin[dropped]
    child = replace(child, layers=tuple(layers))
    changed = child.adapted(num_classes=int(rng.choice([3, CLASSES])), in_channels=int(rng.choice([1, 3])))
    return changed, dict(enumerate(origin, start=1))


def _expands(architecture: Architecture) -> bool:
    """Whether no expansion is as wide as its input, which would leave out a convolution and give others its name."""
    widths = zip(architecture.layers, architecture.layer_inputs(), strict=True)
    return all(dict(layer.args).get("hidden") != shape[0] or layer.block == "fbnet" for layer, shape in widths)


def _narrower_groups(architecture: Architecture) -> list[Architecture]:
    """Where no width may change alone: all layers of one width narrower."""
    found = []
    for width in {layer.arg("out") for layer in architecture.layers if "out" in dict(layer.args)}:
        for layer in architecture.layers:
            if dict(layer.args).get("out") == width and layer.block in _PARTS:
                change = {
                    old: old.with_args(**_PARTS[layer.block](int(width))) for old in architecture.layers
                    if old.block == layer.block and old.arg("out") == width
                }  # fmt: skip
                layers = tuple(change.get(old, old) for old in architecture.layers)
                found.append(replace(architecture, layers=layers, genes={}))
                break
    return found


_PARTS = {
    "shufflenetv1": lambda out: {"out": out - 24, "hidden": (out - 24) // 4},
    "shufflenetv2": lambda out: {"out": out - 8},
    "fire": lambda out: {"out": out - 16},
    "espnetv2_expand": lambda out: {"out": out - 64},
}


def possible(child: GraphModule, parent: GraphModule, origin: dict[int, int]) -> int:
    """How many of the child's learned numbers lie in the overlap of its shapes with those of the parent, by the names
    of weights alone."""
    assert child.architecture is not None and parent.architecture is not None
    theirs = {_name(name): weight for name, weight in parent.named_parameters()}
    last = len(child.architecture.layers)
    count = 0
    for name, weight in child.named_parameters():
        number = int(name[5:7])
        other = theirs.get(_name(re.sub(r"^layer\d\d", f"layer{origin[number]:02d}", name)))
        if other is None or (number == last and weight.shape[0] != other.shape[0] and _classifies(name, weight.shape)):
            continue
        count += math.prod(min(own, its) for own, its in zip(weight.shape, other.shape, strict=True))
    return count


def _classifies(name: str, shape: tuple[int, ...]) -> bool:
    return ".norm." not in name and shape[0] in (3, CLASSES)


def _name(name: str) -> str:
    return re.sub(r"conv([35])x\1", "full", name)


def made(architecture: Architecture) -> GraphModule:
    """The network with weights and statistics that all differ."""
    module = build(architecture, seed=2)
    rng = np.random.default_rng(3)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.new_tensor(rng.uniform(0.2, 1.0, tuple(value.shape))))
    return module
