"""What the widths of a space have in common: the multiples that a search keeps to where it works out widths itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nas.blocks import BLOCKS
from nas.errors import InputError
from nas.space.architecture import Layer
from nas.space.compile.variants import Variants
from nas.space.search_space import SearchSpace

LEAST_DIVISOR, LARGEST_DIVISOR = 8, 64
"""The bounds of a divisor that no file states: runtimes compute by eights, and no device needs more than 64."""


def common_divisor(space: SearchSpace) -> int:
    """The greatest common divisor of all widths of its stages, inside blocks and between them, within the bounds."""
    common = 0
    for stage in space.stages:
        common = math.gcd(common, *stage.width)
    for widths in _hidden_widths(space):
        common = math.gcd(common, *widths)
    return min(max(common, LEAST_DIVISOR), LARGEST_DIVISOR)


def check_divisor(space: SearchSpace) -> None:
    """Raise `InputError` where a width of the space is no multiple of the divisor that its file states."""
    for stage in space.stages:
        _check(space, stage.width, f"{stage.name}: width")
    for widths in _hidden_widths(space):
        _check(space, widths, "widths inside blocks")
    for part, chains in (("stems", space.stems), ("heads", space.heads)):
        for i, chain in enumerate(chains, start=1):
            for layer in chain:
                _check(space, [width for _, width in _widths(layer)], f"{part}, choice {i}: {layer.block}")


def _check(space: SearchSpace, widths: Sequence[int], where: str) -> None:
    for width in widths:
        if width % space.divisor:
            raise InputError(
                f"{space.source}: {where} must be multiples of the divisor {space.divisor}, but got {width}; change the"
                " width, its rounding, or the divisor."
            )


def _widths(layer: Layer) -> Iterator[tuple[str, int]]:
    """The widths that a layer states, those of absent parts apart."""
    for name in ("out", *BLOCKS.get(layer.block, "layer").inner_widths):
        width = dict(layer.args).get(name, 0)
        if isinstance(width, int) and width:
            yield name, width


def _hidden_widths(space: SearchSpace) -> Iterator[list[int]]:
    """The different widths inside the blocks of the stages, those of absent parts apart."""
    for position, stage in enumerate(space.stages):
        for kind in (space.kinds[name] for name in stage.kinds):
            for inner in (False, True):
                variants = Variants(space, position, kind, inner=inner)
                names = BLOCKS.get(variants.template.block, "template").inner_widths
                for batch in variants:
                    for name in names:
                        yield [int(width) for width in np.unique(batch.args.get(name, 0)) if width]
