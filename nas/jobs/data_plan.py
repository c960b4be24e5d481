"""What a search on a user's images would do, and how long it would take."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.data.threads import cores
from nas.jobs.data_course import Course
from nas.jobs.data_search import DataSearch
from nas.jobs.data_space import kind_of
from nas.jobs.trained import Teaching, begin
from nas.progress import OnProgress, Step
from nas.space import Architecture
from nas.trials.rungs import ONE_IN

STEPS, SCORED = 8, 250
"""How many steps, and how many images that are looked at, an epoch is timed by."""

KINDS = 5
"""So many kinds of block a search is expected to meet, of each of which the best goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """What would be trained, and how long that would take by some steps of one network, on so many workers.

    `epochs` are those of each part; full trainings are as many as are compared. An epoch takes `epoch_s` in rungs and
    `full_epoch_s` in full trainings, which use all branches. Networks differ in that by half or double.
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
    full_epoch_s: float
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
    teaching, full = search.teaching, replace(search.teaching, branches=None)
    with _threads(search.where.threads):
        epoch_s, images_per_s = _timed(network, teaching, course.rungs[0])
        full_epoch_s = epoch_s if full == teaching else _timed(network, full, course.epochs)[0]
    kinds = len({kind_of(form.network) for form in search.forms})
    epochs = {
        "known": _in_rungs(len(search.forms), course.rungs, kinds),
        "searched": _in_rungs(question.trials, course.rungs, min(KINDS, question.trials)),
        "final": course.full_trainings * course.epochs,
    }
    # More processes of this machine than it has cores share these.
    at_once = workers if search.where.ray is not None else min(workers, cores())
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
        images_per_s=images_per_s,
        epoch_s=epoch_s,
        full_epoch_s=full_epoch_s,
        seconds=_rung_epochs(epochs, course, at_once) * epoch_s
        + course.in_a_row(at_once) * course.epochs * full_epoch_s,
        workers=workers,
    )


def _timed(network: Architecture, teaching: Teaching, epochs: int) -> tuple[float, float]:
    """The seconds of an epoch, by some steps and a look at some images; images a second."""
    training, _ = begin(network, teaching, epochs=epochs, seed=0)
    step_s, val = training.time_steps(STEPS), training.data.val
    part = type(val)(images=val.images[:SCORED], labels=val.labels[:SCORED], names=val.names[:SCORED])
    began = time.perf_counter()
    training.score(part)
    looked = (time.perf_counter() - began) / len(part) * len(val)
    return step_s * training.batches.steps_per_epoch + looked, training.batches.batch / step_s


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads inside the block; None: as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rung_epochs(epochs: Mapping[str, int], course: Course, at_once: int) -> float:
    """The epochs in rungs that come one after the other, with so many trainings at once: a network goes through its
    rungs in turn, however many workers there are."""
    parts = (epochs["known"], epochs["searched"])
    return sum(max(part / at_once, min(part, sum(course.rungs))) for part in parts)


def _in_rungs(count: int, rungs: tuple[int, ...], kinds: int) -> int:
    """The epochs of `count` networks in rungs: one in three goes on, and to the second the best of each kind."""
    total, left = 0, count
    for position, rung in enumerate(rungs):
        total += left * rung
        left = max(math.ceil(left / ONE_IN), min(left, kinds) if position == 0 else 0)
    return total
