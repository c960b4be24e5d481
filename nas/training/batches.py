"""Training batches: which images, mirrored or not, cut where. Every draw is a function of (seed, epoch, step).

So nothing random has a state: a training that is resumed at a step draws what it would have drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.data.prepared import Split
from nas.training.recipe import AugmentRecipe

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]


def generator(seed: int, *place: int) -> np.random.Generator:
    """The generator of one place (an epoch, a step) of a training with `seed`."""
    return np.random.default_rng((seed, *place))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochPlan:
    """One epoch: the images in order (n,), whether each is mirrored (n,), and where its crop begins (n, 2) in the image
    with its margins, as (row, column)."""

    order: Integers
    mirrored: NDArray[np.bool_]
    corners: Integers


class Batches:
    """The batches of `split` at `size` (height, width): `batch` images a step, without those left over in an epoch
    (others each time).

    Images that are larger than `size` are cut to it, those of its size from a black margin; for resized crops they stay
    as they are, since what cuts them comes later.
    """

    def __init__(self, split: Split, augment: AugmentRecipe, *, size: tuple[int, int], batch: int, seed: int) -> None:
        self.batch = min(batch, len(split))
        self.steps_per_epoch = len(split) // self.batch
        self._split, self._augment, self._seed = split, augment, seed
        stored = split.images.shape[1:3]
        self._size = stored if augment.crop == "resized" else size
        self._room = tuple(have - want for have, want in zip(stored, self._size, strict=True))
        pads = augment.crop == "padded" and self._room == (0, 0)
        self._margins = tuple(round(augment.pad * side) if pads else 0 for side in self._size)
        self._plan: tuple[int, EpochPlan] | None = None

    def plan(self, epoch: int) -> EpochPlan:
        """What `epoch` draws: a permutation first, then who is mirrored, then the corners."""
        if self._plan is None or self._plan[0] != epoch:
            rng = generator(self._seed, epoch)
            count = len(self._split)
            order, chance = rng.permutation(count), rng.random(count)
            if self._augment.crop == "padded":
                last = [room + 2 * margin for room, margin in zip(self._room, self._margins, strict=True)]
                corners = rng.integers(0, last, (count, 2), endpoint=True)
            else:
                corners = np.tile([room // 2 for room in self._room], (count, 1))
            mirrored = chance < (0.5 if self._augment.flip else 0.0)
            self._plan = (epoch, EpochPlan(order=order, mirrored=mirrored, corners=corners))
        return self._plan[1]

    def take(self, epoch: int, step: int, part: slice = slice(None)) -> tuple[Pixels, Integers]:
        """The images (n, height, width, channels), cut and mirrored, and the labels (n,) of a step, or of a `part` of
        its batch."""
        plan = self.plan(epoch)
        first, last, _ = part.indices(self.batch)
        places = slice(step * self.batch + first, step * self.batch + last)
        chosen = plan.order[places]
        images = self._split.images[chosen]
        return self._cut(images, plan.corners[places], plan.mirrored[places]), self._split.labels[chosen]

    def plain(self, chosen: Integers) -> Pixels:
        """The images `chosen`, (n,), as they are evaluated: their middle, not mirrored."""
        middle = [room // 2 + margin for room, margin in zip(self._room, self._margins, strict=True)]
        return self._cut(self._split.images[chosen], np.tile(middle, (len(chosen), 1)), np.zeros(len(chosen), np.bool_))

    def _cut(self, images: Pixels, corners: Integers, mirrored: NDArray[np.bool_]) -> Pixels:
        return crops(images, self._size, self._margins, corners, mirrored)


def crops(
    images: Pixels, size: tuple[int, ...], margins: tuple[int, ...], corners: Integers, mirrored: NDArray[np.bool_]
) -> Pixels:
    """`images` (n, h, w, c), each with black `margins` (rows, columns) around it, cut to `size` (height, width) at its
    corner, then mirrored or not: a new array (n, height, width, c)."""
    count, height, width, channels = images.shape
    rows, columns = margins
    wide = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), np.uint8)
    wide[:, rows : rows + height, columns : columns + width] = images
    cut = np.empty((count, *size, channels), np.uint8)
    for i, ((top, left), mirror) in enumerate(zip(corners.tolist(), mirrored.tolist(), strict=True)):
        window = wide[i, top : top + size[0], left : left + size[1]]
        cut[i] = window[:, ::-1] if mirror else window
    return cut
