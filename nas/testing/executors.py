"""Executors: one with a clock of its own, and what each must do."""

from __future__ import annotations

import heapq
import math
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from nas.space.codes import Point
from nas.testing import evaluators
from nas.trials.evaluators import Function, read_evaluator
from nas.trials.executors.protocol import Executor, Found, Job, Loss, Outcome, over_time
from nas.trials.executors.work import do


class Simulated:
    """An executor whose jobs take as long as `seconds` says, by a clock that moves when it is waited for.

    `loses` says of a job and of how often it was lost before what is lost with it, at half of its time. The evaluator
    is called when the job ends; one that takes forever never is.
    """

    def __init__(
        self,
        slots: int,
        *,
        seconds: Callable[[Job], float] = lambda job: 1.0,
        loses: Callable[[Job, int], Loss | None] = lambda job, before: None,
    ) -> None:
        self.slots, self.now, self.most = slots, 0.0, 0
        self._seconds, self._loses = seconds, loses
        self._lost: Counter[int] = Counter()
        self._order = count()
        self._under_way: list[tuple[float, int, Job, Loss | None]] = []

    def submit(self, job: Job) -> None:
        """Begin a job; `AssertionError` where there is no room for it."""
        lost = self._loses(job, self._lost[job.number])
        self._lost[job.number] += lost is not None
        ends = self.now + self._seconds(job) * (0.5 if lost else 1.0)
        if job.limit_s is not None:
            ends = min(ends, self.now + job.limit_s)
        heapq.heappush(self._under_way, (ends, next(self._order), job, lost))
        self.most = max(self.most, len(self._under_way))
        assert len(self._under_way) <= self.slots

    def wait(self, timeout_s: float | None = None) -> Sequence[Outcome]:
        """Move the clock to the next end, or by `timeout_s`."""
        if not self._under_way:
            return []
        ends = self._under_way[0][0]
        if timeout_s is not None and ends > self.now + timeout_s:
            self.now += timeout_s
            return []
        assert math.isfinite(ends)
        self.now = ends
        _, _, job, lost = heapq.heappop(self._under_way)
        if lost is not None:
            return [Outcome(job=job, lost=lost)]
        if job.limit_s is not None and self._seconds(job) > job.limit_s:
            return [Outcome(job=job, found=Found(reason=over_time(job.limit_s), seconds=job.limit_s, worker="sim"))]
        found = do(job.evaluator.function, job.point, epochs=job.epochs, seed=job.seed, load=job.load, save=job.save)
        return [Outcome(job=job, found=found)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._under_way.clear()


def job(function: Function, number: int = 0, **fields: Any) -> Job:
    """A job for a point of codes: the digits of `number`."""
    genes = {"tens": number // 10, "ones": number % 10}
    point = Point(code=tuple(genes.values()), genes=genes)
    return Job(number=number, evaluator=read_evaluator(function), point=point, **fields)


class ExecutorConformance:
    """The tests. `start` must make an executor of at least `slots` slots; `patience_s` is how long a job may take to
    start at the most."""

    patience_s = 60.0

    @abstractmethod
    def start(self, slots: int) -> AbstractContextManager[Executor]:
        """An executor to test."""

    def outcomes(self, executor: Executor, jobs: Sequence[Job]) -> dict[int, Outcome]:
        """What becomes of `jobs`, as many at once as there is room for; each has one outcome."""
        waiting, found = list(jobs), dict[int, Outcome]()
        under_way = 0
        while waiting or under_way:
            while waiting and under_way < executor.slots:
                executor.submit(waiting.pop(0))
                under_way += 1
            for outcome in executor.wait():
                assert outcome.job.number not in found
                found[outcome.job.number] = outcome
                under_way -= 1
        return found

    def test_every_job_has_one_outcome_which_is_its_own(self) -> None:
        with self.start(2) as executor:
            found = self.outcomes(executor, [job(evaluators.by_digits, number) for number in range(12, 20)])
        for number, outcome in found.items():
            assert outcome.found is not None and outcome.lost is None and outcome.found.reason is None
            assert outcome.found.accuracy == pytest.approx((1 + number % 10) / 100)
            assert outcome.found.worker and outcome.found.seconds >= 0.0

    def test_faults_of_evaluators_are_results(self) -> None:
        with self.start(2) as executor:
            jobs = [job(function, number) for number, function in enumerate([*evaluators.FAULTS, evaluators.fine])]
            found = self.outcomes(executor, jobs)
        results = [found[number].found for number in range(len(found))]
        for result, words in zip(results, evaluators.FAULTS.values(), strict=False):
            assert result is not None and result.accuracy is None
            with pytest.raises(ValueError, match=words):
                raise ValueError(result.reason)
        assert results[-1] is not None and results[-1].accuracy == 0.5

    def test_a_job_over_its_time_limit_fails_and_others_go_on(self) -> None:
        with self.start(2) as executor:
            self.outcomes(executor, [job(evaluators.fine)])  # whatever has to start has started
            began = time.monotonic()
            jobs = [job(evaluators.hangs, 1, limit_s=1.5), job(evaluators.fine, 2), job(evaluators.fine, 3)]
            found = self.outcomes(executor, jobs)
            assert time.monotonic() - began < self.patience_s
        late = found[1].found
        assert late is not None and late.accuracy is None
        assert late.reason == "it must end within its time limit of 1.5 s, but did not"
        assert [found[number].found.accuracy for number in (2, 3)] == [0.5, 0.5]  # type: ignore[union-attr]

    def test_nothing_is_waited_for_where_nothing_is_under_way(self) -> None:
        with self.start(1) as executor:
            assert list(executor.wait()) == [] and list(executor.wait(60.0)) == []
            assert executor.slots >= 1

    def test_a_job_goes_on_from_a_checkpoint_and_leaves_one(self, tmp_path: Path) -> None:
        first, second = str(tmp_path / "a" / "1"), str(tmp_path / "a" / "3")
        with self.start(1) as executor:
            found = self.outcomes(executor, [job(evaluators.goes_on, 1, epochs=1, save=first)])[1].found
            assert found is not None and (found.accuracy, found.checkpoint) == (0.01, first)
            later = job(evaluators.goes_on, 2, epochs=3, load=first, save=second)
            found = self.outcomes(executor, [later])[2].found
        assert found is not None and (found.accuracy, found.checkpoint) == (0.03, second)
        assert (tmp_path / "a" / "3").read_text() == "3"


class ElsewhereConformance(ExecutorConformance):
    """What executors must do besides whose jobs run in other processes."""

    def test_a_job_whose_process_dies_is_lost_and_others_go_on(self) -> None:
        with self.start(2) as executor:
            found = self.outcomes(executor, [job(evaluators.dies, 1), job(evaluators.fine, 2), job(evaluators.fine, 3)])
        assert (found[1].found, found[1].lost) == (None, "worker")
        assert [found[number].found.accuracy for number in (2, 3)] == [0.5, 0.5]  # type: ignore[union-attr]

    def test_networks_arrive_as_they_are(self) -> None:
        from dataclasses import replace

        from nas.space import load_architecture

        network = replace(load_architecture("mobilenetv2-0.5"), genes={"width": 0.5})
        asked = Job(number=0, evaluator=read_evaluator(evaluators.by_layers), point=network)
        with self.start(1) as executor:
            found = self.outcomes(executor, [asked])[0].found
        assert found is not None and found.accuracy == pytest.approx(len(network.layers) / 1000)

    def test_an_evaluator_that_nothing_finds_elsewhere_is_refused(self) -> None:
        with self.start(1) as executor, pytest.raises(Exception, match='give evaluate="module:function"'):
            executor.submit(job(lambda points: [0.5]))
