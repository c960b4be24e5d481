"""The loss of a step: cross-entropy with smoothed labels, mixed labels, weighed classes, and a teacher's word."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nas.training.augment import Batch
from nas.training.recipe import DistillationRecipe, Recipe


class Loss:
    """The mean loss of a batch. `weights` (classes,) weigh the classes; None: all the same."""

    def __init__(self, recipe: Recipe, weights: Tensor | None) -> None:
        self._smoothing, self._distillation, self._weights = recipe.label_smoothing, recipe.distillation, weights

    def __call__(self, logits: Tensor, batch: Batch, taught: Tensor | None = None) -> Tensor:
        """Logits (n, classes) against the batch's labels, and those of a teacher (n, classes) where there is one."""
        loss = self._entropy(logits, batch.labels)
        if batch.others is not None:
            loss = batch.share * loss + (1 - batch.share) * self._entropy(logits, batch.others)
        if taught is None:
            return loss
        weight = self._distillation.weight
        return (1 - weight) * loss + weight * _distilled(logits, taught, self._distillation)

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, self._weights, label_smoothing=self._smoothing)


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """A weight a class, (classes,): n / (classes · n of the class), so that each class counts the same in all.

    A class without an image has weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.divide(len(labels), classes * counts, out=np.zeros(classes), where=counts > 0)
    return torch.from_numpy(weights).float()


def _distilled(logits: Tensor, taught: Tensor, recipe: DistillationRecipe) -> Tensor:
    if recipe.kind == "hard":
        return functional.cross_entropy(logits, taught.argmax(1))
    # The square keeps gradients the same size at any temperature (arXiv 1503.02531, section 2).
    heat = recipe.temperature
    own, others = (functional.log_softmax(one / heat, dim=1) for one in (logits, taught))
    return heat**2 * functional.kl_div(own, others, reduction="batchmean", log_target=True)
