from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from nas.training.batches import Batches, crops
from nas.training.preprocessing import Normalize, preprocessing_for
from nas.training.recipe import AugmentRecipe
from tests.training.examples import data


def test_a_crop_by_hand() -> None:
    image = np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3, 1)
    cut = crops(image, (2, 3), (1, 1), np.array([[0, 2]]), np.array([False]))
    # One row up and one column right: the margin is black.
    assert cut[0, :, :, 0].tolist() == [[0, 0, 0], [2, 3, 0]]
    mirrored = crops(image, (2, 3), (1, 1), np.array([[0, 2]]), np.array([True]))
    assert mirrored[0, :, :, 0].tolist() == [[0, 0, 0], [0, 3, 2]]
    assert crops(image, (2, 3), (1, 1), np.array([[1, 1]]), np.array([False])).tolist() == image.tolist()


def test_an_epoch_holds_every_image_but_those_left_over_once() -> None:
    batches = Batches(data(50).train, AugmentRecipe(), size=(16, 16), batch=16, seed=3)
    assert batches.steps_per_epoch == 3
    taken = [batches.plan(0).order[step * 16 : (step + 1) * 16] for step in range(3)]
    assert len(set(np.concatenate(taken).tolist())) == 48
    assert not np.array_equal(batches.plan(0).order, batches.plan(1).order)


def test_pixels_follow_the_plan() -> None:
    split = data(40).train
    batches = Batches(split, AugmentRecipe(flip=True, crop="padded"), size=(16, 16), batch=8, seed=1)
    images, labels = batches.take(2, 1)
    plan = batches.plan(2)
    for i in range(8):
        at = plan.order[8 + i]
        wide = np.pad(split.images[at], ((2, 2), (2, 2), (0, 0)))
        top, left = plan.corners[8 + i]
        expected = wide[top : top + 16, left : left + 16]
        assert np.array_equal(images[i], expected[:, ::-1] if plan.mirrored[8 + i] else expected)
        assert labels[i] == split.labels[at]
    assert 0 < plan.mirrored.sum() < 40 and plan.corners.max() == 4 and plan.corners.min() == 0


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    split, augment = data(40).train, AugmentRecipe(flip=True, crop="padded")
    ahead = Batches(split, augment, size=(16, 16), batch=8, seed=1)
    for epoch in range(3):
        ahead.take(epoch, 0)
    fresh = Batches(split, augment, size=(16, 16), batch=8, seed=1)
    assert np.array_equal(ahead.take(2, 4)[0], fresh.take(2, 4)[0])
    assert not np.array_equal(
        ahead.take(2, 4)[0], Batches(split, augment, size=(16, 16), batch=8, seed=2).take(2, 4)[0]
    )


@pytest.mark.parametrize(("crop", "corners"), [("padded", {0, 1, 2}), ("none", {1})])
def test_larger_images_are_cut_without_a_margin(crop: Literal["padded", "none"], corners: set[int]) -> None:
    split = data(60).train
    batches = Batches(split, AugmentRecipe(crop=crop), size=(14, 14), batch=60, seed=1)
    images, _ = batches.take(0, 0)
    plan = batches.plan(0)
    assert set(plan.corners.flatten().tolist()) == corners
    for image, at, (top, left) in zip(images, plan.order, plan.corners, strict=True):
        assert np.array_equal(image, split.images[at][top : top + 14, left : left + 14])
    middle = np.arange(60)
    assert np.array_equal(batches.plain(middle), split.images[:, 1:15, 1:15])


def test_resized_crops_get_the_whole_image() -> None:
    split = data(8).train
    batches = Batches(split, AugmentRecipe(crop="resized"), size=(14, 14), batch=8, seed=1)
    assert np.array_equal(batches.take(0, 0)[0], split.images[batches.plan(0).order])


def test_the_middle_of_images_of_the_size_is_the_image() -> None:
    split = data(8).train
    batches = Batches(split, AugmentRecipe(crop="padded"), size=(16, 16), batch=8, seed=1)
    assert np.array_equal(batches.plain(np.arange(8)), split.images)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_normalising_is_what_the_record_says(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, channels), dtype=np.uint8)
    preprocessing = preprocessing_for(channels)
    values = Normalize(preprocessing)(pixels)
    expected = (pixels / 255 - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    assert values.dtype == torch.float32 and values.is_contiguous(memory_format=torch.channels_last)
    assert np.abs(values.numpy() - expected.transpose(0, 3, 1, 2)).max() < 1e-6
