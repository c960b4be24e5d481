"""Eight processes on one search, in a real PostgreSQL and in a fresh file of SQLite; the server goes and comes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from nas.runs import Tables
from nas.testing.trials import TrialStoreConformance
from nas.trials.records import Trial
from nas.trials.studies import study_trials
from tests.runs.postgresql import Server, running
from tests.trials.killed import lines, repeats, start

Driver = subprocess.Popen[str]
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def storage(postgresql: Server) -> str:
    return postgresql.database(f"trials{next(_NUMBERS)}")


@pytest.mark.slow
class TestPostgreSQL(TrialStoreConformance):
    @pytest.fixture
    def storage(self, storage: str) -> str:
        return storage


def together(url: str, calls: Path, *, processes: int, budget: int, sleep: float = 0.0) -> list[Trial]:
    """The trials of one search that several processes make; each of them must end well, with the same answer."""
    drivers = [start(url, budget, calls, sleep=sleep) for _ in range(processes)]
    return ended(url, drivers)


def ended(url: str, drivers: list[Driver]) -> list[Trial]:
    """The trials, once all drivers have ended."""
    said = [driver.communicate(timeout=300) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0] * len(drivers), [errors[-800:] for _, errors in said]
    assert len({json.dumps(json.loads(out)) for out, _ in said}) == 1
    return study_trials(Tables(url), "killed")


def check(trials: list[Trial], budget: int) -> None:
    assert [trial.number for trial in trials] == list(range(budget))
    assert {trial.state for trial in trials} == {"done"} and len({trial.codes for trial in trials}) == budget


@pytest.mark.slow
def test_eight_processes_share_one_search(storage: str, tmp_path: Path) -> None:
    trials = together(storage, tmp_path / "calls", processes=8, budget=120)
    check(trials, 120)
    assert len(lines(tmp_path / "calls")) == 120 and repeats(tmp_path / "calls") == 0
    assert len({trial.worker for trial in trials}) > 1


def test_eight_processes_begin_on_a_fresh_file(tmp_path: Path) -> None:
    trials = together(f"sqlite:///{tmp_path}/trials.db", tmp_path / "calls", processes=8, budget=24)
    check(trials, 24)
    assert len(lines(tmp_path / "calls")) == 24 and repeats(tmp_path / "calls") == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_starts_anew_is_waited_for(postgresql: Server, storage: str, tmp_path: Path, mode: str) -> None:
    calls = tmp_path / "calls"
    drivers = [start(storage, 80, calls, sleep=0.05) for _ in range(4)]
    while len(lines(calls)) < 10:
        time.sleep(0.01)
    postgresql.restart(mode, down_s=5.0)
    check(ended(storage, drivers), 80)
    assert repeats(calls) == 0
