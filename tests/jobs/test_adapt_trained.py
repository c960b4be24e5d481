"""NetAdapt with weights: what a round tunes and keeps, what is done once, and what a user gets."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
from nas.cli.main import main
from nas.data import contents_digest, open_data
from nas.errors import InputError, TargetError
from nas.evaluate import Limits
from nas.jobs.adapt_rounds import SHORT_RATE, Tuning
from nas.jobs.adapt_run import FOLDER
from nas.jobs.adapt_trained import AdaptedWeights, adapt_trained
from nas.jobs.inherit import Source, check_unseen, open_source
from nas.jobs.train import train
from nas.latency import LatencyModel
from nas.nets import build
from nas.space import Architecture
from nas.space.shrink import WidthChange, width_changes
from nas.training import load_recipe
from nas.training.checkpoint import read_checkpoint
from nas.training.heldout import held_out
from nas.training.inherit import inherit_weights
from nas.training.loop import Training, predictor
from nas.training.preprocessing import Normalize, preprocessing_for
from nas.zoo import find_entry, load
from tests.evaluate.tables import rows_alone
from tests.training.examples import data, network

SMALL = load_recipe("small")
TUNING = Tuning(recipe=SMALL, epochs=2, short_epochs=1, step=0.2)
DATA = data(96, val=60, test=60)
LAYERS = [
    {"block": "conv", "out": 16, "stride": 2},
    {"block": "mbconv", "out": 16, "hidden": 48},
    {"block": "mobileone", "out": 32, "stride": 2, "branches": 2},
    {"block": "head"},
]
START = network(layers=LAYERS)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace in which one thread trains."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def latency() -> LatencyModel:
    """A device that takes a millisecond for a million multiply-adds, and knows what the start may be cut to."""
    found, waiting = {START.digest: START}, [START]
    while waiting:
        whole = waiting.pop()
        for change in width_changes(whole):
            narrower = changed(whole, change)
            if narrower.digest not in found:
                found[narrower.digest] = narrower
                waiting.append(narrower)
    segments = [segment for one in found.values() for segment in one.segments()]
    return rows_alone({segment.key: segment.operators.macs.sum() / 1e6 + 1e-3 for segment in segments})


def changed(network: Architecture, change: WidthChange) -> Architecture:
    return replace(
        network, layers=tuple(change.layers.get(i, layer) for i, layer in enumerate(network.layers)), genes={}
    )


@pytest.fixture(scope="module")
def source() -> Source:
    """The start, trained a little."""
    training = Training(build(START, seed=1), DATA, SMALL, epochs=3)
    training.run(lambda one: None)
    return Source(name="parent", what=START.name, digest="d" * 64, module=training.result(), classes=DATA.classes)


def adapted(folder: Path, latency: LatencyModel, source: Source, share: float = 0.6, **options: Any) -> AdaptedWeights:
    """The start at a `share` of its latency."""
    target_ms = share * latency.estimate(START).mean_ms
    settings: dict[str, Any] = {"data": DATA, "tuning": TUNING, "limits": Limits(max_interval=None), **options}
    return adapt_trained(START, latency=latency, target_ms=target_ms, source=source, folder=folder, **settings)


def test_each_round_keeps_the_best_ratio_of_what_it_tuned(
    tmp_path: Path, latency: LatencyModel, source: Source
) -> None:
    found = adapted(tmp_path, latency, source).adaptation
    assert found.trained is not None and len(found.rounds) == len(found.trained.candidates) > 1
    accuracy, ms = found.start_accuracy, found.start.latency.mean_ms
    step_ms = TUNING.step * ms
    target_ms = found.answer.required_ms
    for one, candidates in zip(found.rounds, found.trained.candidates, strict=True):
        rates = [(other.accuracy - accuracy) / (ms - other.latency_ms) for other in candidates]
        best = candidates[int(np.argmax(rates))]
        assert (one.layer, one.after, one.accuracy) == (best.layer, best.width, best.accuracy)
        assert one.latency_ms == pytest.approx(best.latency_ms, rel=1e-9)
        # One candidate a width, each just narrow enough for the round's step, or there.
        assert len({other.layer for other in candidates}) == len(candidates)
        for other in candidates:
            # A round without a candidate was had again with half the step.
            won = ms - other.latency_ms
            assert won > 0 and (won >= step_ms / 1024 or other.latency_ms <= target_ms)
        accuracy, ms = one.accuracy, one.latency_ms
    assert found.best.latency.mean_ms <= target_ms
    assert found.best.accuracy.source == "measured"
    rounds = len(found.rounds)
    assert (
        found.trained.chain_epochs == rounds * TUNING.short_epochs + TUNING.epochs and found.trained.start_epochs == 0
    )


def test_a_candidate_is_its_parents_cut_and_tuned(tmp_path: Path, latency: LatencyModel, source: Source) -> None:
    """The first round by hand: weights cut by norm from the parent's, one epoch, judged on the validation images."""
    found = adapted(tmp_path, latency, source).adaptation
    assert found.trained is not None
    first, candidates = found.rounds[0], found.trained.candidates[0]
    position, _, parameter = first.layer.partition(".")
    narrower = next(
        changed(START, change)
        for change in width_changes(START)
        if change.width == f"{int(position) - 1}.{parameter}"
        and change.layers[int(position) - 1].arg(parameter) == first.after
    )
    short = replace(SMALL, optimizer=replace(SMALL.optimizer, lr=SHORT_RATE * SMALL.optimizer.lr))
    training = Training(inherit_weights(narrower, source.module).module, DATA, short, epochs=1)
    training.run(lambda one: None)
    module = training.result()
    normalize = Normalize(preprocessing_for(3))
    said = held_out(predictor(module, normalize), DATA.val, len(DATA.classes)).accuracy
    assert said == first.accuracy
    assert first.accuracy in {one.accuracy for one in candidates}


