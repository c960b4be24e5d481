"""What a search on a user's images would do, and how long it would take."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas.jobs.data_search import DataSearch
from nas.jobs.data_space import kind_of
from nas.jobs.trained import begin
from nas.progress import OnProgress, Step
from nas.trials.rungs import ONE_IN

STEPS, SCORED = 8, 250
"""How many steps, and how many images that are looked at, an epoch is timed by."""

KINDS = 5
"""So many kinds of block a search is expected to meet, of each of which the best goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """What would be trained, and how long that would take by some steps of one network, on so many workers.

    `epochs` are those of each part; full trainings are as many as are compared. Networks differ in what an epoch of
    theirs takes by half or double.
    """

    study: str
    network: str
    images: Mapping[str, int]
    classes: int
    trials: int
    baselines: int
    rungs: tuple[int, ...]
    full_epochs: int
    epochs: Mapping[str, int]
    images_per_s: float
    epoch_s: float
    seconds: float
    workers: int

    def as_json(self) -> dict[str, Any]:
        """The document of `nas search --data --dry-run`."""
        return {**asdict(self), "rungs": list(self.rungs)}


def plan_of(search: DataSearch, workers: int, progress: OnProgress) -> DataPlan:
    """Train the network that would be the first for some steps, and count what would follow; nothing is recorded."""
    question = search.question
    course = question.course
    network = search.first()
    progress(Step(doing="timing some steps", note=network.name))
    training, _ = begin(network, search.teaching, epochs=course.rungs[0], seed=0)
    step_s = training.time_steps(STEPS)
    part = type(training.data.val)(
        images=training.data.val.images[:SCORED],
        labels=training.data.val.labels[:SCORED],
        names=training.data.val.names[:SCORED],
    )
    began = time.perf_counter()
    training.score(part)
    looked = (time.perf_counter() - began) / len(part) * len(training.data.val)
    epoch_s = step_s * training.batches.steps_per_epoch + looked
    kinds = len({kind_of(form.network) for form in search.forms})
    epochs = {
        "known": _in_rungs(len(search.forms), course.rungs, kinds),
        "searched": _in_rungs(question.trials, course.rungs, min(KINDS, question.trials)),
        "final": course.full_trainings * course.epochs,
    }
    return DataPlan(
        study=search.study,
        network=network.name,
        images=search.images,
        classes=len(search.classes),
        trials=question.trials,
        baselines=len(search.forms),
        rungs=course.rungs,
        full_epochs=course.epochs,
        epochs=epochs,
        images_per_s=training.batches.batch / step_s,
        epoch_s=epoch_s,
        seconds=sum(epochs.values()) * epoch_s / workers,
        workers=workers,
    )


def _in_rungs(count: int, rungs: tuple[int, ...], kinds: int) -> int:
    """The epochs of `count` networks in rungs: one in three goes on, and to the second the best of each kind."""
    total, left = 0, count
    for position, rung in enumerate(rungs):
        total += left * rung
        left = max(math.ceil(left / ONE_IN), min(left, kinds) if position == 0 else 0)
    return total
