"""Several processes train the network that one would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import distributed

from nas.errors import InputError, NasError
from nas.nets import build
from nas.training.group import ALONE, Group, joined
from nas.training.loop import Training
from nas.training.processes import Place, place_of_process
from tests.training.examples import data, network
from tests.training.in_two_processes import PLAIN, ten_steps
from tests.training.test_loop import SMALL

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    command = [*TORCHRUN, "-m", "tests.training.in_two_processes", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    alone = ten_steps()
    first, second = (load_file(tmp_path / f"plain{rank}.safetensors") for rank in (0, 1))
    assert alone.keys() == first.keys() and len(alone["losses"]) == 10 and len(alone["accuracies"]) == 2
    assert any(name.startswith("gradient.") for name in alone) and any(name.startswith("average.") for name in alone)
    for name, value in alone.items():
        assert np.allclose(first[name], value, rtol=1e-4, atol=1e-6), name
    # Both processes hold the same network to the bit, the statistics of its norms included.
    normed = [load_file(tmp_path / f"normed{rank}.safetensors") for rank in (0, 1)]
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
    for name, value in normed[0].items():
        assert np.array_equal(value, normed[1][name]), name
    # Each normalises its part: near the steps of one process, but others.
    whole = ten_steps(norms=True)
    assert not np.allclose(normed[0]["losses"], whole["losses"], rtol=1e-4)
    assert np.allclose(normed[0]["losses"], whole["losses"], rtol=0.5)


def test_parts_of_a_batch_are_all_of_it() -> None:
    for count in (2, 7, 64):
        parts = [Group(Place(rank=rank, size=3)).part(count) for rank in range(3)]
        assert [i for part in parts for i in range(count)[part]] == list(range(count))
        assert max(part.stop - part.start for part in parts) - min(part.stop - part.start for part in parts) <= 1


def test_torchrun_says_who_one_is() -> None:
    assert place_of_process({"RANK": "3", "WORLD_SIZE": "4"}) == Place() and Place().is_first
    said = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert place_of_process(said) == Place(rank=3, size=4, local=1)
    assert not place_of_process(said).is_first


def test_alone_nothing_is_sent() -> None:
    with joined(Place()) as group:
        assert group is ALONE and not distributed.is_initialized()
    counts, gradient = np.array([3]), torch.ones(2)
    group.add_up([gradient])
    assert group.total(counts) is counts and torch.equal(gradient, torch.ones(2))
    assert group.any(True, False) == (True, False) and group.text("word") == "word"
    assert group.in_turn(lambda: 5) == 5 and group.part(9) == slice(0, 9)


def test_a_batch_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="two images of every batch or more, but 9 share 16"):
        Training(build(network()), data(), SMALL, group=Group(Place(size=9)))


def test_there_must_be_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="a GPU of its own, but there are 2 for 3"), joined(Place(size=3, local=2)):
        pass


def test_a_process_that_has_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*words: Any, **options: Any) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:5")

    monkeypatch.setattr(distributed, "all_reduce", closed)
    group = Group(Place(rank=1, size=2))
    for ask in (lambda: group.any(True), lambda: group.add_up([torch.ones(1)])):
        with pytest.raises(NasError, match="go on together, but one has ended"):
            ask()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: there is none")
def test_gradients_are_added_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}.items():
        monkeypatch.setenv(name, value)
    distributed.init_process_group("cpu:gloo,cuda:nccl")
    try:
        group = Group(Place())
        gradient, statistic = torch.full((2, 3), 2.0, device="cuda"), torch.ones(4, device="cuda")
        group.add_up([gradient], [statistic])
        assert gradient.sum().item() == 12 and statistic.sum().item() == 4
        assert group.any(True, False) == (True, False) and group.text("word") == "word"
        one = Training(build(network(layers=PLAIN), seed=1), data(), SMALL, epochs=2, device="cuda", group=group)
        one.run(lambda at: None)
        assert one.is_done
    finally:
        distributed.destroy_process_group()
