from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nas
from nas.errors import InputError, NasError
from nas.jobs.page_document import run_document
from nas.jobs.train import plan_training, run_train, train
from nas.jobs.training import TrainRequest
from nas.pages import page_of
from nas.runs import RunStore
from nas.training import load_recipe
from nas.training.checkpoint import FILE, read_checkpoint
from nas.zoo import check_accuracy, find_entry, held_out_of_files, load
from tests.training.examples import data, network


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a network and images, in which one thread trains."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images(tmp_path / "photos.npz")
    (tmp_path / "tiny.yaml").write_text(network().to_yaml())
    yield tmp_path
    torch.set_num_threads(before)


def write_images(path: Path, seed: int = 5) -> None:
    images = data(200, test=60, seed=seed)
    np.savez(
        path,
        x_train=images.train.images,
        y_train=images.train.labels,
        x_test=images.test.images,
        y_test=images.test.labels,
        classes=np.array(images.classes),
    )


def test_the_last_training_sees_all_images_that_are_not_held_out(workspace: Path) -> None:
    """20 of the 200 training images are drawn for validation; without them there is no accuracy by epoch."""
    plain = train(network(classes=5), data=workspace / "photos.npz", epochs=2, seed=3)
    whole = train(network(classes=5), data=workspace / "photos.npz", epochs=2, seed=3, all_images=True)
    first, last = (find_entry(Path(one.zoo).name).manifest["training"] for one in (plain, whole))
    assert (first["images"], last["images"]) == (180, 200) and first["data_digest"] == last["data_digest"]
    assert [one["accuracy"] for one in last["history"]] == [None, None]
    assert plain.zoo != whole.zoo
    found = held_out_of_files(find_entry(Path(whole.zoo).name), workspace / "photos.npz")
    assert {one.correct for one in found.values()} == {last["correct"]}
    assert page_of(run_document(whole.run))
    assert "--all-images" in RunStore().get(whole.run).command
    plan = plan_training(TrainRequest(network=network(classes=5), data=workspace / "photos.npz", all_images=True))
    assert plan.images == {"train": 200, "val": 0, "test": 60}


