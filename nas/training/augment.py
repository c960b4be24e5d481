"""Augmentation beyond flips and padded crops: kornia's, and mixing two images with their labels.

kornia draws from torch's generator, which the training seeds for each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.training.recipe import AugmentRecipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What a step trains on: values (n, c, h, w), labels (n,), and with mixing the `others` (n,), the labels of what
    was mixed in; `share` is that of the first image."""

    values: Tensor
    labels: Tensor
    others: Tensor | None = None
    share: float = 1.0

    def parts(self, count: int) -> list[Batch]:
        """The batch in `count` parts of nearly the same size."""
        values, labels = self.values.chunk(count), self.labels.chunk(count)
        others = [None] * len(labels) if self.others is None else self.others.chunk(count)
        return [
            Batch(values=v, labels=y, others=z, share=self.share)
            for v, y, z in zip(values, labels, others, strict=True)
        ]


def rich_augmentation(recipe: AugmentRecipe, size: tuple[int, int], strength: float) -> nn.Module:
    """The part of `recipe` that kornia does: images (n, c, h, w) in [0, 1] → the same of `size` (height, width)."""
    import kornia.augmentation as kornia
    from kornia.augmentation.auto import RandAugment

    steps: list[nn.Module] = []
    if recipe.crop == "resized":
        # Sizes are those of the area, ratios of the sides as in Inception (arXiv 1409.4842, section 6).
        steps.append(kornia.RandomResizedCrop(size, scale=recipe.scale, ratio=(3 / 4, 4 / 3), p=1.0))
    if recipe.randaugment is not None:
        magnitude = max(1, round(recipe.randaugment.magnitude * strength))
        steps.append(RandAugment(n=recipe.randaugment.number, m=magnitude))
    if recipe.erasing:
        steps.append(kornia.RandomErasing(p=recipe.erasing))
    return nn.Sequential(*steps)


def mixed(batch: Batch, recipe: AugmentRecipe, rng: np.random.Generator) -> Batch:
    """`batch` mixed with itself in reverse order, by mixup (arXiv 1710.09412) or CutMix (arXiv 1905.04899); which of
    the two, where both have a concentration, is drawn from `rng`, then the share, then the rectangle."""
    if not (recipe.mixup or recipe.cutmix):
        return batch
    cut = rng.random() < 0.5 if recipe.mixup and recipe.cutmix else bool(recipe.cutmix)
    concentration = recipe.cutmix if cut else recipe.mixup
    share = float(rng.beta(concentration, concentration))
    values, others = batch.values, batch.values.flip(0)
    if cut:
        height, width = values.shape[2:]
        top, bottom = _span(height, share, rng)
        left, right = _span(width, share, rng)
        values = values.clone(memory_format=torch.channels_last)
        values[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        values = values * share + others * (1 - share)
    return Batch(values=values, labels=batch.labels, others=batch.labels.flip(0), share=share)


def _span(length: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Where a rectangle of the area 1 − share begins and ends along a side: around a drawn middle, cut at the edge."""
    half = round(length * (1 - share) ** 0.5) // 2
    middle = int(rng.integers(length))
    return max(0, middle - half), min(length, middle + half)
