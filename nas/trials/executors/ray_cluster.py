"""Jobs as tasks of a Ray cluster: this machine alone, or many."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from nas.errors import InputError, NasError
from nas.installed import extra_remedy
from nas.trials.executors.protocol import Found, Job, Outcome, over_time
from nas.trials.executors.work import found_of, perform, request_text

LOCAL = "local"
_LOOK_SECONDS = 1.0


class RayCluster:
    """Tasks of the cluster at `address`, or of one that is started on this machine for "local" (see
    `nas.trials.executors.protocol.Executor`).

    Each job has `cpus` cores and `gpus` GPUs; `at_most` jobs are under way (None: as many as there is room for). Where
    a machine of the cluster is lost, its jobs are. `InputError` where Ray is not installed, `NasError` where no cluster
    answers. Workers run at a low priority (Ray's own rule), so no latency is to be timed in them.
    """

    def __init__(
        self, address: str = LOCAL, *, cpus: float = 1.0, gpus: float = 0.0, at_most: int | None = None
    ) -> None:
        self._ray = _ray()
        self._cpus, self._gpus, self._at_most = cpus, gpus, at_most
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._connect(address)
        self._task = self._ray.remote(_performed).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD"
        )
        self._under_way: dict[Any, tuple[Job, float | None]] = {}
        self._stdout = contextlib.ExitStack()

    @property
    def slots(self) -> int:
        """How many jobs the machines that are there now have room for, one at the least: others may come."""
        wanted = {name: each for name, each in (("CPU", self._cpus), ("GPU", self._gpus)) if each}
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        # A job fits into one machine: what two of them have left over makes no room together.
        rooms = [min(int(has.get(name, 0.0) / each) for name, each in wanted.items()) for has in machines if wanted]
        room = max(1, sum(rooms)) if wanted else sys.maxsize
        return room if self._at_most is None else min(room, self._at_most)

    def submit(self, job: Job) -> None:
        """Hand a job to the cluster. `InputError` for an evaluator that no other process finds."""
        self._under_way[self._task.remote(request_text(job))] = (job, None)

    def wait(self, timeout_s: float | None = None) -> Sequence[Outcome]:
        """What became of jobs (see `Executor.wait`)."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self._under_way:
            left = _LOOK_SECONDS if until is None else min(_LOOK_SECONDS, max(0.0, until - time.monotonic()))
            under_way = list(self._under_way)
            ready, _ = self._ray.wait(under_way, num_returns=1, timeout=left)
            if ready:  # all that are ready, not the first alone
                ready, _ = self._ray.wait(under_way, num_returns=len(under_way), timeout=0)
            outcomes = [*filter(None, map(self._heard, ready)), *self._late()]
            if outcomes or (until is not None and time.monotonic() >= until):
                return outcomes
        return []

    def __enter__(self) -> Self:
        # Ray prints what it has to say of lost machines, whatever it is told; results alone go to stdout.
        self._stdout.enter_context(contextlib.redirect_stdout(sys.stderr))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way:
            self._ray.cancel(task, force=True)
        self._under_way.clear()
        if self._is_ours:
            self._ray.shutdown()  # this process's connection, and what it started; never another's cluster
        self._stdout.close()

    def _heard(self, task: Any) -> Outcome | None:
        """What became of a job that has said something; None where that was that it runs now."""
        job, _ = self._under_way.pop(task)
        try:
            answer = self._ray.get(next(task))
            if answer is not None:
                return Outcome(job=job, found=found_of(answer))
            self._under_way[task] = (job, time.monotonic())
            return None
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError):
            return Outcome(job=job, lost="worker")
        except self._ray.exceptions.RayTaskError as error:
            # An evaluator's faults are results; this is of the cluster, such as a machine without nas.
            return Outcome(job=job, found=Found(reason=f"its machine could not do it: {error.cause or error}"))
        except self._ray.exceptions.RayError:
            return Outcome(job=job, lost="machine")

    def _late(self) -> list[Outcome]:
        """End the jobs that are over their time limit; one that waits for a machine has not begun."""
        now, found = time.monotonic(), []
        for task, (job, began) in list(self._under_way.items()):
            if job.limit_s is not None and began is not None and now > began + job.limit_s:
                self._ray.cancel(task, force=True)
                del self._under_way[task]
                reason = over_time(job.limit_s)
                found.append(Outcome(job=job, found=Found(reason=reason, seconds=now - began, worker="ray")))
        return found

    def _connect(self, address: str) -> None:
        options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if address == LOCAL:
            cores = None if self._at_most is None else max(1, round(self._at_most * self._cpus))
            options |= {
                "num_cpus": cores,
                "include_dashboard": False,
                # Else Ray binds the machine's own address, which others reach.
                "_node_ip_address": "127.0.0.1",
            }
        try:
            self._ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise NasError(
                f"a Ray cluster must answer at {address}, but: {' '.join(str(error).split())[:300]}; start it (`ray"
                " start --head`), or take --ray local."
            ) from error


def _performed(request: str) -> Iterator[str | None]:
    """None once it runs, which may be long after it was handed to the cluster; then what `perform` says."""
    yield None
    yield perform(request)


def _ray() -> Any:
    # Else 2.60 writes a token into the user's home; a cluster that wants tokens says so itself.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(f"Ray must be installed for that, but is not; {extra_remedy('ray')}.") from error
    return ray
