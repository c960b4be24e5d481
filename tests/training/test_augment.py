from __future__ import annotations

import numpy as np
import pytest
import torch

from nas.training.augment import Batch, mixed, rich_augmentation
from nas.training.recipe import AugmentRecipe, RandAugmentRecipe


def batch() -> Batch:
    values = torch.arange(4.0)[:, None, None, None].expand(4, 1, 8, 8).contiguous()
    return Batch(values=values, labels=torch.arange(4))


def test_mixup_mixes_images_as_labels() -> None:
    found = mixed(batch(), AugmentRecipe(mixup=0.8), np.random.default_rng(0))
    assert found.others is not None and found.others.tolist() == [3, 2, 1, 0]
    assert 0 < found.share < 1
    # An image is its label everywhere, so the mixture is that of the labels.
    mixture = found.share * found.labels + (1 - found.share) * found.others
    assert torch.allclose(found.values, mixture[:, None, None, None].expand(4, 1, 8, 8))


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_counts_its_pixels(seed: int) -> None:
    found = mixed(batch(), AugmentRecipe(cutmix=1.0), np.random.default_rng(seed))
    assert found.others is not None
    own = (found.values == found.labels[:, None, None, None]).float().mean((1, 2, 3))
    assert torch.allclose(own, torch.full((4,), found.share))
    assert torch.equal(batch().values, torch.arange(4.0)[:, None, None, None].expand(4, 1, 8, 8))


def test_a_batch_in_parts_loses_nothing() -> None:
    whole = mixed(batch(), AugmentRecipe(mixup=1.0), np.random.default_rng(0))
    parts = whole.parts(2)
    assert [len(part.labels) for part in parts] == [2, 2] and all(part.share == whole.share for part in parts)
    assert torch.equal(torch.cat([part.values for part in parts]), whole.values)
    assert [part.others.tolist() for part in parts if part.others is not None] == [[3, 2], [1, 0]]


def test_kornia_draws_from_torchs_generator() -> None:
    recipe = AugmentRecipe(crop="resized", randaugment=RandAugmentRecipe(number=2, magnitude=9), erasing=1.0)
    steps = rich_augmentation(recipe, (12, 12), 1.0)
    images = torch.rand(6, 3, 16, 16)

    def augmented(seed: int) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found: torch.Tensor = steps(images)
            return found

    first = augmented(1)
    assert first.shape == (6, 3, 12, 12) and float(first.min()) >= 0 and float(first.max()) <= 1
    assert torch.equal(first, augmented(1)) and not torch.equal(first, augmented(2))
