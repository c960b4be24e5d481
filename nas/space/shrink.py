"""Moves that make a network narrower, what NetAdapt chooses among, or wider.

A layer's inner width (an expansion) changes alone; a bottleneck width changes in all layers that residuals tie. Widths
become multiples of a divisor. Blocks whose channels are divided into parts keep the widths around them, and the
network keeps the widths of its input and its result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nas.blocks import BLOCKS
from nas.graph.rows import Shape
from nas.space.architecture import Architecture, Layer, build_layer

Place = tuple[int, str]
"""A layer's position and the parameter that holds a width."""


def inner_places(architecture: Architecture) -> Iterator[Place]:
    """The widths that may shrink alone, in order."""
    for i, (layer, shape) in enumerate(zip(architecture.layers, architecture.layer_inputs(), strict=True)):
        for parameter in BLOCKS.get(layer.block, "layer").inner_widths:
            # A width of 0 is absent; one that equals the input's stands for "no expansion" and follows it.
            if layer.arg(parameter) not in (0, shape[0]):
                yield (i, parameter)


def tied_widths(architecture: Architecture) -> list[list[int]]:
    """Groups of layers that share one bottleneck width, by position; only groups that can be resized."""
    groups: list[list[int]] = [[]]  # of the image, which the first layer reads
    resizable = [False]
    for i, (layer, shape) in enumerate(zip(architecture.layers, architecture.layer_inputs(), strict=True)):
        flow = build_layer(layer, shape, architecture.num_classes).flow
        if flow == "rigid":
            resizable[-1] = False
            groups.append([i])
            resizable.append(False)
        elif flow == "tied":
            groups[-1].append(i)
        else:
            groups.append([i])
            resizable.append("out" in dict(layer.args))
    resizable[-1] = False
    return [group for group, free in zip(groups, resizable, strict=True) if free]


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthChange:
    """One width made another: the layers that change, and the new channels of those whose input changes, by position.

    `width` names the width by its first layer and parameter; changes of one width are alternatives.
    """

    width: str
    layers: Mapping[int, Layer]
    inputs: Mapping[int, int]


def width_changes(architecture: Architecture, divisor: int = 8, *, wider: bool = False) -> Iterator[WidthChange]:
    """For each width its changes to multiples of `divisor`, from the smallest shrink to the largest; with `wider` to
    the next larger multiple alone."""
    choices = _wider if wider else _choices
    for i, parameter in inner_places(architecture):
        layer = architecture.layers[i]
        for width in choices(layer, parameter, divisor):
            changed = layer.with_args(**{parameter: width})
            yield WidthChange(width=f"{i}.{parameter}", layers={i: changed}, inputs={})
    inputs = architecture.layer_inputs()
    for group in tied_widths(architecture):
        for width in choices(architecture.layers[group[0]], "out", divisor):
            yield _resized(architecture, group, width, inputs)


def shrink_moves(architecture: Architecture, divisor: int = 8) -> Iterator[tuple[str, Architecture]]:
    """`width_changes` as (name of the width, narrower network)."""
    for change in width_changes(architecture, divisor):
        layers = tuple(change.layers.get(i, layer) for i, layer in enumerate(architecture.layers))
        yield change.width, replace(architecture, layers=layers, genes={})


def _choices(layer: Layer, parameter: str, divisor: int) -> Iterator[int]:
    """Multiples of `divisor` below a width; finely near it, then in steps that grow with the distance."""
    width = layer.arg(parameter)
    assert isinstance(width, int)
    smaller, step = (width - 1) // divisor * divisor, 0
    while smaller > 0:
        yield smaller
        step += 1
        smaller -= divisor * (1 + step // 4)


def _wider(layer: Layer, parameter: str, divisor: int) -> Iterator[int]:
    """The next multiple of `divisor` above a width."""
    width = layer.arg(parameter)
    assert isinstance(width, int)
    yield (width // divisor + 1) * divisor


def _resized(architecture: Architecture, group: list[int], width: int, inputs: tuple[Shape, ...]) -> WidthChange:
    """A bottleneck width changed: in its layers, and where an inner width stands for it."""
    changed: dict[int, Layer] = {}
    for i in group:
        if "out" in dict(architecture.layers[i].args):
            changed[i] = architecture.layers[i].with_args(out=width)
    readers = [*group[1:], group[-1] + 1]
    for i in readers:
        layer = changed.get(i, architecture.layers[i])
        for parameter in BLOCKS.get(layer.block, "layer").inner_widths:
            if layer.arg(parameter) == inputs[i][0]:
                changed[i] = layer = layer.with_args(**{parameter: width})
    return WidthChange(width=f"{group[0]}.out", layers=changed, inputs=dict.fromkeys(readers, width))
