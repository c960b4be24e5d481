"""Each shipped recipe beside a plain loop, in which its numbers are written once more, as its source has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import kornia.augmentation as kornia
import numpy as np
import pytest
import torch
from kornia.augmentation.auto import RandAugment
from torch import Tensor, nn
from torch.nn import functional

from nas.nets import build
from nas.training import load_recipe, recipe_paths
from nas.training.batches import Batches
from nas.training.loop import Training
from tests.training.examples import data, network

SEED, BATCH, STEPS, PER_EPOCH, SIDE = 4, 8, 10, 6, 32
MEAN, STD = (torch.tensor(one).view(3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The numbers of a recipe. `lr` is a function of the step (there are 6 an epoch) at `batch` images a step."""

    batch: int
    make: Callable[[Iterable[Any]], torch.optim.Optimizer]
    lr: Callable[[int], float]
    decay: Callable[[int], float]
    decays: Callable[[Tensor], bool] = lambda one: one.dim() > 1
    augment: Callable[[int, int], list[nn.Module]] | None = None
    size: Callable[[int, int], int] = lambda epoch, step: SIDE
    mixes: bool = False
    smoothing: float = 0.0
    dropout: float = 0.0
    ema: float | None = None
    taught: bool = False
    slow: float = 1.0


def _cosine(step: int, warm: float, epochs: int, top: float, low: float = 0.0, start: float = 0.0) -> float:
    warmup = round(warm * PER_EPOCH)
    if step < warmup:
        return start + (top - start) * (step + 1) / warmup
    return low + 0.5 * (top - low) * (1 + math.cos(math.pi * (step - warmup) / (epochs * PER_EPOCH - warmup)))


def _staircase(step: int, every: float, factor: float, top: float, warm: int = 0) -> float:
    if step < warm * PER_EPOCH:
        return top * (step + 1) / (warm * PER_EPOCH)
    return top * factor ** math.floor(step / PER_EPOCH / every)


def _drawn_size(epoch: int, step: int) -> int:
    # 0.625, 0.75, 1, 1.125 and 1.25 of 32 are 20, 24, 32, 36 and 40: of two multiples of 8 as near, the smaller.
    return (16, 24, 32, 32, 40)[np.random.default_rng((SEED, epoch, step, 1)).integers(5)]


def _crop(size: int) -> nn.Module:
    crop: nn.Module = kornia.RandomResizedCrop((size, size), scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), p=1.0)
    return crop


REFERENCES = {
    "small": Reference(
        batch=64,
        make=lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True),
        lr=lambda step: _cosine(step, 1, 24, 0.1),
        decay=lambda step: 5e-4,
    ),
    "fine-tune": Reference(
        batch=32,
        make=lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True),
        lr=lambda step: _cosine(step, 1, 15, 0.02),
        decay=lambda step: 1e-4,
        smoothing=0.1,
        slow=0.1,
    ),
    "mobilenetv3": Reference(
        batch=1024,
        make=lambda groups: torch.optim.RMSprop(groups, lr=1.0, alpha=0.9, momentum=0.9, eps=0.0316),
        lr=lambda step: _staircase(step, 2, 0.973, 0.064),
        decay=lambda step: 1e-5,
        decays=lambda one: True,
        augment=lambda size, epoch: [_crop(size), RandAugment(n=2, m=9), kornia.RandomErasing(p=0.2)],
        dropout=0.2,
    ),
    "efficientnet": Reference(
        batch=4096,
        make=lambda groups: torch.optim.RMSprop(groups, lr=1.0, alpha=0.9, momentum=0.9, eps=0.001),
        lr=lambda step: _staircase(step, 2.4, 0.97, 0.256, warm=5),
        decay=lambda step: 1e-5,
        augment=lambda size, epoch: [_crop(size), RandAugment(n=2, m=9)],
        smoothing=0.1,
        dropout=0.2,
        ema=0.9999,
    ),
    "mobileone": Reference(
        batch=256,
        make=lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=0.9),
        lr=lambda step: _cosine(step, 0, 300, 0.1),
        decay=lambda step: 1e-5 + 0.5 * 9e-5 * (1 + math.cos(math.pi * step / (300 * PER_EPOCH))),
        augment=lambda size, epoch: [_crop(size), RandAugment(n=2, m=3)],
        size=lambda epoch, step: 24,
        smoothing=0.1,
        ema=0.9995,
    ),
    "repvit": Reference(
        batch=2048,
        make=lambda groups: torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8),
        lr=lambda step: _cosine(step, 5, 300, 4e-3, 1e-5, 1e-6),
        decay=lambda step: 0.025,
        augment=lambda size, epoch: [_crop(size), RandAugment(n=2, m=9), kornia.RandomErasing(p=0.25)],
        mixes=True,
        smoothing=0.1,
        ema=0.99996,
        taught=True,
    ),
    "mobilevit": Reference(
        batch=1024,
        make=lambda groups: torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8),
        lr=lambda step: _cosine(step, 2.4, 300, 2e-3, 2e-4, 2e-4),
        decay=lambda step: 0.01,
        augment=lambda size, epoch: [_crop(size)],
        size=_drawn_size,
        smoothing=0.1,
        dropout=0.1,
        ema=0.9995,
    ),
}


