"""Kills searches on images at random moments and starts them again: writes benchmarks/killed_data_search.md.

    python -m benchmarks.killed_data_search FOLDER [driver workers ray]

A search of tiny networks on 240 images (24 epochs in rungs of 2 and 8), in FOLDER/PART. *driver*: one training at a
time; the process gets SIGKILL at ten random moments. *workers*: `--workers 2`; SIGKILL by turns to the driver with its
workers and to one worker alone. *ray*: a cluster of two nodes on this host, one of which is killed once both have
trained. Then: was any training that had ended lost or done twice, did those that had not ended go on from their last
checkpoint, is anything left that runs, and, of one training at a time, is the answer that of a search nobody killed.
Each part's lines are kept in FOLDER, so parts may be run one by one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import write_parts
from benchmarks.many_workers import cluster
from tests.jobs.data_killed import Told, ended, finish, finished_without, killed_and_resumed, start, states
from tests.jobs.test_train import write_images

KILLS, SEED, LINES = 10, 0, 190
"""Without a kill about so many lines are told."""

OPTIONS: Mapping[str, Any] = {"epochs": 24, "seeds": 2, "trials": 6}
REPORT = Path(__file__).with_name("killed_data_search.md")
_TEXT = """\
# A search on images that is killed

{environment}

A search of tiny networks of 32 pixels on 240 images, in rungs of 2 and 8 epochs and full trainings of 24. An
epoch *done once more* had just ended when its process was killed: a checkpoint is written behind each.

## One training at a time

{driver}

## Two workers

{workers}

## A Ray cluster that loses a machine

{ray}
"""


def prepared(folder: Path, name: str) -> Path:
    """An empty workspace with images."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_images(place / "photos.npz")
    return place


def lines_of(place: Path, seconds: float) -> list[str]:
    """What is there once a search has ended."""
    found = Told.read(place / "calls")
    evaluations, trials = states(place)
    parts = list((place / "runs" / "checkpoints").glob("*.part"))
    return [
        f"- {len(ended(place))} trainings ended. Done again although they had ended: {len(found.twice)}.",
        (
            f"- Trainings were begun {found.begun} times; {found.went_on} times they went on from a checkpoint,"
            f" {len(found.anew)} times they began from nothing although there was one. Epochs: {found.epochs}, of"
            f" which done once more: {found.again}."
        ),
        (
            f"- In the end evaluations are {', '.join(sorted(evaluations))}, trials {', '.join(sorted(trials))};"
            f" {len(parts)} checkpoints of trainings under way are left."
        ),
        f"- All of it took {seconds:.0f} s.",
    ]


def driver(folder: Path) -> str:
    """One training at a time, beside a search that nobody killed."""
    place, whole, began = prepared(folder, "driver"), prepared(folder, "whole"), time.monotonic()
    found, kills = killed_and_resumed(place, KILLS, SEED, lines=LINES, **OPTIONS)
    lines = lines_of(place, time.monotonic() - began)
    same = found == finish(start(whole, **OPTIONS))
    head = f"- SIGKILL to the process: {kills['driver']} times. No training that had ended was lost or changed."
    same_text = f"- The same trials, accuracies and answer as the search that nobody killed: {'yes' if same else 'NO'}."
    return "\n".join([head, *lines, same_text])


def workers(folder: Path) -> str:
    """Two workers; the driver with both is killed, or one worker alone."""
    place, began = prepared(folder, "workers"), time.monotonic()
    _, kills = killed_and_resumed(place, KILLS, SEED, lines=LINES, workers_too=True, workers=2, **OPTIONS)
    head = (
        f"- SIGKILL to the driver with its workers: {kills['driver']} times; to one worker: {kills['worker']} times. No"
        " training that had ended was lost or changed."
    )
    return "\n".join([head, *lines_of(place, time.monotonic() - began)])


def ray(folder: Path) -> str:
    """Two nodes of one core each; one is killed in mid-run."""
    place = prepared(folder, "ray")
    with cluster(folder, cpus=(1, 1), CALLS=str(place / "calls"), NAS_WORKSPACE=str(place)) as (address, nodes):
        os.environ["RAY_AUTH_MODE"] = "disabled"
        began = time.monotonic()
        _, kept = finished_without(place, nodes[1].kill, lines=LINES // 3, ray=address, **OPTIONS)
    head = f"- One of two nodes got SIGKILL when {kept} trainings had ended; these are as they were."
    return "\n".join([head, *lines_of(place, time.monotonic() - began)])


PARTS: dict[str, Callable[[Path], str]] = {"driver": driver, "workers": workers, "ray": ray}


def main() -> None:
    """Run the parts that are asked for (all), and write the report of all that were run."""
    write_parts(REPORT, _TEXT, PARTS, "python -m benchmarks.killed_data_search FOLDER")


if __name__ == "__main__":
    main()
