"""All layers that may stand at one place of a stage, as batches of sizes.

A stage of one kind has two places: *entry*, the first block where the kind changes width and size itself and the
transition where it does not; and *inner*, a block at the stage's own width and size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.search_space import SearchSpace
from nas.space.template import Kind

Sizes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantBatch:
    """n layers of one structure: the block's parameters, the widths of input and result, and the image's side.

    Arrays have shape (n,). The map before the layers is `height` by `breadth`, and behind them these over `stride`.
    """

    block: str
    args: dict[str, Any]
    inputs: Sizes
    width: Sizes
    height: Sizes
    breadth: Sizes
    stride: int
    side: NDArray[np.float64]


class Variants:
    """The layers at one place of the stage at `position`.

    `axes` gives the choices of everything that decides them, the last one running fastest. The axes that decide which
    operators there are come first (`early`: the stride of the stem), so that what they leave is one batch.
    """

    def __init__(self, space: SearchSpace, position: int, kind: Kind, *, inner: bool) -> None:
        self._space, self._position, self._inner = space, position, inner
        stage = space.stages[position]
        self.is_transition = kind.transition is not None and not inner
        self.template = kind.transition if kind.transition is not None and not inner else kind.block
        names = self.template.names
        self._structure: dict[str, Sequence[Any]] = {
            "early": space.telling_strides(position, behind=inner),
            "act": stage.act if "act" in names else stage.act[:1],
            "kernel": stage.kernel if "kernel" in names else stage.kernel[:1],
            "se": (0, 1) if "se" in names and set(stage.se) != {"none"} else (0,),
        }
        self._sizes: dict[str, Sequence[Any]] = {
            "resolution": range(len(space.resolutions)),
            "in": (0,) if inner else space.widths_before[position],
            "width": stage.width,
            "expansion": stage.expansion if "expansion" in names else stage.expansion[:1],
        }
        self.axes = {**self._structure, **self._sizes}

    def __len__(self) -> int:
        """How many layers there are."""
        return math.prod(len(choices) for choices in self.axes.values())

    def __iter__(self) -> Iterator[VariantBatch]:
        """The layers, in the order of `axes`."""
        resolution, inputs, width, expansion = grid(*self._sizes.values())
        inputs = width if self._inner else inputs
        for stem_stride, act, kernel, flag in itertools.product(*self._structure.values()):
            stride = 1 if self._inner else self._space.stage_stride(self._position, stem_stride)
            env = {"in": inputs, "width": width, "stride": stride}
            genes = {"kernel": kernel, "expansion": expansion, "act": act, "se": flag}
            reduction = self._space.reduction(self._position + self._inner, stem_stride)
            height, breadth = self._space.map_sizes(resolution, reduction)
            yield VariantBatch(
                block=self.template.block,
                args=self.template.evaluate({**env, **genes}),
                inputs=inputs,
                width=width,
                height=height,
                breadth=breadth,
                stride=stride,
                side=np.array(self._space.sides)[resolution],
            )


def grid(*axes: Sequence[Any]) -> list[NDArray[Any]]:
    """The cartesian product of axes, each flattened to shape (product,); the last axis runs fastest."""
    return [axis.ravel() for axis in np.meshgrid(*(np.asarray(axis) for axis in axes), indexing="ij")]
