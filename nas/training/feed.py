"""What a step trains on: its images, augmented and at its size, and the form of the network for that size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nas.nets import GraphModule
from nas.training.augment import Batch, mixed, rich_augmentation
from nas.training.batches import Batches, generator
from nas.training.preprocessing import Normalize
from nas.training.schedule import Schedule
from nas.training.sizes import Sizes

SIZE_DRAWS, MIX_DRAWS, TORCH_DRAWS = 1, 2, 3
"""What numbers are drawn for, in a step: the last part of the place of their generator."""


class Feed:
    """The batches of a training of `module` by the recipe of `schedule`, on `device`; every draw is of `seed`. Of each
    batch it gives the `part` of this process.

    kornia draws from torch's generator, which the caller seeds for each step.
    """

    def __init__(
        self,
        module: GraphModule,
        batches: Batches,
        schedule: Schedule,
        normalize: Normalize,
        *,
        seed: int,
        device: torch.device,
        part: slice,
    ) -> None:
        self._batches, self._schedule, self._normalize = batches, schedule, normalize
        self._recipe, self._seed, self._device, self._part = schedule.recipe, seed, device, part
        self._size = module.definition.input_shape[1:]
        self._sizes = Sizes(module)
        self._augmentations: dict[tuple[int, int, float], nn.Module] = {}

    def batch(self, epoch: int, step: int) -> tuple[GraphModule, Batch]:
        """The batch of a step as the network sees it, and the form of the network for its size."""
        augment = self._recipe.augment
        pixels, labels = self._batches.take(epoch, step, self._part)
        form = self._sizes.form(self._share(epoch, step))
        height, width = form.definition.input_shape[1:]
        if augment.is_plain:
            values = resized(self._normalize(torch.from_numpy(pixels).to(self._device)), (height, width))
        else:
            images = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float() / 255
            images = resized(self._augmentation(epoch, height, width)(images), (height, width))
            values = self._normalize(images.permute(0, 2, 3, 1) * 255)
        batch = Batch(values=values, labels=torch.from_numpy(labels).to(self._device))
        return form, mixed(batch, augment, generator(self._seed, epoch, step, MIX_DRAWS))

    def plain(self, chosen: NDArray[np.int64]) -> Tensor:
        """The training images `chosen`, (n,), as they are evaluated: (n, c, h, w)."""
        return resized(self._normalize(self._batches.plain(chosen)).to(self._device), self._size)

    def _share(self, epoch: int, step: int) -> float:
        """The share of the network's size that a step trains at."""
        sizes = self._recipe.sizes
        if sizes is None:
            return 1.0
        if sizes.kind == "drawn":
            rng = generator(self._seed, epoch, step, SIZE_DRAWS)
            return sizes.shares[int(rng.integers(len(sizes.shares)))]
        return sizes.shares[self._schedule.stage(epoch)]

    def _augmentation(self, epoch: int, height: int, width: int) -> nn.Module:
        key = (height, width, self._schedule.strength(epoch))
        if key not in self._augmentations:
            self._augmentations[key] = rich_augmentation(self._recipe.augment, key[:2], key[2])
        return self._augmentations[key]


def resized(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """`images` (n, c, h, w) at `size`, (height, width); themselves where they have it."""
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)
