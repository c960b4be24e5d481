"""SIGKILL of a search on images, its driver with its workers, at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nas.runs import Tables
from nas.runs.models import EvaluationRow, TrialRow
from tests.jobs.test_train import write_images

_ROOT = Path(__file__).resolve().parent.parent.parent


def start(folder: Path, workers: int) -> subprocess.Popen[str]:
    environment = os.environ | {
        "NAS_WORKSPACE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.data_killed", str(folder), str(workers)],
        cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def ended(folder: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What is recorded of trainings that have ended: key → accuracy, attempts, when."""
    if not (folder / "runs" / "nas.db").exists():
        return {}
    with Tables(f"sqlite:///{folder}/runs/nas.db").reading() as session:
        rows = [] if session is None else session.query(EvaluationRow).filter_by(state="done").all()
        return {
            (row.digest, row.recipe, row.epochs, row.seed): (row.accuracy, row.attempts, row.finished) for row in rows
        }


def finish(folder: Path, workers: int) -> dict[str, Any]:
    process = start(folder, workers)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found


def killed_and_resumed(folder: Path, workers: int, kills: int, seed: int) -> dict[str, Any]:
    """The result of a search that got SIGKILL several times; no training that had ended was touched again."""
    rng = random.Random(seed)
    for number in range(kills):
        process, before = start(folder, workers), ended(folder)
        while process.poll() is None and len(ended(folder)) < len(before) + 1 + number % 2:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 0.3))
        kept = ended(folder)
        assert {key: kept[key] for key in before} == before
        if process.poll() is None:
            # Workers have a session of their own; they end when their driver's pipe does.
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    before = ended(folder)
    found = finish(folder, workers)
    after = ended(folder)
    assert {key: after[key] for key in before} == before
    with Tables(f"sqlite:///{folder}/runs/nas.db").reading() as session:
        assert session is not None
        assert {row.state for row in session.query(EvaluationRow)} == {"done"}
        assert {row.state for row in session.query(TrialRow)} <= {"done", "stopped"}
    assert not list((folder / "runs" / "checkpoints").glob("*.part"))
    return found


def test_a_search_that_is_killed_loses_no_training(tmp_path: Path) -> None:
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        write_images(tmp_path / name / "photos.npz")
    found = killed_and_resumed(tmp_path / "killed", 1, kills=3, seed=4)
    assert found == finish(tmp_path / "whole", 1)


@pytest.mark.slow
def test_nor_with_workers_at_ten_moments(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    write_images(tmp_path / "killed" / "photos.npz")
    found = killed_and_resumed(tmp_path / "killed", 2, kills=10, seed=5)
    assert len(found["trials"]["searched"]) == 4
