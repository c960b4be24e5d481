from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas.data.prepared import Prepared
from nas.errors import InputError, NasError
from nas.nets import build
from nas.nets.layers import BranchSum
from nas.training import load_recipe, parse_recipe
from nas.training.checkpoint import read_checkpoint, write_checkpoint
from nas.training.loop import StoppedError, Training
from nas.training.recipe import Recipe
from tests.nets.readings import relative_error
from tests.training.examples import data, network
from tests.training.test_recipe import MINIMAL

EVERYTHING = parse_recipe(
    {
        **MINIMAL,
        "epochs": 4,
        "batch": 16,
        "optimizer": {"kind": "adamw", "lr": 0.01, "weight_decay": 0.01},
        "augment": {"flip": True, "crop": "padded", "randaugment": {"number": 1, "magnitude": 5}, "erasing": 0.5,
                    "mixup": 0.2, "cutmix": 0.5},
        "dropout": 0.2,
        "ema": 0.9,
        "label_smoothing": 0.1,
        "norm_images": 32,
    },
    "everything",
)  # fmt: skip
SMALL = load_recipe("small").at_batch(16)


def training(recipe: Recipe = SMALL, **options: Any) -> Training:
    return Training(build(network(), seed=1), data(), recipe, **{"epochs": 4, "seed": 7, **options})


