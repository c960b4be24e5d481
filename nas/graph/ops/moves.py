"""Operators that move data: concatenation, parts, shuffles, transpositions, resizing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nas.graph.ops.op import Op
from nas.graph.rows import Row, Shape, elements, make_row, map_shape, slice_rows


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Concatenation of maps along the channels."""

    name: ClassVar[str] = "concat"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if any(shape[1:] != inputs[0][1:] for shape in inputs):
            raise ValueError(f"concatenated maps must have the same size, but got {list(inputs)}")
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        common = functools.reduce(np.gcd, [shape[0] for shape in inputs])  # also of many sizes at once
        return (make_row("cat", elements(out), out, in_channels=common),)


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """The channels `start` to `stop` (first axis)."""

    name: ClassVar[str] = "slice"
    start: int
    stop: int

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if not 0 <= self.start < self.stop <= inputs[0][0]:
            raise ValueError(f"a slice must lie within {inputs[0][0]} channels, but got {self.start}:{self.stop}")
        return (self.stop - self.start, *inputs[0][1:])

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return slice_rows(inputs[0], out)

    def text(self) -> str:
        return f"slice{self.start}:{self.stop}"


@dataclass(frozen=True, slots=True)
class Shuffle(Op):
    """Channel shuffle: channel g·n+i moves to i·groups+g (ShuffleNet, arXiv 1707.01083, section 3.1)."""

    name: ClassVar[str] = "shuffle"
    groups: int

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if inputs[0][0] % self.groups:
            raise ValueError(f"groups must divide the channels, but got {inputs[0][0]} channels, groups={self.groups}")
        return inputs[0]

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        size, together = elements(out), elements(out[1:])
        row: Row = ("layout", 1, 1, 1, together, out[0] // self.groups, 1, 1, 0, size, size, 0)
        return (row, row)

    def text(self) -> str:
        return f"shuffle{self.groups}"


@dataclass(frozen=True, slots=True)
class Rearrange(Op):
    """Reshape to `split`, transpose by `order`, reshape to `merge` (patches, heads); batch apart."""

    name: ClassVar[str] = "rearrange"
    split: Shape
    order: tuple[int, ...]
    merge: Shape

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if not elements(inputs[0]) == elements(self.split) == elements(self.merge):
            raise ValueError(f"a rearrangement must keep the elements, but got {inputs[0]} for {self.text()}")
        if sorted(self.order) != list(range(len(self.split))):
            raise ValueError(f"order must be a permutation of the axes of {self.split}, but got {self.order}")
        return self.merge

    @property
    def moves_data(self) -> bool:
        """False for a mere reshape."""
        return self.order != tuple(range(len(self.split)))

    @property
    def channels_to(self) -> Literal["last", "first"] | None:
        """Where it brings the channels of a map, if that is all that it does."""
        split, order, merge = self.split, self.order, self.merge
        if len(split) == 4 and split[0] == 1 and order[0] == 0:  # with the batch
            split, order, merge = split[1:], tuple(axis - 1 for axis in order[1:]), merge[1:]
        if order == (1, 2, 0):
            return "last"
        return "first" if order == (2, 0, 1) and merge == (split[2], *split[:2]) else None

    @property
    def _moves_one_axis(self) -> bool:
        """Whether all axes but one keep their order, for which runtimes have faster code."""
        rests = ([other for other in self.order if other != axis] for axis in self.order)
        return any(rest == sorted(rest) for rest in rests)

    @property
    def together(self) -> int:
        """How many neighbouring elements stay neighbours."""
        count, axis = 1, len(self.split) - 1
        while axis >= 0 and self.order[axis] == axis:
            count, axis = count * self.split[axis], axis - 1
        return count

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        if not self.moves_data:
            return ()
        size = elements(out)
        kind = "layout:channels" if self.channels_to else "layout" if self._moves_one_axis else "layout:scattered"
        return ((kind, 1, 1, 1, self.together, map_shape(out)[0], 1, 1, 0, size, size, 0),)

    def text(self) -> str:
        split, order, merge = ("x".join(map(str, axes)) for axes in (self.split, self.order, self.merge))
        return f"rearrange{split}/{order}/{merge}"


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """Bilinear resizing of a map to (height, width): by half-pixel centres, or with the corner pixels aligned."""

    name: ClassVar[str] = "resize"
    height: int
    width: int
    align_corners: bool = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return (inputs[0][0], self.height, self.width)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        return (make_row("resize", elements(inputs[0]), out),)

    def text(self) -> str:
        return f"resize{self.height}x{self.width}" + "c" * self.align_corners
