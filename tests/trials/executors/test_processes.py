from __future__ import annotations

import os
import time

from nas.files import is_alive
from nas.testing import evaluators
from nas.testing.executors import ElsewhereConformance, job
from nas.trials.executors.processes import Processes


class TestProcesses(ElsewhereConformance):
    def start(self, slots: int) -> Processes:
        return Processes(slots)

    def test_processes_are_used_again_and_end_with_the_executor(self) -> None:
        with self.start(2) as executor:
            found = self.outcomes(executor, [job(evaluators.fine, number) for number in range(8)])
            workers = {outcome.found.worker for outcome in found.values() if outcome.found}
            assert 1 <= len(workers) <= 2
            executor.submit(job(evaluators.hangs))
        numbers = [int(worker.rpartition(":")[2]) for worker in workers]
        assert os.getpid() not in numbers and not any(map(is_alive, numbers))

    def test_jobs_run_at_the_same_time(self) -> None:
        with self.start(2) as executor:
            self.outcomes(executor, [job(evaluators.rests, number) for number in range(2)])  # both have started
            began = time.monotonic()
            done = self.outcomes(executor, [job(evaluators.rests, number) for number in range(4)])
            took_s = time.monotonic() - began
        assert took_s < sum(outcome.found.seconds for outcome in done.values() if outcome.found)

    def test_a_process_has_one_thread_for_its_sums(self) -> None:
        with self.start(1) as executor:
            found = self.outcomes(executor, [job(threads)])[0].found
        assert found is not None and found.accuracy == 0.01


def threads(points: list[object]) -> list[float]:
    return [int(os.environ["OPENBLAS_NUM_THREADS"]) / 100]
