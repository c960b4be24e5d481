"""`nas train`, `nas zoo verify --data` and `nas zoo predict`."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from nas.cli.main import main
from nas.training.loop import Training
from tests.jobs.test_train import write_images
from tests.training.examples import data, network


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images(tmp_path / "photos.npz")
    (tmp_path / "tiny.yaml").write_text(network().to_yaml())
    yield tmp_path
    torch.set_num_threads(before)


def run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(words) == code
    return capfd.readouterr()


def test_train_verify_predict(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "4", "--pixels", "--json")
    record = json.loads(out)
    assert record["zoo"] == str(workspace / "runs" / "zoo" / "tiny-photos")
    assert (record["data"], record["recipe"], record["epochs"]) == ("photos.npz", "small", 4)
    accuracy = record["accuracy"]
    assert 0 <= accuracy["low"] <= accuracy["mean"] <= accuracy["high"] <= 1 and accuracy["source"] == "measured"

    (checked,) = json.loads(run(capfd, "zoo", "verify", "tiny-photos", "--data", "photos.npz", "--json")[0])
    assert sorted(checked["held_out"]) == ["onnx", "pixels.onnx"]
    for found in checked["held_out"].values():
        assert found["count"] == 60 and found["mean"] == accuracy["mean"]
    assert "held-out images right" in run(capfd, "zoo", "verify", "tiny-photos", "--data", "photos.npz")[0]
    assert "must come with the NAME" in run(capfd, "zoo", "verify", "--data", "photos.npz", code=2)[1]
    assert record["run"] in run(capfd, "runs", "list")[0]
    assert "tiny-photos" in run(capfd, "runs", "show", record["run"])[0]

    test = data(200, test=60).test
    for i in range(2):
        Image.fromarray(test.images[i]).save(workspace / f"{i}.png")
    said = json.loads(run(capfd, "zoo", "predict", "tiny-photos", "0.png", "1.png", "--json")[0])
    assert [Path(one["image"]).name for one in said] == ["0.png", "1.png"]
    for one in said:
        chances = [found["probability"] for found in one["predictions"]]
        assert sum(chances) == pytest.approx(1) and chances == sorted(chances, reverse=True)
        assert {found["class"] for found in one["predictions"]} == {"dark", "green", "bright"}
    out, _ = run(capfd, "zoo", "predict", "tiny-photos", "0.png", "--top", "1")
    assert out.startswith(f"0.png: {said[0]['predictions'][0]['class']} ")


def test_a_plan_and_a_text(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "2", "--dry-run", "--json")
    assert json.loads(out)["epochs"] == 2
    out, _ = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "2", "--dry-run")
    assert "2 epochs" in out and "images/s" in out
    out, _ = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "1")
    assert "of 60 held-out images right" in out and "runs/zoo/tiny-photos" in out
    assert "of the 60 held-out images" in Path(out.splitlines()[-1].removeprefix("Page: ")).read_text()


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped")]
)
def test_stopped_it_says_how_to_go_on(
    number: signal.Signals, code: int, word: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    step = Training.train_step

    def asked(self: Training) -> None:
        step(self)
        if self.steps_done == 4:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_step", asked)
        _, err = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "3", "--pixels", code=code)
    assert err.splitlines()[-1].startswith(f"error: {word}; a checkpoint is kept; go on with: nas train tiny.yaml ")
    seen: list[int] = []

    def counted(self: Training) -> None:
        seen.append(self.steps_done)
        step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_step", counted)
        run(capfd, *shlex.split(err.splitlines()[-1].partition("go on with: nas ")[2]))
    # Two steps of 64 of 180 images an epoch; the fourth was the last one before.
    assert seen == [4, 5]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "smal"], "nearest: small"),
        (["--teacher", "nobody"], "network of the zoo must be a known name"),
        (["--resume", "yesterday"], "run must be a known name"),
        (["--format", "tflite"], "format must be a known name"),
        (["--epochs", "0"], "epochs"),
        (["--data", "nowhere"], "is not there"),
    ],
)
def test_wrong_usage_is_one_paragraph_before_anything_is_trained(
    words: list[str], message: str, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, err = run(capfd, "train", "tiny.yaml", "--data", "photos.npz", *words, code=2)
    assert message in err and len(err.strip().splitlines()) == 1
    assert not list((workspace / "runs").glob("2*"))


def test_an_untrained_network_predicts_nothing(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, "zoo", "export", "tiny.yaml")
    Image.fromarray(data().test.images[0]).save(workspace / "a.png")
    _, err = run(capfd, "zoo", "predict", "tiny-untrained", "a.png", code=2)
    assert "must be trained" in err
    (workspace / "text.jpg").write_text("no picture")
    run(capfd, "train", "tiny.yaml", "--data", "photos.npz", "--epochs", "1")
    _, err = run(capfd, "zoo", "predict", "tiny-photos", "text.jpg", code=2)
    assert "text.jpg" in err
