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
    """The batches of `split`: `batch` images a step, without those left over in an epoch (others each time)."""

    def __init__(self, split: Split, augment: AugmentRecipe, *, batch: int, seed: int) -> None:
        self.batch = min(batch, len(split))
        self.steps_per_epoch = len(split) // self.batch
        self._split, self._augment, self._seed = split, augment, seed
        self._margins = (0, 0)
        if augment.crop == "padded":
            self._margins = tuple(round(augment.pad * size) for size in split.images.shape[1:3])
        self._plan: tuple[int, EpochPlan] | None = None

    def plan(self, epoch: int) -> EpochPlan:
        """What `epoch` draws: a permutation first, then who is mirrored, then the corners."""
        if self._plan is None or self._plan[0] != epoch:
            rng = generator(self._seed, epoch)
            count = len(self._split)
            plan = EpochPlan(
                order=rng.permutation(count),
                mirrored=rng.random(count) < (0.5 if self._augment.flip else 0.0),
                corners=rng.integers(0, [2 * margin + 1 for margin in self._margins], (count, 2)),
            )
            self._plan = (epoch, plan)
        return self._plan[1]

    def take(self, epoch: int, step: int) -> tuple[Pixels, Integers]:
        """The images (batch, h, w, c), mirrored and cut from a black margin, and the labels (batch,) of a step."""
        plan = self.plan(epoch)
        places = slice(step * self.batch, (step + 1) * self.batch)
        chosen = plan.order[places]
        images = crops(self._split.images[chosen], self._margins, plan.corners[places], plan.mirrored[places])
        return images, self._split.labels[chosen]


def crops(images: Pixels, margins: tuple[int, ...], corners: Integers, mirrored: NDArray[np.bool_]) -> Pixels:
    """`images` (n, h, w, c), each with black `margins` (rows, columns) around it, cut back to its size at its corner,
    then mirrored or not: a new array."""
    count, height, width, channels = images.shape
    rows, columns = margins
    wide = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), np.uint8)
    wide[:, rows : rows + height, columns : columns + width] = images
    cut = np.empty_like(images, subok=False)
    for i, ((top, left), mirror) in enumerate(zip(corners.tolist(), mirrored.tolist(), strict=True)):
        window = wide[i, top : top + height, left : left + width]
        cut[i] = window[:, ::-1] if mirror else window
    return cut
