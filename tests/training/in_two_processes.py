"""What each of two processes does in `test_group.py`: ten steps, and what came of them; torchrun starts it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nas.nets import build
from nas.training.group import Group, joined
from nas.training.loop import Training
from nas.training.processes import place_of_process
from nas.training.recipe import Recipe, load_recipe
from tests.training.examples import data, network

STEPS = 10
PLAIN = [{"block": "head"}]


def recipe() -> Recipe:
    """Batches that two processes cannot halve, a clipped gradient and an average of weights."""
    from dataclasses import replace

    return replace(load_recipe("small").at_batch(17), clip=0.5, ema=0.9)


def ten_steps(group: Group | None = None, *, norms: bool = False) -> dict[str, np.ndarray]:
    """Losses, last gradients, weights and averages after ten steps of a network with batch norms, or without."""
    architecture = network() if norms else network(layers=PLAIN)
    options = {} if group is None else {"group": group}
    one = Training(build(architecture, seed=1), data(), recipe(), epochs=4, seed=7, **options)
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
    return {**found, "losses": np.array(losses), "accuracies": np.array(accuracies)}


if __name__ == "__main__":
    place = place_of_process()
    with joined(place) as group:
        plain, normed = ten_steps(group), ten_steps(group, norms=True)
    np.savez(Path(sys.argv[1]) / f"plain{place.rank}.npz", **plain)
    np.savez(Path(sys.argv[1]) / f"normed{place.rank}.npz", **normed)
