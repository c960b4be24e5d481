from __future__ import annotations

import math
from typing import Any

import pytest

from nas.training import load_recipe, parse_recipe
from nas.training.schedule import Schedule
from tests.training.test_recipe import MINIMAL


def schedule(epochs: int = 10, steps: int = 4, **change: Any) -> Schedule:
    recipe = parse_recipe({**MINIMAL, "epochs": epochs, **change}, "mine")
    return Schedule(recipe=recipe, epochs=epochs, steps_per_epoch=steps)


def test_a_cosine_after_a_warm_up() -> None:
    plan = schedule(schedule={"kind": "cosine", "warmup_epochs": 2, "warmup_lr": 0.02, "final_lr": 0.01})
    assert plan.warmup_steps == 8
    assert [plan.lr(step) for step in (0, 3, 7)] == pytest.approx([0.03, 0.06, 0.1])
    # From step 8 on 32 steps of half a cosine from 0.1 to 0.01: at its start, middle and end.
    assert [plan.lr(step) for step in (8, 24, 40)] == pytest.approx([0.1, 0.055, 0.01])
    assert plan.lr(16) == pytest.approx(0.01 + 0.09 * (1 + math.cos(math.pi / 4)) / 2)


def test_steps_multiply() -> None:
    plan = schedule(schedule={"kind": "steps", "every_epochs": 2.5, "factor": 0.5})
    assert [plan.lr(4 * epoch) for epoch in (0, 2, 3, 5, 9)] == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.0125])


def test_a_shorter_training_goes_through_all_rates() -> None:
    recipe = load_recipe("mobilenetv3")
    long, short = (Schedule(recipe=recipe, epochs=epochs, steps_per_epoch=100) for epochs in (600, 6))
    assert short.lr(599) == pytest.approx(long.lr(59_900))
    assert Schedule(recipe=load_recipe("efficientnet"), epochs=35, steps_per_epoch=10).warmup_steps == 5


def test_weight_decay_is_annealed() -> None:
    plan = Schedule(recipe=load_recipe("mobileone"), epochs=10, steps_per_epoch=10)
    assert [plan.weight_decay(step) for step in (0, 50, 100)] == pytest.approx([1e-4, 5.5e-5, 1e-5])


def test_a_shorter_training_decays_as_much_in_all_where_the_recipe_says_so() -> None:
    decays = {"optimizer": {"kind": "sgd", "lr": 0.1, "weight_decay": 0.002}, "scale_decay": True}
    recipe = parse_recipe({**MINIMAL, "epochs": 24, **decays}, "mine")
    sums = [
        sum(plan.weight_decay(step) for step in range(plan.steps))
        for plan in (Schedule(recipe=recipe, epochs=epochs, steps_per_epoch=7) for epochs in (3, 24, 48))
    ]
    assert sums == pytest.approx([24 * 7 * 0.002] * 3)
    assert Schedule(recipe=load_recipe("repvit"), epochs=1, steps_per_epoch=7).weight_decay(0) == 0.025


def test_sizes_grow() -> None:
    plan = Schedule(recipe=load_recipe("mobileone"), epochs=100, steps_per_epoch=1)
    assert [plan.stage(epoch) for epoch in (0, 12, 13, 37, 38, 99)] == [0, 0, 1, 1, 2, 2]
    assert [plan.strength(epoch) for epoch in (0, 20, 50)] == [0.33, 0.67, 1.0]
