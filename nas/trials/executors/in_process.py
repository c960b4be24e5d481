"""Jobs one after another, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from nas.trials.executors.protocol import Found, Job, Outcome, over_time
from nas.trials.executors.work import do, worker_name


class InProcess:
    """Does a job when it is waited for (see `nas.trials.executors.protocol.Executor`).

    With a time limit the job runs in a thread of its own, which nothing can end: one that hangs is left behind.
    """

    slots = 1

    def __init__(self) -> None:
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._waiting.append(job)

    def wait(self, timeout_s: float | None = None) -> Sequence[Outcome]:
        """Do the oldest job, however long it takes; with no time at all none is begun."""
        if not self._waiting or timeout_s == 0.0:
            return []
        job = self._waiting.pop(0)
        return [Outcome(job=job, found=_done(job) if job.limit_s is None else _within(job, job.limit_s))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()


def _done(job: Job) -> Found:
    return do(job.evaluator.call(), job.point, epochs=job.epochs, seed=job.seed, load=job.load, save=job.save)


def _within(job: Job, limit_s: float) -> Found:
    began, found = time.perf_counter(), list[Found]()
    thread = threading.Thread(target=lambda: found.append(_done(job)), name=f"trial {job.number}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if found:
        return found[0]
    return Found(reason=over_time(limit_s), seconds=time.perf_counter() - began, worker=worker_name())
