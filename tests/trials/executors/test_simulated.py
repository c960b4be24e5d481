from __future__ import annotations

import math

from nas.testing import evaluators
from nas.testing.executors import ExecutorConformance, Simulated, job
from nas.trials.executors.protocol import Job


def _seconds(one: Job) -> float:
    return math.inf if one.evaluator.function is evaluators.hangs else 1.0


class TestSimulated(ExecutorConformance):
    def start(self, slots: int) -> Simulated:
        return Simulated(slots, seconds=_seconds)


def test_jobs_end_in_the_order_of_their_times() -> None:
    executor = Simulated(3, seconds=lambda one: {1: 5.0, 2: 2.0, 3: 3.0}[one.number])
    for number in (1, 2, 3):
        executor.submit(job(evaluators.fine, number))
    ended = []
    for _ in range(3):
        ended += [(outcome.job.number, executor.now) for outcome in executor.wait()]
    assert ended == [(2, 2.0), (3, 3.0), (1, 5.0)]


def test_a_wait_that_is_too_short_moves_the_clock_alone() -> None:
    executor = Simulated(1, seconds=lambda one: 3.0)
    executor.submit(job(evaluators.fine))
    assert list(executor.wait(2.0)) == [] and executor.now == 2.0
    assert len(executor.wait(2.0)) == 1 and executor.now == 3.0


def test_a_job_is_lost_at_half_of_its_time() -> None:
    executor = Simulated(1, seconds=lambda one: 4.0, loses=lambda one, before: None if before else "worker")
    executor.submit(job(evaluators.fine))
    (outcome,) = executor.wait()
    assert (outcome.lost, executor.now) == ("worker", 2.0)
    executor.submit(outcome.job)
    (outcome,) = executor.wait()
    assert outcome.found is not None and (outcome.found.accuracy, executor.now) == (0.5, 6.0)
