from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
import nas.training.checkpoint
from nas.data import contents_digest, open_data
from nas.errors import InputError
from nas.jobs.trained import Teaching, images, on_test_images, read_trained, train_to, validation_accuracy
from nas.training import load_recipe
from nas.training.loop import Training
from nas.trials.executors.processes import Processes
from nas.trials.executors.protocol import Job
from tests.jobs.test_train import write_images
from tests.training.examples import network

SIZE = (16, 16)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images(tmp_path / "photos.npz")
    yield tmp_path
    torch.set_num_threads(before)


def teaching(workspace: Path, **changes: Any) -> Teaching:
    path = workspace / "photos.npz"
    usual: dict[str, Any] = {"path": str(path), "contents": contents_digest(open_data(path))}
    return Teaching(**{**usual, "recipe": load_recipe("small"), **changes})


def test_a_training_leaves_its_accuracy_curve_and_weights(workspace: Path) -> None:
    told = teaching(workspace)
    accuracy = train_to(workspace / "a", network(), told, epochs=3, seed=0)
    found = read_trained(workspace / "a", network())
    assert found.accuracy == accuracy and [epoch["number"] for epoch in found.history] == [1, 2, 3]
    assert found.seconds > 0 and found.inherited is None
    # The accuracy is that of the kept weights on the validation images.
    data = images(told.path, told.contents, SIZE, 3)
    assert found.module is not None
    values = torch.from_numpy(data.val.images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        said = found.module.eval()((values - mean) / std).argmax(1).numpy()
    assert (said == data.val.labels).mean() == accuracy
    assert on_test_images(network(), found, data).count == 60
    assert not (workspace / "a.part").exists()


def test_images_of_workers_are_in_memory_once(workspace: Path) -> None:
    told = teaching(workspace)
    for side in (8, 12):
        data = images(told.path, told.contents, (side, side), 3)
        assert all(isinstance(split.images, np.memmap) for split in (data.train, data.val, data.test))


def test_a_checkpoint_beside_a_result_is_left_over(workspace: Path) -> None:
    """Of a training that was killed between the two."""
    told = teaching(workspace)
    accuracy = train_to(workspace / "a", network(), told, epochs=1, seed=0)
    (workspace / "a.part").write_bytes((workspace / "a").read_bytes())
    assert train_to(workspace / "a", network(), told, epochs=1, seed=0) == accuracy
    assert not (workspace / "a.part").exists()


def test_what_was_killed_goes_on_from_its_last_checkpoint(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = teaching(workspace)
    whole = train_to(workspace / "whole", network(), told, epochs=4, seed=1)
    write, kept = nas.training.checkpoint.write_checkpoint, []

    def killed(path: Path, checkpoint: Any) -> None:
        write(path, checkpoint)
        kept.append(path)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(nas.training.checkpoint, "write_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train_to(workspace / "half", network(), told, epochs=4, seed=1)
    assert (workspace / "half.part").exists() and not (workspace / "half").exists()
    steps: list[int] = []
    step = Training.train_step

    def noted(self: Training) -> None:
        steps.append(self.epoch)
        step(self)

    monkeypatch.setattr(Training, "train_step", noted)
    assert train_to(workspace / "half", network(), told, epochs=4, seed=1) == whole
    assert set(steps) == {2, 3}  # two epochs were done
    ours, theirs = (read_trained(workspace / name, network()).module for name in ("whole", "half"))
    assert ours is not None and theirs is not None
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    # What has ended is not done again.
    steps.clear()
    assert train_to(workspace / "half", network(), told, epochs=4, seed=1) == whole and not steps


def test_weights_are_kept_of_long_trainings(workspace: Path) -> None:
    told = teaching(workspace, weights_from=2)
    for epochs in (1, 2):
        train_to(workspace / str(epochs), network(), told, epochs=epochs, seed=0)
    short, full = (read_trained(workspace / str(epochs), network()) for epochs in (1, 2))
    assert short.module is None and full.module is not None


def test_other_images_are_refused(workspace: Path) -> None:
    told = teaching(workspace)
    write_images(workspace / "photos.npz", seed=6)
    with pytest.raises(InputError, match="must hold the images that the search began with"):
        train_to(workspace / "a", network(), told, epochs=1, seed=0)
    (workspace / "b").write_bytes(b"something else")
    with pytest.raises(InputError, match="must be the checkpoint of a training"):
        train_to(workspace / "b", network(), told, epochs=1, seed=0)


def test_one_way_of_training_is_told_from_another(workspace: Path) -> None:
    told = teaching(workspace)
    keys = {
        told.recipe_key,
        teaching(workspace, branches=1).recipe_key,
        teaching(workspace, init="zoo/x", init_digest="ab").recipe_key,
        teaching(workspace, recipe=load_recipe("mobilenetv3")).recipe_key,
    }
    assert len(keys) == 4
    # Where images lie, and what is kept, is no part of it.
    assert teaching(workspace, path="elsewhere", weights_from=9).recipe_key == told.recipe_key


def test_another_process_trains_the_same(workspace: Path) -> None:
    told = teaching(workspace, branches=1)
    here = validation_accuracy(
        [network()], epochs=1, seed=3, save=str(workspace / "here"), teaching=told.evaluator((1,)).settings["teaching"]
    )
    job = Job(
        number=0, evaluator=told.evaluator((1,)), point=network(), epochs=1, seed=3, save=str(workspace / "there")
    )  # fmt: skip
    with Processes(1) as executor:
        executor.submit(job)
        (outcome,) = executor.wait()
    assert outcome.found is not None and outcome.found.reason is None
    assert [outcome.found.accuracy] == here and outcome.found.checkpoint == str(workspace / "there")


def test_inherited_weights_where_there_are_any(workspace: Path) -> None:
    parent = nas.train(network(), data=workspace / "photos.npz", epochs=3).zoo
    told = teaching(workspace, init=parent, init_digest="parent")
    train_to(workspace / "child", network(), told, epochs=1, seed=0)
    found = read_trained(workspace / "child", network())
    assert found.inherited == 1.0 and found.module is not None
    other = network(layers=[{"block": "separable", "out": 16, "stride": 2}, {"block": "head"}], name="other")
    train_to(workspace / "other", other, told, epochs=1, seed=0)
    share = read_trained(workspace / "other", other).inherited
    assert share is not None and share < 1.0


def test_a_worker_that_is_killed_is_followed_by_one_that_goes_on(workspace: Path) -> None:
    told = teaching(workspace)
    job = Job(
        number=0, evaluator=told.evaluator((12,)), point=network(), epochs=12, seed=2, save=str(workspace / "half")
    )  # fmt: skip
    part = workspace / "half.part"
    with Processes(1) as executor:
        executor.submit(job)
        while not part.exists():
            time.sleep(0.005)
        os.kill(executor.processes[0], signal.SIGKILL)
        (outcome,) = executor.wait()
        assert outcome.lost == "worker"
        done = nas.training.checkpoint.read_checkpoint(part).document["epoch"]
        executor.submit(job)
        (outcome,) = executor.wait()
    assert 0 < done <= 12 and outcome.found is not None
    assert outcome.found.accuracy == train_to(workspace / "whole", network(), told, epochs=12, seed=2)
