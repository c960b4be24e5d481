"""`nas train` in two processes, as torchrun starts them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from nas.runs import RunStore
from nas.training.checkpoint import FILE, read_checkpoint
from nas.zoo import load
from tests.jobs.test_train import SLOWED, checkpoint_of, weights_of, write_images
from tests.training.examples import network
from tests.training.test_group import TORCHRUN, environment

WORDS = ["train", "tiny.yaml", "--data", "photos.npz", "--seed", "4"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos.npz")
    (tmp_path / "tiny.yaml").write_text(network().to_yaml())
    (tmp_path / "slowed.py").write_text(SLOWED)
    return tmp_path


def started(workspace: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TORCHRUN, *words],
        cwd=workspace,
        env=environment(NAS_WORKSPACE=str(workspace)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_of_them_writes_and_speaks(workspace: Path) -> None:
    out, err = started(workspace, "-m", "nas", *WORDS, "--epochs", "3", "--json").communicate(timeout=300)
    outcome = json.loads(out)  # one document
    assert "error" not in err and err.count("exporting the network") <= 1  # progress, of slow machines alone
    (record,) = RunStore(workspace / "runs").records()
    assert record.id == outcome["run"] and record.status == "done"
    assert record.command.startswith("torchrun --standalone --nproc-per-node 2 -m nas train tiny.yaml")
    assert [one.name for one in (workspace / "runs" / "zoo").iterdir()] == ["tiny-photos"]
    assert len(list((workspace / "runs").glob(f"2*/{FILE}"))) == 1
    manifest = json.loads((workspace / "runs" / "zoo" / "tiny-photos" / "manifest.json").read_text())
    assert manifest["accuracy"]["mean"] == outcome["accuracy"]["mean"] and manifest["training"]["held_out"] == 60


def test_what_is_wrong_is_told_by_the_first_before_the_others_begin(workspace: Path) -> None:
    process = started(workspace, "-m", "nas", "train", "tiny.yaml", "--data", "nowhere")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1 and out == ""
    told = [line for line in err.splitlines() if line.startswith("error: ")]
    (reason,) = (line for line in told if "nowhere" in line)
    assert "is not there" in reason and len(told) <= 2
    assert not list((workspace / "runs").glob("2*"))


@pytest.mark.slow
def test_stopped_and_resumed_it_is_uninterrupted_to_the_bit(workspace: Path) -> None:
    assert started(workspace, "-m", "nas", *WORDS, "--epochs", "12").communicate(timeout=300)[0]
    expected = weights_of(workspace)
    (workspace / "runs" / "zoo").rename(workspace / "runs" / "before")
    seen = {path.parent.name for path in (workspace / "runs").glob(f"2*/{FILE}")}

    process = started(workspace, "slowed.py", *WORDS, "--epochs", "12")
    path = checkpoint_of(workspace, process, seen)
    while read_checkpoint(path).document["epoch"] == 0 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert RunStore(workspace / "runs").get(path.parent.name).status == "interrupted"
    assert 0 < read_checkpoint(path).document["epoch"] < 12

    resumed = started(workspace, "-m", "nas", *WORDS, "--epochs", "12", "--resume", path.parent.name)
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    found = dict(load("tiny-photos", root=workspace / "runs" / "zoo").module.state_dict())
    assert all(torch.equal(found[name], value) for name, value in expected.items())
