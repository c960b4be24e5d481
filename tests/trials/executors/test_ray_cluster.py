"""Ray on one node of two processes, started once for all tests here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas
from nas.errors import InputError, NasError
from nas.testing import evaluators
from nas.testing.executors import ElsewhereConformance, job
from nas.trials.executors.ray_cluster import RayCluster
from tests.extras import needs
from tests.trials.by_hand import SPACE, TARGET_MS, Sum, accuracy_of, evaluate


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A cluster of this process; executors that are made meanwhile use it."""
    needs("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("DIES", str(tmp_path_factory.mktemp("marks") / "dies"))  # workers get it as they start
        with RayCluster(at_most=2) as found:
            yield found


@pytest.mark.usefixtures("cluster")
class TestRayCluster(ElsewhereConformance):
    def start(self, slots: int) -> RayCluster:
        return RayCluster(at_most=slots)

    def test_there_is_room_for_as_many_jobs_as_cores(self) -> None:
        assert RayCluster().slots == 2
        assert RayCluster(cpus=2.0).slots == 1
        assert RayCluster(gpus=1.0).slots == 1  # none is there, but may come

    def test_a_job_fits_into_one_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        machines = [(True, {"CPU": 3.0, "GPU": 1.0}), (True, {"CPU": 3.0}), (False, {"CPU": 64.0}), (True, {})]
        nodes = [{"Alive": alive, "Resources": has} for alive, has in machines]
        monkeypatch.setattr("ray.nodes", lambda: nodes)
        assert [RayCluster(cpus=cpus).slots for cpus in (1.0, 2.0, 0.5, 4.0)] == [6, 2, 12, 1]
        assert RayCluster(cpus=2.0, gpus=0.25).slots == 1 and RayCluster(cpus=0.0, gpus=0.25).slots == 4
        assert RayCluster(cpus=1.0, at_most=4).slots == 4

    def test_the_time_of_a_job_begins_when_it_runs(self) -> None:
        """Four jobs of a second, for which the cluster has room one after another: the last one waits for three."""
        with RayCluster(cpus=2.0, at_most=4) as executor:
            jobs = [job(evaluators.rests, number, limit_s=2.5) for number in range(4)]
            for one in jobs:
                executor.submit(one)
            found = [outcome for _ in jobs for outcome in executor.wait()]
        assert [outcome.found and outcome.found.accuracy for outcome in found] == [0.5] * 4

    def test_what_is_said_meanwhile_goes_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        with self.start(1):
            print("(raylet) A machine was lost.")  # noqa: T201
        print("{}")  # noqa: T201
        assert capsys.readouterr() == ("{}\n", "(raylet) A machine was lost.\n")

    def test_a_job_of_which_the_module_is_nowhere_says_so(self) -> None:
        with self.start(1) as executor:
            asked = job(evaluators.fine)
            object.__setattr__(asked.evaluator, "reference", "no_such_module:score")
            found = self.outcomes(executor, [asked])[0].found
        assert found is not None and found.reason is not None
        assert "no_such_module must be a module that can be imported" in found.reason


@pytest.mark.usefixtures("cluster")
def test_a_search_on_ray_loses_a_worker_and_no_trial(tmp_path: Path) -> None:
    marker = Path(os.environ["DIES"])
    marker.touch()
    result = nas.search(
        SPACE, latency=Sum(), evaluate=evaluate, budget=10, target_ms=TARGET_MS, ray="local", workers=2,
        storage=f"sqlite:///{tmp_path}/trials.db", asker="random", noisy=False,
    )  # fmt: skip
    assert not marker.exists()  # a worker died of its trial, and the trial was done by another
    assert [trial.number for trial in result.trials] == list(range(10)) and result.failed == 0
    for trial in result.trials:
        assert trial.state == "done" and trial.accuracy == accuracy_of(SPACE.decode(trial.codes))
        assert not trial.worker.endswith(f":{os.getpid()}")
    assert result.best.accuracy == max(trial.accuracy or 0.0 for trial in result.trials)


def test_a_cluster_that_does_not_answer_is_named(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)

    def nobody(**options: object) -> None:
        raise ConnectionError("no cluster\nat this address")

    monkeypatch.setattr("ray.init", nobody)
    with pytest.raises(NasError, match=r"must answer at 10.0.0.1:6379, but: no cluster at this address; start it"):
        RayCluster("10.0.0.1:6379")


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="Ray must be installed"):
        RayCluster()


def test_nothing_is_written_into_the_home(cluster: RayCluster) -> None:
    assert list(Path.home().iterdir()) == []
