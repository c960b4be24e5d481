from __future__ import annotations

import pytest
import torch

from nas.nets import build
from nas.training.loop import Training
from nas.training.recipe import Recipe
from tests.training.examples import data, network
from tests.training.test_loop import EVERYTHING, SMALL

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: there is none")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("recipe", [SMALL, EVERYTHING], ids=["small", "everything"])
def test_all_of_a_training_happens_on_its_device(device: str, recipe: Recipe) -> None:
    teacher = build(network(), seed=5)
    one = Training(build(network(), seed=1), data(), recipe, epochs=6, teacher=teacher, branches=1, device=device)
    one.run(lambda at: None)
    assert {value.device.type for value in one.result().state_dict().values()} == {device}
    assert one.history[-1].loss < one.history[0].loss
    again = Training(build(network(), seed=1), data(), recipe, epochs=6, teacher=teacher, branches=1, device=device)
    again.restore(one.state({}))
    assert again.is_done and again.score(one.data.test).correct == one.score(one.data.test).correct
