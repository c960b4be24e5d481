"""Inheriting from the zoo and from checkpoints, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nas
from nas.errors import InputError
from nas.jobs.train import plan_training, run_train
from nas.jobs.training import TrainRequest
from nas.zoo import export_architecture, find_entry, load
from tests.jobs.test_train import write_images
from tests.training.examples import data, network
from tests.training.inherit.test_checkpoint import small


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with images of three classes, and the same under other names, in which one thread trains."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images(tmp_path / "photos.npz")
    images = data(200, test=60, seed=5)
    names = np.array(["one", "two", "three"])
    np.savez(
        tmp_path / "others.npz",
        x_train=images.train.images, y_train=images.train.labels, x_test=images.test.images, y_test=images.test.labels,
        classes=names,
    )  # fmt: skip
    yield tmp_path
    torch.set_num_threads(before)


def test_a_trained_network_of_the_zoo_is_a_parent(workspace: Path) -> None:
    parent = nas.train(network(), data=workspace / "photos.npz", epochs=2)
    same = nas.inherit(network(), "tiny-photos")
    for own, its in zip(
        same.module.state_dict().values(), load("tiny-photos").module.state_dict().values(), strict=True
    ):
        assert torch.equal(own, its)
    assert same.share == 1 and same.parent == "tiny-photos (tiny)"
    named = nas.inherit(network(), Path(parent.zoo) / "model.safetensors")
    assert named.share == 1
    grey = nas.inherit(network(), "tiny-photos", num_classes=9, in_channels=1)
    assert grey.module.definition.output_shape == (9,) and grey.module.definition.input_shape[0] == 1
    assert [one.reason for one in grey.anew] == ["the classes are others"]


def test_a_training_begins_with_inherited_weights_and_says_so(workspace: Path) -> None:
    first = nas.train(network(), data=workspace / "photos.npz", epochs=6, seed=3)
    again = nas.train(network(), data=workspace / "photos.npz", init="tiny-photos", epochs=1, seed=4)
    scratch = nas.train(network(), data=workspace / "photos.npz", recipe="fine-tune", epochs=1, seed=4)
    # A gentle epoch alone does not teach it as much.
    assert again.accuracy > max(0.8, scratch.accuracy) and first.accuracy > 0.8
    assert again.inheritance is not None and again.as_json()["init"]["share"] == 1
    assert scratch.as_json()["init"] is None
    # What knows something already is trained gently, unless the user says otherwise.
    assert (again.recipe, first.recipe) == ("fine-tune", "small")
    inherits = TrainRequest(network=network(), data="photos.npz", init="tiny-photos")
    assert "--recipe fine-tune" in inherits.command()
    assert "--recipe small" in replace(inherits, recipe="small").command()
    entry = find_entry(Path(again.zoo))
    assert entry.manifest["training"]["init"]["parent"] == "tiny-photos (tiny)"
    assert "| inherited | 100.0 % of the weights, from tiny-photos (tiny) |" in entry.card()
    assert len({first.zoo, again.zoo, scratch.zoo}) == 3


def test_other_classes_start_anew_though_they_are_as_many(workspace: Path) -> None:
    nas.train(network(), data=workspace / "photos.npz", epochs=1)
    outcome = nas.train(network(), data=workspace / "others.npz", init="tiny-photos", epochs=1)
    assert outcome.inheritance is not None
    assert [one.reason for one in outcome.inheritance.anew] == ["the classes are others"]


def test_a_checkpoint_of_torchvision_is_a_parent(workspace: Path) -> None:
    path = workspace / "squeezenet1_1.pth"
    torch.save(small(), path)
    found = nas.inherit("squeezenet-1.1@64", path, num_classes=5)
    assert found.parent == "squeezenet1_1.pth (squeezenet-1.1 in the form of torchvision)"
    weights = found.module.state_dict()
    assert torch.equal(weights["layer01_squeezenet_stem.conv.weight"], small()["features.0.weight"])
    assert [one.reason for one in found.anew] == ["the classes are others"]
    with pytest.raises(InputError, match="tiny must have weights in common with squeezenet1_1.pth"):
        nas.inherit(network(), path)


def test_what_cannot_be_inherited_is_refused_before_data_are_read(workspace: Path) -> None:
    request = TrainRequest(network=network(), data=workspace / "absent.npz", init=workspace / "no.pth")
    with pytest.raises(InputError, match="no.pth must be a readable checkpoint, but is not there"):
        run_train(request)
    (workspace / "no.pth").write_text("nothing")
    with pytest.raises(InputError, match="whole checkpoint"):
        plan_training(request)
    with pytest.raises(InputError, match="network of the zoo"):
        run_train(replace(request, init="unheard-of"))
    export_architecture(network(), name="untrained")
    with pytest.raises(InputError, match="train"):
        run_train(replace(request, init="untrained"))
    with pytest.raises(InputError, match="all branches"):
        run_train(replace(request, init="untrained", branches=1))
    assert not (workspace / "runs" / "runs.db").exists() or "absent" not in str(list((workspace / "runs").iterdir()))
