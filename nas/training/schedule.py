"""Learning rate, weight decay, input size and strength of augmentation at each step: functions of the recipe alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a training of `epochs` with `steps_per_epoch` does at each step, counted from 0."""

    recipe: Recipe
    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """All steps."""
        return self.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """The steps of the warm-up: those of the recipe, in proportion where the training is shorter."""
        share = min(1.0, self.epochs / self.recipe.epochs)
        return round(self.recipe.schedule.warmup_epochs * share * self.steps_per_epoch)

    def lr(self, step: int) -> float:
        """The learning rate. The cosine (SGDR, arXiv 1608.03983, equation 5) reaches `final_lr` after the last step."""
        schedule, top = self.recipe.schedule, self.recipe.optimizer.lr
        warmup = self.warmup_steps
        if step < warmup:
            return schedule.warmup_lr + (top - schedule.warmup_lr) * (step + 1) / warmup
        if schedule.kind == "steps":
            assert schedule.every_epochs is not None and schedule.factor is not None
            # A shorter training goes through the same rates in fewer epochs.
            epoch = step / self.steps_per_epoch * self.recipe.epochs / self.epochs
            return top * schedule.factor ** int(epoch / schedule.every_epochs)
        return _cosine(top, schedule.final_lr, (step - warmup) / max(1, self.steps - warmup))

    def weight_decay(self, step: int) -> float:
        """The weight decay, annealed (arXiv 2206.04040, section 3.3) or scaled where the recipe says so."""
        start, end = self.recipe.optimizer.weight_decay, self.recipe.schedule.final_weight_decay
        scale = self.recipe.epochs / self.epochs if self.recipe.scale_decay else 1.0
        return scale * (start if end is None else _cosine(start, end, step / self.steps))

    def stage(self, epoch: int) -> int:
        """The stage of growing sizes that `epoch`, counted from 0, is in; 0 where there are none."""
        sizes = self.recipe.sizes
        if sizes is None or sizes.kind != "growing":
            return 0
        return next(i for i, until in enumerate(sizes.until) if epoch < until * self.epochs or until == 1)

    def strength(self, epoch: int) -> float:
        """The share of RandAugment's magnitude in `epoch`."""
        sizes = self.recipe.sizes
        return sizes.strength[self.stage(epoch)] if sizes is not None and sizes.strength else 1.0


def _cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
