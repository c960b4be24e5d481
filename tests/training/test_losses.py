from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nas.training import parse_recipe
from nas.training.augment import Batch
from nas.training.losses import Loss, class_weights
from tests.training.test_recipe import MINIMAL

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
LABELS = torch.tensor([0, 2])


def log_softmax(row: list[float]) -> list[float]:
    total = math.log(sum(map(math.exp, row)))
    return [one - total for one in row]


def expected(targets: list[list[float]]) -> float:
    """The mean cross-entropy with `targets`, a row of probabilities for each image."""
    rows = [log_softmax(row) for row in LOGITS.tolist()]
    return -sum(t * p for target, row in zip(targets, rows, strict=True) for t, p in zip(target, row, strict=True)) / 2


def loss(taught: torch.Tensor | None = None, batch: Batch | None = None, **change: Any) -> float:
    whole = batch or Batch(values=torch.zeros(2, 1, 1, 1), labels=LABELS)
    return float(Loss(parse_recipe({**MINIMAL, **change}, "mine"), None)(LOGITS, whole, taught))


def test_cross_entropy_with_smoothed_labels() -> None:
    assert loss() == pytest.approx(expected([[1, 0, 0], [0, 0, 1]]))
    smooth = [[0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3], [0.2 / 3, 0.2 / 3, 0.8 + 0.2 / 3]]
    assert loss(label_smoothing=0.2) == pytest.approx(expected(smooth))


def test_mixed_labels() -> None:
    batch = Batch(values=torch.zeros(2, 1, 1, 1), labels=LABELS, others=LABELS.flip(0), share=0.7)
    assert loss(batch=batch) == pytest.approx(expected([[0.7, 0, 0.3], [0.3, 0, 0.7]]))


def test_a_teachers_word() -> None:
    taught = torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    hard = loss(taught, distillation={"kind": "hard", "weight": 0.25})
    plain, choice = expected([[1, 0, 0], [0, 0, 1]]), expected([[0, 1, 0], [0, 0, 1]])
    assert hard == pytest.approx(0.75 * plain + 0.25 * choice)
    soft = loss(taught, distillation={"kind": "soft", "weight": 1.0, "temperature": 2.0})
    divergence = 0.0
    for own, teacher in zip(LOGITS.tolist(), taught.tolist(), strict=True):
        p, q = log_softmax([one / 2 for one in teacher]), log_softmax([one / 2 for one in own])
        divergence += sum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)) / 2
    assert soft == pytest.approx(4 * divergence)


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(np.array([0, 0, 0, 1]), 3)
    assert weights.tolist() == pytest.approx([4 / 9, 4 / 3, 0])