def test_the_same_call_trains_nothing_again(
    tmp_path: Path, latency: LatencyModel, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = adapted(tmp_path, latency, source)
    monkeypatch.setattr(Training, "train_step", lambda self: pytest.fail("it trains"))
    again = adapted(tmp_path, latency, source)
    assert again.adaptation == first.adaptation
    assert again.held_out.confusion.tolist() == first.held_out.confusion.tolist()


def test_stopped_anywhere_it_goes_on_to_the_same_answer(
    tmp_path: Path, latency: LatencyModel, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies in the n-th training loses that training alone."""
    whole = adapted(tmp_path / "whole", latency, source)
    begun: list[int] = []
    run = Training.run

    def counted(self: Training, *args: Any, **options: Any) -> None:
        begun.append(1)
        if len(begun) == dies_at:
            raise RuntimeError("killed")
        run(self, *args, **options)

    monkeypatch.setattr(Training, "run", counted)
    trainings, dies_at, parts = 0, 3, None
    while parts is None:
        begun.clear()
        try:
            parts = adapted(tmp_path / "parts", latency, source)
            trainings += len(begun)
        except RuntimeError:
            trainings += len(begun) - 1
    assert whole.adaptation.trained is not None
    assert trainings == sum(map(len, whole.adaptation.trained.candidates)) + 1
    assert parts.adaptation.rounds == whole.adaptation.rounds
    assert parts.held_out.confusion.tolist() == whole.held_out.confusion.tolist()


def test_only_the_kept_of_a_round_keep_their_weights_and_another_target_goes_on(
    tmp_path: Path, latency: LatencyModel, source: Source
) -> None:
    near = adapted(tmp_path, latency, source, 0.75)
    kept = {
        path.name[:9]: [other for other in tmp_path.glob(f"{path.name[:9]}*-short*") if read_checkpoint(other).tensors]
        for path in tmp_path.glob("*-short.safetensors")
    }
    assert kept and all(len(paths) == 1 for paths in kept.values())
    files = set(tmp_path.iterdir())
    far = adapted(tmp_path, latency, source, 0.5)
    assert files < set(tmp_path.iterdir())
    # As long as no candidate is at the near target, both have the same rounds.
    same = [a == b for a, b in zip(near.adaptation.rounds, far.adaptation.rounds, strict=False)]
    assert same[0]
    alone = adapted(tmp_path / "alone", latency, source, 0.5).adaptation
    assert (far.adaptation.rounds, far.adaptation.best) == (alone.rounds, alone.best)


def test_a_short_tuning_may_see_a_share_of_the_images() -> None:
    tuning = replace(TUNING, short_epochs=0.25)
    seen = [tuning.short_training(build(START), DATA, number).data.train for number in (1, 2)]
    assert [len(one) for one in seen] == [24, 24]  # a quarter of 96
    assert set(seen[0].names) != set(seen[1].names)
    place = {name: i for i, name in enumerate(DATA.train.names)}
    for one in seen:
        chosen = [place[name] for name in one.names]
        np.testing.assert_array_equal(one.images, DATA.train.images[chosen])
        np.testing.assert_array_equal(one.labels, DATA.train.labels[chosen])


def test_others_classes_train_the_start_first(tmp_path: Path, latency: LatencyModel, source: Source) -> None:
    renamed = replace(source, classes=("a", "b", "c"))
    found = adapted(tmp_path, latency, renamed, 0.8).adaptation
    assert found.trained is not None and found.trained.start_epochs == TUNING.epochs
    assert found.trained.chain_epochs == 2 * TUNING.epochs + len(found.rounds)
    assert 0 < found.trained.init["share"] < 1
    # A start that was trained for longer is another one, and so is all that was cut out of it.
    longer = replace(TUNING, epochs=3)
    beside = adapted(tmp_path, latency, renamed, 0.8, tuning=longer).adaptation
    alone = adapted(tmp_path / "alone", latency, renamed, 0.8, tuning=longer).adaptation
    assert beside.start_accuracy == alone.start_accuracy
    assert (beside.rounds, beside.best) == (alone.rounds, alone.best)


def test_a_start_that_is_there_is_tuned_alone(tmp_path: Path, latency: LatencyModel, source: Source) -> None:
    found = adapted(tmp_path, latency, source, 1.1).adaptation
    assert found.rounds == () and found.best.architecture.digest == START.digest
    assert "as it is" in found.answer.notes[0]


def test_a_target_out_of_reach_is_told_before_anything_is_trained(
    tmp_path: Path, latency: LatencyModel, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the start has new weights and would be trained first."""
    monkeypatch.setattr(Training, "train_step", lambda self: pytest.fail("it trains"))
    with pytest.raises(TargetError, match="made narrower must take at most .* ms on mine, but the fastest one found"):
        adapted(tmp_path, latency, replace(source, classes=("a", "b", "c")), 0.01)
    assert not list(tmp_path.iterdir())


def test_by_limits_alone_a_candidate_has_its_latency_in_milliseconds(
    tmp_path: Path, latency: LatencyModel, source: Source
) -> None:
    limits = Limits(max_interval=None, max_params=int(0.8 * START.params))
    found = adapt_trained(
        START, latency=latency, target_ms=None, data=DATA, source=source, tuning=TUNING, folder=tmp_path, limits=limits
    ).adaptation
    assert found.trained is not None and found.rounds
    for one, candidates in zip(found.rounds, found.trained.candidates, strict=True):
        (kept,) = [other for other in candidates if (other.layer, other.width) == (one.layer, one.after)]
        assert kept.latency_ms == pytest.approx(one.latency_ms, rel=1e-9)
    assert all(one.latency_ms < found.start.latency.mean_ms for part in found.trained.candidates for one in part)
    document = found.as_json()
    assert document["found_by"] == "shrinking" and document["start_accuracy"] == found.start_accuracy
    assert document["is_point_of_space"] is False and document["max_interval"] is None


def test_what_cannot_be(tmp_path: Path, latency: LatencyModel, source: Source) -> None:
    with pytest.raises(TargetError, match="made narrower"):
        adapted(tmp_path, latency, source, 0.01)
    empty = replace(DATA, val=replace(DATA.val, images=DATA.val.images[:0], labels=DATA.val.labels[:0], names=()))
    with pytest.raises(InputError, match="validation images, but the data have none"):
        adapted(tmp_path, latency, source, data=empty)
    for short in (0, 1.5):
        with pytest.raises(InputError, match="must be a whole number or a share of one"):
            Tuning(recipe=SMALL, epochs=1, short_epochs=short)


def write_images(path: Path, seed: int = 5) -> None:
    images = data(120, test=60, seed=seed)
    np.savez(
        path,
        x_train=images.train.images,
        y_train=images.train.labels,
        x_test=images.test.images,
        y_test=images.test.labels,
        classes=np.array(images.classes),
    )


def command(workspace: Path, *more: str) -> list[str]:
    target_ms = 0.95 * nas.load_latency("pixel3-cpu").estimate(START).mean_ms
    return [
        "adapt", str(workspace / "wide.yaml"), "--target-latency", f"{target_ms:.6f}ms", "--device", "pixel3-cpu",
        "--data", str(workspace / "photos.npz"), "--init", "wide-photos", "--epochs", "2", "--step", "0.01", *more,
    ]  # fmt: skip


@pytest.fixture
def trained(workspace: Path) -> Path:
    """The workspace with images, and the start trained on them in its zoo."""
    write_images(workspace / "photos.npz")
    (workspace / "wide.yaml").write_text(START.named("wide").to_yaml())
    train(START.named("wide"), data=workspace / "photos.npz", epochs=2)
    return workspace


def test_the_command_from_a_trained_network_to_a_trained_one(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(trained, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["rounds"][0]) >= {"layer", "from", "to", "accuracy", "latency_ms"}
    assert found["best"]["latency"]["mean_ms"] <= found["target_ms"]
    accuracy = found["best"]["accuracy"]
    assert accuracy["source"] == "measured" and accuracy["low"] <= accuracy["mean"] <= accuracy["high"]
    assert found["gain"] is None and found["baselines"] == []
    entry = find_entry(found["best"]["zoo"])
    assert entry.manifest["untrained"] is False and entry.manifest["digest"] == found["best"]["digest"]
    # What is in the zoo says what the record says of the held-out images.
    images = data(120, test=60).test
    said = held_out(
        predictor(load(found["best"]["zoo"]).module, Normalize(preprocessing_for(3))), images, len(DATA.classes)
    )
    assert said.accuracy == accuracy["mean"]
    assert entry.manifest["training"]["adapted"]["chain_epochs"] == found["trained"]["chain_epochs"]
    first = found["rounds"][0]
    assert f"| cut by NetAdapt | from wide: {first['layer']} {first['from']} to {first['to']}" in entry.card()
    assert main(command(trained)) == 0  # all of it is read
    text = capsys.readouterr().out
    assert f"{100 * accuracy['mean']:.2f} % of 60 held-out images right" in text
    assert "accuracies on the validation images" in text and "untrained" not in text
    # And by the command that the run has recorded, which has no option that it would refuse.
    assert main(["runs", "show", found["run"], "--json"]) == 0
    recorded = json.loads(capsys.readouterr().out)["command"]
    assert main([*shlex.split(recorded)[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["digest"] == found["best"]["digest"]


def test_data_without_weights_and_weights_without_data(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = command(trained)
    for option, came in (("--init", "--data alone"), ("--data", "--init alone")):
        i = words.index(option)
        assert main([*words[:i], *words[i + 2 :]]) == 2
        assert f"but got {came}" in capsys.readouterr().err


def test_weights_that_know_the_validation_images_are_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained on all images, at whatever size, or begun with weights that were."""
    whole = train(
        START.named("whole"), data=trained / "photos.npz", epochs=1, init="wide-photos", all_images=True
    )  # fmt: skip
    larger = train(network(layers=LAYERS, resolution=32), data=trained / "photos.npz", epochs=1, init=whole.zoo)
    for weights in (whole, larger):
        words = command(trained)
        words[words.index("wide-photos")] = Path(weights.zoo).name
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"weights of {Path(weights.zoo).name} were trained on all images of these data" in said
    assert not (trained / "runs" / FOLDER).exists() or not list((trained / "runs" / FOLDER).glob("*/*"))
    # On other images they are as good as any.
    write_images(trained / "others.npz", seed=6)
    source = open_source(whole.zoo)
    (contents,) = source.all_images_of
    assert contents == contents_digest(open_data(trained / "photos.npz"))
    check_unseen(source, contents_digest(open_data(trained / "others.npz")))


def test_stopped_it_says_how_to_go_on(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Training.train_step

    def asked(self: Training) -> None:
        step(self)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Training, "train_step", asked)
    assert main(command(trained)) == 143
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "error: stopped; all trainings are kept; the same command goes on"


def test_killed_and_run_again_it_does_nothing_twice(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL while candidates are tuned: what had ended keeps its file as it is."""
    environment = {**os.environ, "NAS_WORKSPACE": str(trained), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "nas", *command(trained)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(3000):
            ended = sorted((trained / "runs" / FOLDER).glob("*/*-short.safetensors"))
            if len(ended) >= 3 or process.poll() is not None:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    first = {path.name: read_checkpoint(path).document["seconds"] for path in ended}
    assert main(command(trained, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    again = {path.name: read_checkpoint(path).document["seconds"] for path in ended}
    # A training that is done again takes another time.
    assert first == again and len(first) >= 3
    assert len(found["rounds"]) >= 2
