from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nas.nets import build
from nas.space.seeds import families
from tests.nets.readings import relative_error
from tests.nets.shortened import shortened
from tests.shared_data import shared_data

STEPS = 20
NUM_IMAGES = 64
SIDE = 32


def photographs(side: int) -> tuple[Tensor, Tensor]:
    """The first 64 training images of CIFAR-10, tiled to `side` pixels (a multiple of 32), and their classes."""
    with np.load(shared_data("cifar10/cifar10_15k.npz")) as data:
        images, labels = data["x_train"][:NUM_IMAGES], data["y_train"][:NUM_IMAGES]
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.repeat(1, 1, side // SIDE, side // SIDE), torch.from_numpy(labels).long()


# One that is re-parameterised, whose fusing has most to keep, stands for all where there is no time for long proofs.
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name == "repvit" else pytest.mark.slow) for name in families()]
)
def test_training_lowers_the_loss_and_fusing_keeps_what_was_learned(family: str) -> None:
    network = shortened(family, SIDE)
    x, y = photographs(network.input_shape[1])
    module = build(network).train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = functional.cross_entropy(module(x), y)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    module.eval()
    with torch.no_grad():
        expected = module(x)
        assert relative_error(module.fuse()(x), expected) <= 1e-4
    # The statistics moved with the images: evaluating is not the first state again.
    assert relative_error(build(network).eval()(x).detach(), expected) > 1e-2
