"""Whether all networks of a space can be built: checked when it is read, with all its widths.

At the smallest size, where a layer is most likely not to fit; where sides are no multiples of 32, at all sizes, since
maps of odd sizes then come before different layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.blocks import BLOCKS
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.errors import InputError
from nas.space.architecture import Layer, build_layer
from nas.space.compile.batch import output_shapes
from nas.space.compile.variants import Variants
from nas.space.resolution import canonical, resolution_text
from nas.space.search_space import SearchSpace
from nas.space.stage import Stage
from nas.space.template import Kind, Template

WHOLE = 32
"""Sides that are multiples of it are halved without a remainder by every down-sampling."""
MAX_LAYERS = 2_000_000
"""Different layers that the stages of a space may have: each is a row of the compiled space's table."""


def check_space(space: SearchSpace) -> None:
    """Raise `InputError` naming the place in `space.source` where a stem, a stage or a head cannot be built."""
    small = _telling(space)
    for i, stem in enumerate(small.stems):
        for image in small.sizes:
            _check_stem(small, stem, image, f"{space.source}: stems, choice {i + 1}")
    _check_size(space)
    for position, stage in enumerate(space.stages):
        for kind in (space.kinds[name] for name in stage.kinds):
            for part, template in (("block", kind.block), ("transition", kind.transition)):
                if template is not None:
                    place = f"{space.source}: kinds.{kind.name}.{part}, {stage.name}"
                    _check_parameters(template, stage, small.widths_before[position], place)
            _check_layers(small, position, kind)
    reductions = {small.reduction(len(small.stages), stride) for stride in small.stem_strides}
    for i, head in enumerate(small.heads):
        for image, reduction in itertools.product(small.sizes, sorted(reductions)):
            _check_head(small, head, _reduced(image, reduction), f"{space.source}: heads, choice {i + 1}")


def _telling(space: SearchSpace) -> SearchSpace:
    """The space at the sizes that tell, and without the activations that leave all shapes as they are."""

    def representative(acts: tuple[str, ...]) -> tuple[str, ...]:
        return (acts[0], *(act for act in acts[1:] if act in DYNAMIC_ACTIVATIONS))

    stages = tuple(replace(stage, act=representative(stage.act)) for stage in space.stages)
    whole = all(length % WHOLE == 0 for size in space.sizes for length in size)
    return replace(space, resolutions=(canonical(space.smallest_size),) if whole else space.resolutions, stages=stages)


def _reduced(size: tuple[int, int], reduction: int) -> tuple[int, int]:
    return -(-size[0] // reduction), -(-size[1] // reduction)


def _check_size(space: SearchSpace) -> None:
    count = 0
    for position, stage in enumerate(space.stages):
        for kind in (space.kinds[name] for name in stage.kinds):
            count += sum(len(Variants(space, position, kind, inner=inner)) for inner in (False, True))
    if count > MAX_LAYERS:
        raise InputError(
            f"{space.source}: the stages must have at most {MAX_LAYERS:,} different layers, but have {count:,};"
            " leave out widths, expansions or resolutions."
        )


def _check_stem(space: SearchSpace, stem: tuple[Layer, ...], image: tuple[int, int], where: str) -> None:
    shape: tuple[int, ...] = (space.in_channels, *image)
    for layer in stem:
        shape = _output(layer, shape, space.num_classes, where)
    if shape[1:] not in [_reduced(image, stride) for stride in (1, 2, 4)]:
        came = "x".join(map(str, shape))
        pixels = resolution_text(canonical(image))
        raise InputError(
            f"{where} must keep the size of an image or reduce it 2 or 4 times, but makes {came} of {pixels} px."
        )


def _check_head(space: SearchSpace, head: tuple[Layer, ...], size: tuple[int, ...], where: str) -> None:
    if not BLOCKS.get(head[-1].block, where).takes_classes:
        raise InputError(f"{where} must end with a classifier, but ends with {head[-1].block}; append {{block: head}}.")
    for width in space.widths_before[-1]:
        shape: tuple[int, ...] = (width, *size)
        for layer in head:
            shape = _output(layer, shape, space.num_classes, f"{where} on {width} channels")


def _output(layer: Layer, shape: tuple[int, ...], num_classes: int, where: str) -> tuple[int, ...]:
    try:
        return build_layer(layer, shape, num_classes).output
    except ValueError as error:
        raise InputError(
            f"{where}: {layer.block} must fit its input {'x'.join(map(str, shape))}, but: {error}."
        ) from error


def _check_parameters(template: Template, stage: Stage, inputs: tuple[int, ...], where: str) -> None:
    """The block's own limits on its parameters, at the ends of the ranges of numbers and for all words and kernels."""
    block = BLOCKS.get(template.block, where)
    for key, expression in template.args:
        parameter = block.parameters.get(key)
        if parameter is not None and parameter.type is not str and isinstance(expression.literal, str):
            raise InputError(
                f"{where}: {key} must be a number, a name or a product of them, but got {expression.literal!r}."
            )
    for act, kernel, flag in itertools.product(stage.act, stage.kernel, (0, 1)):
        for end in (min, max):
            env: Mapping[str, Any] = {
                "in": end(inputs), "width": end(stage.width), "stride": end(1, stage.stride),
                "kernel": kernel, "expansion": end(stage.expansion), "act": act, "se": flag,
            }  # fmt: skip
            block.check(template.evaluate(env), where)


def _check_layers(space: SearchSpace, position: int, kind: Kind) -> None:
    """Every layer that may stand in a stage builds, and leaves the stage's width at the stage's size."""
    for inner in (False, True):
        variants = Variants(space, position, kind, inner=inner)
        part = "transition" if variants.is_transition else "block"
        where = f"{space.source}: kinds.{kind.name}.{part}, {space.stages[position].name}"
        for batch in variants:
            shape = (batch.inputs, batch.height, batch.breadth)
            try:
                output = output_shapes(batch.block, batch.args, shape, len(batch.side), space.num_classes)
            except ValueError as error:
                raise InputError(f"{where}: {batch.block} must fit its input, but: {error}.") from error
            except TypeError as error:
                raise InputError(
                    f"{where}: {batch.block} cannot be built for many sizes at once ({error}); give it fixed sizes."
                ) from error
            after = (-(-batch.height // batch.stride), -(-batch.breadth // batch.stride))
            _check_output(output, np.stack((batch.width, *after)), f"{where}: {batch.block}")


def _check_output(output: tuple[NDArray[np.int64], ...], wanted: NDArray[np.int64], where: str) -> None:
    """`wanted` has shape (3, n): the stage's width and size."""
    if len(output) != 3:
        raise InputError(f"{where} must leave a map, but leaves {len(output)} axes; take another block.")
    wrong = (np.stack(output) != wanted).any(axis=0)
    if wrong.any():
        first = int(np.argmax(wrong))
        came, rule = ("x".join(str(axis[first]) for axis in shape) for shape in (output, wanted))
        raise InputError(
            f"{where} must leave the stage's width at its size ({rule}), but leaves {came};"
            " write out: width and stride: stride where the block has them, or add a transition."
        )
