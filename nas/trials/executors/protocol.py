"""What an executor does: it takes jobs, and says what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from nas.trials.evaluators import Evaluator


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One evaluation of one point. `number` is its trial's; `load` is the checkpoint to go on from, `save` where to
    leave one (paths that all workers share, or None); `limit_s` the seconds after which it has failed."""

    number: int
    evaluator: Evaluator
    point: Any
    epochs: int = 0
    seed: int = 0
    load: str | None = None
    save: str | None = None
    limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a job found: an accuracy, or the `reason` why there is none."""

    accuracy: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    worker: str = ""
    checkpoint: str | None = None


Loss = Literal["worker", "machine"]
"""What was lost with a job: the process that did it, for which the job may be to blame, or a whole machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job: what it `found`, or what was `lost` with it before it had found anything."""

    job: Job
    found: Found | None = None
    lost: Loss | None = None


class Executor(Protocol):
    """Runs jobs; a context manager, which ends what still runs when it is left.

    It inherits `nas.testing.executors.ExecutorConformance`.
    """

    @property
    def slots(self) -> int:
        """How many jobs may be under way at once; it may change, as machines come and go."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; no more than `slots` are under way."""
        ...

    def wait(self, timeout_s: float | None = None) -> Sequence[Outcome]:
        """What became of jobs since the last call: at least one, unless `timeout_s` passes or none is under way."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def over_time(limit_s: float) -> str:
    """Why a job failed that took longer than it may."""
    return f"it must end within its time limit of {limit_s:g} s, but did not"