def test_every_recipe_has_its_reference() -> None:
    assert sorted(REFERENCES) == sorted(recipe_paths())


def _one_hot(labels: Tensor, smoothing: float) -> Tensor:
    return functional.one_hot(labels, 3).float() * (1 - smoothing) + smoothing / 3


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_ten_steps_are_those_of_a_plain_loop(name: str) -> None:
    reference = REFERENCES[name]
    images = data(BATCH * PER_EPOCH + 3, side=SIDE)
    architecture = network(resolution=SIDE)
    teacher = build(architecture, seed=9).eval() if reference.taught else None
    recipe = load_recipe(name).at_batch(BATCH)
    training = Training(build(architecture, seed=2), images, recipe, seed=SEED, teacher=teacher)
    losses = []
    for _ in range(STEPS):
        before = float(training._loss_sum) if training.step else 0.0
        training.train_step()
        losses.append(float(training._loss_sum) - before)
        if training.step == PER_EPOCH:
            training._end_epoch()

    plain = build(architecture, seed=2).train()
    expected, average = _plain_loop(plain, reference, images, recipe.augment, teacher)
    assert losses == pytest.approx(expected, rel=1e-5)
    trained = training.result().state_dict()
    for key, value in (average if reference.ema else plain.state_dict()).items():
        torch.testing.assert_close(trained[key], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(trained[key], value) for key, value in build(architecture, seed=2).state_dict().items())


def _plain_loop(
    plain: nn.Module, reference: Reference, images: Any, augment: Any, teacher: nn.Module | None
) -> tuple[list[float], dict[str, Tensor]]:
    """Ten steps: their losses, and the average of weights."""
    batches = Batches(images.train, augment, size=(SIDE, SIDE), batch=BATCH, seed=SEED)
    head = plain.get_submodule("layer04_head.classifier")
    last = {id(one) for one in plain.get_submodule("layer04_head").parameters()}
    optimizer = reference.make(
        [
            {"params": [one], "slow": 1.0 if id(one) in last else reference.slow, "decays": reference.decays(one)}
            for one in plain.parameters()
        ]
    )
    average: dict[str, Tensor] = {}
    losses = []
    for count in range(STEPS):
        epoch, step = divmod(count, PER_EPOCH)
        pixels, labels_array = batches.take(epoch, step)
        labels = torch.from_numpy(labels_array)
        torch.manual_seed(int(np.random.default_rng((SEED, epoch, step, 3)).integers(2**63)))
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        if reference.augment is not None:
            for one in reference.augment(reference.size(epoch, step), epoch):
                x = one(x)
        x = ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)
        targets = _one_hot(labels, reference.smoothing)
        if reference.mixes:
            rng = np.random.default_rng((SEED, epoch, step, 2))
            x, share = _mixed(x, rng)
            targets = share * targets + (1 - share) * targets.flip(0)
        hook = head.register_forward_pre_hook(lambda _, values: (functional.dropout(values[0], reference.dropout),))
        logits = plain(x)
        hook.remove()
        loss = -(targets * functional.log_softmax(logits, 1)).sum(1).mean()
        if teacher is not None:
            with torch.no_grad():
                choice = teacher(x).argmax(1)
            loss = 0.5 * loss + 0.5 * functional.cross_entropy(logits, choice)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for group in optimizer.param_groups:
            group["lr"] = group["slow"] * reference.lr(count) * BATCH / reference.batch
            group["weight_decay"] = reference.decay(count) if group["decays"] else 0.0
        optimizer.step()
        losses.append(loss.item())
        if reference.ema is not None:
            kept = 0.0 if count == 0 else min(reference.ema, (1 + count) / (10 + count))
            for key, value in plain.state_dict().items():
                new = value if not value.is_floating_point() else value * (1 - kept)
                old = average.get(key, torch.zeros_like(value))
                average[key] = (old * kept + new if value.is_floating_point() else new).clone()
    return losses, average


def _mixed(x: Tensor, rng: np.random.Generator) -> tuple[Tensor, float]:
    if rng.random() >= 0.5:
        share = rng.beta(0.8, 0.8)
        return share * x + (1 - share) * x.flip(0), share
    share = rng.beta(1.0, 1.0)
    half = round(SIDE * math.sqrt(1 - share)) // 2
    row = int(rng.integers(SIDE))
    column = int(rng.integers(SIDE))
    box = (slice(None), slice(None), slice(max(0, row - half), row + half), slice(max(0, column - half), column + half))
    pasted = x.clone()
    pasted[box] = x.flip(0)[box]
    return pasted, 1 - pasted[0, 0][box[2:]].numel() / SIDE**2