def test_from_images_to_a_network_that_knows_them(workspace: Path) -> None:
    outcome = nas.train(network(classes=5), data=workspace / "photos.npz", epochs=6, seed=3)
    assert outcome.accuracy > 0.8
    entry = find_entry("tiny-photos")
    assert str(entry.folder) == outcome.zoo and entry.manifest["untrained"] is False
    training = entry.manifest["training"]
    assert training["classes"] == ["dark", "green", "bright"] and len(training["history"]) == 6
    assert training["correct"] / training["held_out"] == outcome.accuracy == entry.manifest["accuracy"]["mean"]
    assert entry.manifest["num_classes"] == 3
    card = entry.card()
    assert "(untrained)" not in card and "top1 on held-out images of" in card
    assert f"| right on held-out images | {training['correct']} of 60 |" in card
    assert {"curves.png", "confusion.png"} <= set(entry.manifest["files"])
    # What is read back is what was trained: the held-out images once more, in torch.
    images = data(200, test=60).test
    values = (torch.from_numpy(images.images) / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    with torch.no_grad():
        said = load("tiny-photos").module.eval()(values.permute(0, 3, 1, 2)).argmax(1).numpy()
    assert int((said == images.labels).sum()) == training["correct"]
    record = RunStore().get(outcome.run)
    assert record.status == "done" and record.result == json.loads(json.dumps(outcome.as_json()))
    assert {one.kind for one in record.artefacts} == {"checkpoint", "zoo"}
    assert sorted(outcome.as_json()) == sorted(
        ["run", "name", "digest", "data", "recipe", "epochs", "accuracy", "seconds", "images_per_s", "zoo", "init",
         "training"]
    )  # fmt: skip
    assert outcome.as_json()["training"] == {"schema": 1, **training}
    # Its page and its notebook say the same.
    page = page_of(run_document(outcome.run))
    assert page.headline.startswith(f"tiny is right on {100 * outcome.accuracy:.1f} % [")
    assert [figure.name for figure in page.figures] == ["curve-accuracy", "curve-loss", "class-accuracy"]
    assert page.headline in outcome._repr_html_()


def test_the_file_is_as_accurate_and_other_data_are_refused(workspace: Path) -> None:
    train(workspace / "tiny.yaml", data=workspace / "photos.npz", epochs=2)
    entry = find_entry("tiny-photos")
    found = held_out_of_files(entry, workspace / "photos.npz")
    assert found["onnx"].confusion.tolist() == entry.manifest["training"]["confusion"]
    check_accuracy(entry, found["onnx"], "onnx")
    found["onnx"].said[0] = 1 - found["onnx"].said[0]
    with pytest.raises(NasError, match="held-out images as its manifest says"):
        check_accuracy(entry, found["onnx"], "onnx")
    write_images(workspace / "others.npz", seed=6)
    with pytest.raises(InputError, match="trained and measured on, but holds others"):
        held_out_of_files(entry, workspace / "others.npz")


def test_no_training_takes_the_place_of_another(workspace: Path) -> None:
    first, again, other = (train(network(), data=workspace / "photos.npz", epochs=epochs).zoo for epochs in (1, 1, 2))
    assert first == again != other
    # What is broken there is not touched.
    (Path(first) / "manifest.json").write_text("{")
    assert Path(train(network(), data=workspace / "photos.npz", epochs=1).zoo) not in (Path(first), Path(other))


def test_a_teacher_of_the_zoo(workspace: Path) -> None:
    teacher = Path(train(network(), data=workspace / "photos.npz", epochs=4).zoo).name
    outcome = train(network(), data=workspace / "photos.npz", epochs=3, teacher=teacher, branches=1)
    assert find_entry(outcome.zoo).manifest["training"]["teacher"] == teacher
    # A teacher of other classes is refused.
    arrays = dict(np.load(workspace / "photos.npz"))
    arrays["classes"] = np.array(["a", "b", "c"])
    np.savez(workspace / "renamed.npz", **arrays)
    with pytest.raises(InputError, match="must know the classes of the data in their order"):
        train(network(), data=workspace / "renamed.npz", epochs=1, teacher=teacher)


def test_an_untrained_teacher_and_an_unknown_run(workspace: Path) -> None:
    from nas.zoo import export_architecture

    export_architecture(network(), name="raw")
    with pytest.raises(InputError, match="must be trained to know classes"):
        train(network(), data=workspace / "photos.npz", teacher="raw-untrained")
    with pytest.raises(InputError, match="must be a known name, but got"):
        train(network(), data=workspace / "photos.npz", resume="20260101-000000-abcd")
    assert [path.name for path in (workspace / "runs").glob("2*")] == []


def test_a_plan_trains_nothing(workspace: Path) -> None:
    request = TrainRequest(network=workspace / "tiny.yaml", data=workspace / "photos.npz", epochs=7)
    plan = plan_training(request)
    images = plan.images["train"] + plan.images["val"]
    assert images == 200 and plan.images["test"] == 60
    assert plan.steps == 7 * (plan.images["train"] // 64) and plan.batch == 64
    assert plan.seconds > plan.steps * plan.batch / plan.images_per_s > 0
    assert not (workspace / "runs" / "zoo").exists() and RunStore().records() == []


def test_what_diverges_fails_and_its_last_checkpoint_stays(workspace: Path) -> None:
    small = load_recipe("small")
    wild = replace(small, optimizer=replace(small.optimizer, lr=80.0))
    with pytest.raises(NasError, match="lower the recipe's learning rate"):
        train(network(), data=workspace / "photos.npz", recipe=wild, epochs=40)
    (record,) = RunStore().records()
    assert record.status == "failed" and "learning rate" in (record.error or "")
    kept = read_checkpoint(workspace / "runs" / record.id / FILE)
    assert all(bool(torch.isfinite(one).all()) for one in kept.tensors.values())
    assert not (workspace / "runs" / "zoo").exists()


def test_another_training_is_not_resumed(workspace: Path) -> None:
    run = train(network(), data=workspace / "photos.npz", epochs=1).run
    same = TrainRequest(network=network(), data=workspace / "photos.npz", resume=run, epochs=1)
    others = {"epochs": replace(same, epochs=2), "seed": replace(same, seed=1), "branches": replace(same, branches=1)}
    for word, other in others.items():
        with pytest.raises(InputError, match=f"its {word} is"):
            run_train(other)
    # What has a digest is known by it: the same images under another path, the same network under another name.
    (workspace / "copies").mkdir()
    shutil.copy(workspace / "photos.npz", workspace / "copies")
    moved = replace(same, data=workspace / "copies" / "photos.npz", network=network().named("renamed"))
    assert run_train(moved).architecture.name == "renamed"
    write_images(workspace / "photos.npz", seed=9)
    with pytest.raises(InputError, match="its data is"):
        train(network(), data=workspace / "photos.npz", epochs=1, resume=run)


COMMAND = [sys.executable, "-m", "nas", "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "40", "--seed", "4"]
SLOWED = """
import sys, time
import nas.training.loop as loop
from nas.cli.main import main
step = loop.Training.train_step
def slow(self):
    time.sleep(0.02)
    step(self)
loop.Training.train_step = slow
run = loop.Training.run
loop.Training.run = lambda self, keep, **options: run(self, keep, **{**options, "every_s": 0.1})
sys.exit(main())
"""


def started(workspace: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own, a step every 20 ms or more, a checkpoint every 0.1 s."""
    environment = {**os.environ, "NAS_WORKSPACE": str(workspace), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SLOWED, *COMMAND[3:], *words]
    return subprocess.Popen(
        command, cwd=workspace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def checkpoint_of(workspace: Path, process: subprocess.Popen[str], seen: set[str]) -> Path:
    """The first checkpoint of the run that `process` began, as soon as it is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in (workspace / "runs").glob(f"2*/{FILE}"):
            if path.parent.name not in seen:
                return path
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def weights_of(workspace: Path) -> dict[str, torch.Tensor]:
    return dict(load("tiny-photos", root=workspace / "runs" / "zoo").module.state_dict())


def uninterrupted(workspace: Path) -> dict[str, torch.Tensor]:
    train(workspace / "tiny.yaml", data=workspace / "photos.npz", epochs=40, seed=4)
    found = weights_of(workspace)
    (workspace / "runs" / "zoo").rename(workspace / "runs" / "before")
    return found


@pytest.mark.slow
def test_killed_at_five_random_moments_it_is_uninterrupted_to_the_bit(workspace: Path) -> None:
    expected = uninterrupted(workspace)
    seen = {path.parent.name for path in (workspace / "runs").glob(f"2*/{FILE}")}
    rng = np.random.default_rng()
    words: list[str] = []
    steps = []
    for _ in range(5):
        process = started(workspace, *words)
        path = checkpoint_of(workspace, process, seen)
        seen.add(path.parent.name)
        time.sleep(float(rng.uniform(0, 0.6)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        document = read_checkpoint(path).document
        steps.append(document["epoch"] * 3 + document["step"])
        words = ["--resume", path.parent.name]
    process = started(workspace, *words)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert steps == sorted(steps)
    found = weights_of(workspace)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_keeps_the_step_and_goes_on(number: signal.Signals, workspace: Path) -> None:
    expected = uninterrupted(workspace)
    seen = {path.parent.name for path in (workspace / "runs").glob(f"2*/{FILE}")}
    process = started(workspace)
    path = checkpoint_of(workspace, process, seen)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    code, word = (143, "stopped") if number == signal.SIGTERM else (130, "interrupted")
    assert process.returncode == code
    assert f"error: {word}; a checkpoint is kept; go on with: nas train tiny.yaml" in err
    assert f"--resume {path.parent.name}" in err
    assert RunStore(workspace / "runs").get(path.parent.name).status == "interrupted"
    process = started(workspace, "--resume", path.parent.name)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found = weights_of(workspace)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_full_disk_is_told_and_the_last_checkpoint_goes_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = weights_of_a_short_training(workspace)
    writes, replace_file = itertools.count(1), os.replace

    def full(source: Path, target: Path) -> None:
        if next(writes) == 3:
            raise OSError(28, "No space left on device")
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("nas.files.os.replace", full)
        with pytest.raises(NasError, match="must have room"):
            train(network(), data=workspace / "photos.npz", epochs=4, seed=2)
    failed = RunStore().records()[0]
    kept = workspace / "runs" / failed.id
    assert failed.status == "failed" and [one.name for one in kept.iterdir()] == [FILE]
    # The first write is before the first step, the second after an epoch.
    assert read_checkpoint(kept / FILE).document["epoch"] == 1
    resumed = train(network(), data=workspace / "photos.npz", epochs=4, seed=2, resume=failed.id)
    assert find_entry("tiny-photos").manifest["run"] == resumed.run
    found = weights_of(workspace)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def weights_of_a_short_training(workspace: Path) -> dict[str, torch.Tensor]:
    train(network(), data=workspace / "photos.npz", epochs=4, seed=2)
    return {name: value.clone() for name, value in weights_of(workspace).items()}
