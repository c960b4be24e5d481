"""What each of two processes does in `test_group.py`: ten steps, and what came of them; torchrun starts it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from nas.nets import build
from nas.training.group import ALONE, Group, joined
from nas.training.loop import Training
from nas.training.processes import place_of_process
from nas.training.recipe import Recipe, load_recipe
from tests.training.examples import data, network

STEPS = 10
PLAIN = [{"block": "head"}]


def recipe() -> Recipe:
    """Batches that two processes cannot halve, a clipped gradient and an average of weights."""
    return replace(load_recipe("small").at_batch(17), clip=0.5, ema=0.9)


def ten_steps(group: Group = ALONE, *, norms: bool = False) -> dict[str, NDArray[Any]]:
    """Losses, last gradients, weights and averages after ten steps of a network with batch norms, or without."""
    architecture = network() if norms else network(layers=PLAIN)
    one = Training(build(architecture, seed=1), data(), recipe(), epochs=4, seed=7, group=group)
    losses = []
    for _ in range(STEPS):
        before = one._loss_sum.item() if one.step else 0.0
        one.train_step()
        losses.append(one._loss_sum.item() - before)
        if one.step == one.batches.steps_per_epoch:
            one._end_epoch()
    found = {name: value.detach().cpu().numpy() for name, value in one.state({}).tensors.items()}
    gradients = {f"gradient.{name}": value.grad for name, value in one.module.named_parameters()}
    found |= {name: value.numpy() for name, value in gradients.items() if value is not None}
    accuracies = [epoch.accuracy for epoch in one.history]
    found |= {"losses": np.array(losses), "accuracies": np.array(accuracies)}
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


if __name__ == "__main__":
    place = place_of_process()
    with joined(place) as group:
        plain, normed = ten_steps(group), ten_steps(group, norms=True)
    save_file(plain, Path(sys.argv[1]) / f"plain{place.rank}.safetensors")
    save_file(normed, Path(sys.argv[1]) / f"normed{place.rank}.safetensors")