def weights(one: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in one.result().state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def grey_data() -> Prepared:
    """The images with their first channel alone."""
    images = data()
    parts = {name: getattr(images, name) for name in ("train", "val", "test")}
    grey = {name: replace(part, images=part.images[..., :1].copy()) for name, part in parts.items()}
    return replace(images, **grey)


def keep_nothing(one: Training) -> None:
    pass


def test_a_network_learns_and_its_inference_form_says_the_same() -> None:
    one = training(epochs=8)
    before = one.score(one.data.test).accuracy
    one.run(keep_nothing)
    after = one.score(one.data.test)
    assert before < 0.7 < 0.9 <= after.accuracy
    assert [epoch.number for epoch in one.history] == list(range(1, 9))
    assert one.history[-1].loss < one.history[0].loss / 2
    trained = one.result()
    x = one.normalize(one.data.test.images)
    with torch.no_grad():
        expected = trained.eval()(x)
        assert relative_error(trained.fuse()(x), expected) <= 1e-4
    assert int((expected.argmax(1).numpy() == one.data.test.labels).sum()) == after.correct


@pytest.mark.parametrize("recipe", [SMALL, EVERYTHING], ids=["small", "everything"])
@pytest.mark.parametrize("stops", [(1, 2, 3), (6, 13), (5, 6, 7, 18, 23)], ids=str)
def test_stopped_and_resumed_is_uninterrupted_to_the_bit(
    recipe: Recipe, stops: tuple[int, ...], tmp_path: Path
) -> None:
    whole = training(recipe)
    whole.run(keep_nothing)
    path, question = tmp_path / "checkpoint", {"what": "a test"}
    for stop in stops:
        one = training(recipe)
        if path.exists():
            one.restore(read_checkpoint(path))
        with pytest.raises(StoppedError):
            one.run(lambda t: write_checkpoint(path, t.state(question)), stop=lambda: one.steps_done >= stop)  # noqa: B023
        # Whatever else is drawn in between changes nothing.
        torch.rand(3)
    last = training(recipe)
    last.restore(read_checkpoint(path))
    assert last.steps_done == stops[-1]
    last.run(keep_nothing)
    assert same(weights(last), weights(whole))
    assert last.history == whole.history


def test_the_seed_decides() -> None:
    first, again, other = training(EVERYTHING), training(EVERYTHING), training(EVERYTHING, seed=8)
    for one in (first, again, other):
        one.run(keep_nothing)
    assert same(weights(first), weights(again)) and not same(weights(first), weights(other))


def test_checkpoints_come_by_the_clock_and_at_the_end_of_an_epoch() -> None:
    seconds = iter(range(100_000))
    kept: list[int] = []
    training(epochs=2).run(lambda t: kept.append(t.steps_done), every_s=6.5, clock=lambda: float(next(seconds)))
    # Each look at the clock is a second later. It is looked at once at first, after each step and before the next, and
    # after each checkpoint: steps end at 1, 3, 5 and 7, where 6.5 s have gone by. The checkpoint is done at 8, the next
    # steps end at 10 and 12, the end of the epoch; that checkpoint is done at 13, and step 10 ends at 21.
    assert kept == [4, 6, 10, 12]


def test_memory_that_is_too_small_divides_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    one = training()
    sizes: list[int] = []
    forward = type(one.module).forward

    def limited(self: Any, x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        found: torch.Tensor = forward(self, x)
        return found

    monkeypatch.setattr(type(one.module), "forward", limited)
    one.train_step()
    assert sizes == [16, 8, 4, 4, 4, 4] and one.parts == 4
    one.train_step()
    assert sizes[6:] == [4, 4, 4, 4]


def test_the_gradient_in_parts_is_that_of_the_whole() -> None:
    # Without batch norm, whose statistics are of a part, the parts add up.
    plain = network(layers=[{"block": "head"}])
    gradients = []
    for parts in (1, 2, 3):
        one = Training(build(plain, seed=1), data(), SMALL, epochs=2)
        one.parts = parts
        one.train_step()
        gradients.append(torch.cat([p.grad.flatten() for p in one.module.parameters() if p.grad is not None]))
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6) and torch.allclose(
        gradients[0], gradients[2], atol=1e-6
    )


def test_other_faults_are_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = training()
    monkeypatch.setattr(type(one.module), "forward", lambda self, x: x.reshape(-1, 5))
    with pytest.raises(RuntimeError, match="shape"):
        one.train_step()


@pytest.mark.parametrize("lr", [50.0, 1e30])
def test_a_loss_beyond_bounds_ends_it_and_nothing_bad_is_kept(lr: float) -> None:
    kept: list[bool] = []

    def keep(one: Training) -> None:
        kept.append(all(bool(torch.isfinite(value).all()) for value in one.state({}).tensors.values()))

    wild = replace(SMALL, optimizer=replace(SMALL.optimizer, lr=lr))
    with pytest.raises(NasError, match="lower the recipe's learning rate"):
        training(wild, epochs=30).run(keep, every_s=0.0)
    assert all(kept)


def test_what_is_no_number_is_not_kept() -> None:
    one = training()
    nn.init.constant_(next(one.module.parameters()), float("nan"))
    with pytest.raises(NasError, match="is no number"):
        one.state({})


def test_a_checkpoint_of_another_network_is_refused() -> None:
    other = Training(build(network(layers=[{"block": "head"}])), data(), SMALL, epochs=4)
    with pytest.raises(InputError, match="must fit its network"):
        training().restore(other.state({}))
    strange = other.state({})
    with pytest.raises(InputError, match="must fit its network"):
        other.restore(replace(strange, tensors={**strange.tensors, "surprise": torch.zeros(1)}))


def test_images_and_classes_must_be_the_networks() -> None:
    with pytest.raises(InputError, match="16x16x3, but have 8x8x3"):
        Training(build(network()), data(side=8), SMALL)
    with pytest.raises(InputError, match="3 classes of the data, but has 5"):
        Training(build(network(classes=5)), data(), SMALL)
    gray = build(network(in_channels=1))
    with pytest.raises(InputError, match="must have 3 channels, but have 1"):
        Training(gray, grey_data(), EVERYTHING)
    Training(gray, grey_data(), SMALL, epochs=1).run(keep_nothing)
    with pytest.raises(InputError, match="two training images"):
        Training(build(network()), data(1), SMALL)


def test_few_images_make_one_batch() -> None:
    one = Training(build(network()), data(10), load_recipe("small"), epochs=2)
    assert one.batches.batch == 10 and one.batches.steps_per_epoch == 1
    assert one.recipe.optimizer.lr == pytest.approx(0.1 * 10 / 64)


def test_a_frozen_backbone_stays_and_a_slow_one_is_slow() -> None:
    start = build(network(), seed=1).state_dict()
    frozen = training(replace(SMALL, backbone=0.0))
    frozen.run(keep_nothing)
    moved = {name for name, value in weights(frozen).items() if not torch.equal(value, start[name])}
    assert moved and all(name.startswith("layer04_head") for name in moved)
    assert all(parameter.requires_grad for parameter in frozen.result().parameters())

    def distance(share: float) -> float:
        one = training(replace(SMALL, backbone=share, schedule=replace(SMALL.schedule, warmup_epochs=0)))
        one.train_step()
        name = "layer01_conv.conv.conv.weight"
        return float((one.module.state_dict()[name] - start[name]).norm())

    assert distance(0.1) == pytest.approx(0.1 * distance(1.0), rel=0.01)


def test_few_branches_first_and_all_of_them_at_last() -> None:
    one = training(replace(SMALL, ema=0.9), branches=1)
    (part, *others) = [p for p in one.module.modules() if isinstance(p, BranchSum)]
    assert part.resting == {"conv3x3_2", "conv1x1"} and others
    while one.epoch < 3:
        one.train_step()
        if one.step == one.batches.steps_per_epoch:
            one._end_epoch()
    resting = part.get_submodule("branches.conv3x3_2.norm").get_parameter("weight")
    assert float(resting.detach().abs().max()) == 0
    one._prepare()
    assert not part.resting
    one.run(keep_nothing)
    assert float(resting.detach().abs().max()) > 0
    x = one.normalize(one.data.test.images)
    trained = one.result().eval()
    with torch.no_grad():
        assert relative_error(trained.fuse()(x), trained(x)) <= 1e-4


def test_resumed_after_its_last_step_it_has_all_branches(tmp_path: Path) -> None:
    """Norms taken anew see the images through all branches: with some of them resting they would see others."""
    recipe = replace(SMALL, norm_images=32)
    whole, one, last = (training(recipe, branches=1) for _ in range(3))
    whole.run(keep_nothing)
    path = tmp_path / "checkpoint"
    with pytest.raises(StoppedError):
        one.run(lambda t: write_checkpoint(path, t.state({})), stop=lambda: one.is_done)
    last.restore(read_checkpoint(path))
    assert last.is_done and same(weights(last), weights(whole))


def test_waking_branches_changes_nothing_at_first() -> None:
    one = training(branches=1)
    one.train_step()
    module = one.module.eval()
    x = one.normalize(one.data.test.images)
    with torch.no_grad():
        before = module(x)
        for part in module.modules():
            if isinstance(part, BranchSum):
                part.resting.clear()
        assert torch.equal(module(x), before)


def test_norms_taken_anew_have_the_statistics_of_the_images() -> None:
    one = training()
    module = one.module
    one.reestimate_norms(module, 96)
    norm, conv = (module.get_submodule(f"layer01_conv.conv.{name}") for name in ("norm", "conv"))
    seen: list[torch.Tensor] = []
    hook = conv.register_forward_hook(lambda _, __, value: seen.append(value))
    with torch.no_grad():
        module.eval()(one.normalize(one.data.train.images))
    hook.remove()
    assert torch.allclose(norm.get_buffer("running_mean"), seen[0].mean((0, 2, 3)), atol=1e-4)
    assert np.isclose(float(norm.get_buffer("running_var")[0]), float(seen[0][:, 0].var()), rtol=0.05)


def test_a_teacher_is_listened_to() -> None:
    teacher = build(network(), seed=5)
    soft = replace(SMALL, distillation=replace(SMALL.distillation, weight=1.0))
    one = training(soft, teacher=teacher, epochs=20)
    one.run(keep_nothing)
    x = one.normalize(one.data.test.images)
    with torch.no_grad():
        taught = teacher.eval()(x).argmax(1)
        learned = one.result().eval()(x).argmax(1)
    assert float((taught == learned).float().mean()) > 0.8
