"""A training that is done once: read where it ended, gone on with where it was stopped, done again for its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nas.errors import InputError
from nas.nets import build
from nas.training import load_recipe
from nas.training.checkpoint import Checkpoint, read_checkpoint
from nas.training.loop import StoppedError, Training
from nas.training.once import let_go, train_once
from tests.training.examples import data, network

DATA, QUESTION = data(64, val=30), {"what": "this one"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make() -> Training:
    return Training(build(network(), seed=2), DATA, load_recipe("small"), epochs=3, seed=2)


def never() -> Training:
    raise AssertionError("it trains again")


def test_what_ended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "one.safetensors"
    first = train_once(path, QUESTION, make)
    alone = make()
    alone.run(lambda one: None)
    assert first.accuracy == alone.history[-1].accuracy and first.epochs == 3
    again = train_once(path, QUESTION, never, weights=True)
    assert (again.accuracy, again.seconds, again.history) == (first.accuracy, first.seconds, first.history)
    theirs = alone.result().state_dict()
    for name, value in again.module(network()).state_dict().items():
        assert torch.equal(value, theirs[name])
    assert [one.name for one in path.parent.iterdir()] == [path.name]  # no checkpoint is left


def test_what_was_stopped_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_once(tmp_path / "whole.safetensors", QUESTION, make)
    path = tmp_path / "parts.safetensors"
    steps: list[int] = []
    with pytest.raises(StoppedError):
        train_once(path, QUESTION, make, stop=lambda: True)
    assert not path.exists()

    restore = Training.restore

    def restored(self: Training, checkpoint: Checkpoint) -> None:
        restore(self, checkpoint)
        steps.append(self.steps_done)

    monkeypatch.setattr(Training, "restore", restored)
    parts = train_once(path, QUESTION, make)
    assert steps == [1]  # stopped after its first step
    assert all(torch.equal(parts.weights[name], value) for name, value in whole.weights.items())


def test_weights_that_were_let_go_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    let_go(path)  # nothing is there
    first = train_once(path, QUESTION, make)
    let_go(path)
    assert not read_checkpoint(path).tensors
    assert train_once(path, QUESTION, never).accuracy == first.accuracy
    again = train_once(path, QUESTION, make, weights=True)
    assert all(torch.equal(again.weights[name], value) for name, value in first.weights.items())


def test_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    ended = train_once(path, QUESTION, make)
    with pytest.raises(InputError, match="must be of the same training"):
        train_once(path, {"what": "another"}, never)
    with pytest.raises(InputError, match="kept weights must fit"):
        ended.module(network(layers=[{"block": "conv", "out": 8, "stride": 2}, {"block": "head"}]))
