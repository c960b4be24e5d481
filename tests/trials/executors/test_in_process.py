from __future__ import annotations

from nas.testing import evaluators
from nas.testing.executors import ExecutorConformance, job
from nas.trials.executors.in_process import InProcess


class TestInProcess(ExecutorConformance):
    def start(self, slots: int) -> InProcess:
        return InProcess()


def test_with_no_time_at_all_nothing_is_begun() -> None:
    executor = InProcess()
    executor.submit(job(evaluators.hangs))
    assert list(executor.wait(0.0)) == []
