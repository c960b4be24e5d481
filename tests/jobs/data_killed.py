"""A search on images in a process of its own, killed at any moment and begun again.

python -m tests.jobs.data_killed FOLDER '{"workers": 2}'      prints its trials and its answer as JSON

Each training tells the file CALLS (where there is one) when it begins (*begin*), goes on from a checkpoint (*restore*),
has ended an epoch (*epoch*) and is whole (*end*): `Told` reads that.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nas
from nas.jobs import trained
from nas.latency import load_latency
from nas.runs import Tables
from nas.runs.models import EvaluationRow, TrialRow
from nas.space import Architecture, load_architecture
from nas.space.reading import parse_search_space
from nas.training.loop import Training
from tests.jobs.small import tiny_document

_ROOT = Path(__file__).resolve().parent.parent.parent
OURS = "tests.jobs.data_killed:validation_accuracy"
_validation_accuracy = trained.validation_accuracy


def validation_accuracy(
    points: Sequence[Architecture], *, epochs: int, seed: int, save: str, teaching: Mapping[str, Any]
) -> list[float]:
    """The evaluator of a search on images, which tells what it does."""
    name, calls = Path(save).name, Path(os.environ.get("CALLS", os.devnull))
    end_epoch, restore = Training._end_epoch, Training.restore

    def tell(what: str, number: int = 0) -> None:
        with calls.open("a", encoding="utf-8") as file:
            file.write(f"{what} {name} {number}\n")

    def ended(training: Training) -> None:
        end_epoch(training)
        tell("epoch", training.epoch)

    def restored(training: Training, checkpoint: Any) -> None:
        restore(training, checkpoint)
        tell("restore", training.epoch)

    tell("begin")
    with patch.object(Training, "_end_epoch", ended), patch.object(Training, "restore", restored):
        found = _validation_accuracy(points, epochs=epochs, seed=seed, save=save, teaching=teaching)
    tell("end")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What trainings told: how often they were `begun`, went on from a checkpoint, how many epochs they did, how many
    of these once more, and which did an epoch although they were whole."""

    begun: int
    went_on: int
    epochs: int
    again: int
    twice: tuple[str, ...]
    anew: tuple[str, ...]

    @classmethod
    def read(cls, calls: Path) -> Told:
        """What the file says. *anew* are trainings that began from nothing although two epochs or more had ended:
        the checkpoint of the first of them had been written by then."""
        lines = calls.read_text("utf-8").splitlines() if calls.exists() else []
        told = [(what, name, int(number)) for what, name, number in map(str.split, lines)]
        whole: set[str] = set()
        most: dict[str, int] = {}
        twice, anew, again, done = [], [], 0, 0
        for i, (what, name, number) in enumerate(told):
            if what == "end":
                whole.add(name)
            if what == "epoch":
                done += 1
                again += number <= most.get(name, 0)
                twice += [name] if name in whole else []
                own = [one for one in told[:i] if one[1] == name and one[0] in ("begin", "restore")]
                anew += [name] if number == 1 and most.get(name, 0) > 1 and own[-1][0] == "begin" else []
                most[name] = max(most.get(name, 0), number)
        count = [what for what, _, _ in told].count
        return cls(
            begun=count("begin"), went_on=count("restore"), epochs=done, again=again, twice=tuple(twice),
            anew=tuple(anew),
        )  # fmt: skip


def search(folder: Path, **options: Any) -> dict[str, Any]:
    """What the search says, without times and places."""
    usual: dict[str, Any] = {"epochs": 3, "seeds": 1, "trials": 4, "baselines": 1, "asker": "random"}
    with (
        patch("nas.jobs.data_space.family_members", lambda: [load_architecture("mobilenetv1-0.25")]),
        patch("nas.jobs.trained.REFERENCE", OURS),
        patch("nas.jobs.trained.validation_accuracy", validation_accuracy),
    ):
        found = nas.search(
            parse_search_space(tiny_document(), "tiny"), latency=load_latency("pixel3-cpu"), data=folder / "photos.npz",
            target_ms=0.3, **{**usual, **options},
        )  # fmt: skip
    assert found.best.right is not None
    trials = {
        part: sorted([trial.digest, trial.repeat, trial.state, list(map(list, trial.curve))] for trial in own)
        for part, own in found.trials.items()
    }
    return {"trials": trials, "best": found.best.architecture.digest, "test": found.best.right.mean()}


def start(folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Begin the search in `folder`, which holds photos.npz, in another process; `calls` there is what is told."""
    environment = os.environ | {
        "NAS_WORKSPACE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1",
        "CALLS": str(folder / "calls"),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.data_killed", str(folder), json.dumps(options)],
        cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the search says in the end."""
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found


def ended(folder: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What is recorded of trainings that have ended: key → accuracy, attempts, when."""
    if not (folder / "runs" / "nas.db").exists():
        return {}
    with Tables(f"sqlite:///{folder}/runs/nas.db").reading() as session:
        rows = [] if session is None else session.query(EvaluationRow).filter_by(state="done").all()
        return {
            (row.digest, row.recipe, row.epochs, row.seed): (row.accuracy, row.attempts, row.finished) for row in rows
        }


def states(folder: Path) -> tuple[set[str], set[str]]:
    """The states of all trainings, and of all trials."""
    with Tables(f"sqlite:///{folder}/runs/nas.db").reading() as session:
        assert session is not None
        return {row.state for row in session.query(EvaluationRow)}, {row.state for row in session.query(TrialRow)}


def descendants(process: int) -> Iterator[int]:
    """The processes that a process started, and those that these did."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in map(int, children):
        yield child
        yield from descendants(child)


def told(folder: Path) -> int:
    """How many lines there are in `calls`."""
    path = folder / "calls"
    return path.read_text("utf-8").count("\n") if path.exists() else 0


def killed_and_resumed(
    folder: Path, kills: int, seed: int, *, lines: int, workers_too: bool = False, **options: Any
) -> tuple[dict[str, Any], dict[str, int]]:
    """What a search says that got SIGKILL `kills` times at random moments of its about `lines` told lines, and how
    often its driver with all workers was killed, and a worker alone (every other time, with `workers_too`).

    Whoever kills the driver's group ends its workers as well: they end with its pipe. No training that had ended is
    touched again.
    """
    rng, done = random.Random(seed), {"driver": 0, "worker": 0}
    process, kept = start(folder, **options), ended(folder)
    for number in range(kills):
        before = told(folder)
        more = rng.randint(0, max(1, 2 * (lines - before) // (kills - number + 1)))
        while process.poll() is None and told(folder) < before + more:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        workers = sorted(descendants(process.pid)) if workers_too and number % 2 else []
        if process.poll() is None and workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            done["worker"] += 1
            continue
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            done["driver"] += 1
        process.communicate()
        now = ended(folder)
        assert {key: now[key] for key in kept} == kept
        process, kept = start(folder, **options), now
    found, now = finish(process), ended(folder)
    assert {key: now[key] for key in kept} == kept
    return found, done


def finished_without(
    folder: Path, lose: Callable[[], None], *, lines: int, **options: Any
) -> tuple[dict[str, Any], int]:
    """What a search says whose machine is lost (`lose`) once so many lines were told, and how many trainings had ended
    by then; these stay as they were."""
    process = start(folder, **options)
    while told(folder) < lines:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    kept = ended(folder)
    lose()
    found, now = finish(process), ended(folder)
    assert {key: now[key] for key in kept} == kept
    return found, len(kept)


if __name__ == "__main__":
    print(json.dumps(search(Path(sys.argv[1]), **json.loads(sys.argv[2]))))  # noqa: T201
