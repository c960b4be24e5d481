"""Jobs in other processes of this machine, each fresh, with one BLAS thread."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from nas.trials.executors.protocol import Found, Job, Outcome, over_time
from nas.trials.executors.work import found_of, request_text

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    """A process, the job that it does, when that began, and what it has said of its result so far."""

    process: subprocess.Popen[bytes]
    job: Job | None = None
    began: float = 0.0
    said: bytes = field(default=b"")


class Processes:
    """At most `slots` processes (see `nas.trials.executors.protocol.Executor`); one starts when it is needed, and does
    job after job. A job over its time limit is ended with its process."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._outcomes: list[Outcome] = []

    @property
    def processes(self) -> tuple[int, ...]:
        """The numbers of the processes that there are."""
        return tuple(worker.process.pid for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Hand a job to an idle process, or to a new one. `InputError` for an evaluator that no other process finds."""
        request = f"{request_text(job)}\n".encode()
        worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
        worker.job, worker.began, worker.said = job, time.monotonic(), b""
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died while it was idle; reading from it says so
            worker.process.stdin.write(request)
            worker.process.stdin.flush()

    def wait(self, timeout_s: float | None = None) -> Sequence[Outcome]:
        """What became of jobs (see `Executor.wait`)."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._outcomes and any(worker.job for worker in self._workers):
            now = time.monotonic()
            left = [] if until is None else [until - now]
            left += [w.began + w.job.limit_s - now for w in self._workers if w.job and w.job.limit_s is not None]
            for key, _ in self._selector.select(max(0.0, min(left)) if left else None):
                self._read(key.data)
            self._end_late()
            if until is not None and time.monotonic() >= until:
                break
        found, self._outcomes = self._outcomes, []
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._workers):
            self._end(worker)
        self._selector.close()

    def _start(self) -> _Worker:
        environment = os.environ | dict.fromkeys(_THREADS, "1")
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-m", "nas.trials.executors.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        worker = _Worker(process=process)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    def _read(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        part = os.read(worker.process.stdout.fileno(), 1 << 16)
        worker.said += part
        if worker.said.endswith(b"\n"):
            job, worker.job = worker.job, None
            assert job is not None  # a worker speaks when it is asked
            self._outcomes.append(Outcome(job=job, found=found_of(worker.said.decode())))
        elif not part:
            self._end(worker)
            if worker.job is not None:
                self._outcomes.append(Outcome(job=worker.job, lost="worker"))

    def _end_late(self) -> None:
        """End the jobs that are over their time limit."""
        now = time.monotonic()
        for worker in list(self._workers):
            job = worker.job
            if job is None or job.limit_s is None or now < worker.began + job.limit_s:
                continue
            self._end(worker)
            found = Found(reason=over_time(job.limit_s), seconds=now - worker.began, worker=_name(worker))
            self._outcomes.append(Outcome(job=job, found=found))

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        assert worker.process.stdin is not None and worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        with contextlib.suppress(ProcessLookupError):  # what it started ends with it
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        worker.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()


def _name(worker: _Worker) -> str:
    return f"process {worker.process.pid}"
