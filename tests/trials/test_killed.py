from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from nas.runs import Tables
from nas.trials.studies import study_trials
from tests.trials.killed import killed_and_resumed, lines, repeats, search, start


def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    url, calls = f"sqlite:///{tmp_path}/killed.db", tmp_path / "calls"
    found, kills = killed_and_resumed(url, 30, calls, kills=3, seed=0, sleep=0.01)
    whole = search(f"sqlite:///{tmp_path}/whole.db", 30)
    assert kills >= 2
    assert found["trials"] == [[t.number, list(t.codes), "done", t.accuracy] for t in whole.trials]
    assert found["best"] == list(whole.best.codes)
    assert repeats(calls) <= kills and len(lines(calls)) <= 30 + kills


def test_a_trial_that_was_made_and_not_begun_is_the_next(tmp_path: Path) -> None:
    """Killed before its trial is through: the row is there, and its claim is of a process that is not."""
    url = f"sqlite:///{tmp_path}/trials.db"
    process = start(url, 3, tmp_path / "calls", sleep=600.0)
    while not lines(tmp_path / "calls"):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (pending,) = study_trials(Tables(url), "killed")
    assert pending.state == "pending"
    first, *_ = search(url, 3).trials
    assert (first.number, first.codes, first.state, first.reused) == (0, pending.codes, "done", False)


def test_an_interrupted_driver_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    url, calls = f"sqlite:///{tmp_path}/trials.db", tmp_path / "calls"
    process = start(url, 1000, calls, sleep=0.02)
    while len(lines(calls)) < 5:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    last = errors.strip().splitlines()[-1]
    assert "trials are kept, and" not in last and "of 1000 trials are kept; the same call goes on" in last
    assert "its study is killed" in last
    ended = [trial for trial in study_trials(Tables(url), "killed") if trial.state == "done"]
    assert len(ended) >= 4 and f"interrupted; {len(ended)} of 1000" in last


def test_a_killed_worker_costs_its_trial_nothing_but_time(tmp_path: Path) -> None:
    url, calls = f"sqlite:///{tmp_path}/trials.db", tmp_path / "calls"
    process = start(url, 12, calls, sleep=0.3, workers=2)
    while len(lines(calls)) < 3:
        time.sleep(0.01)
    (worker, *_) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
    os.kill(int(worker), signal.SIGKILL)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    trials = json.loads(out)["trials"]
    assert [trial[0] for trial in trials] == list(range(12)) and {trial[2] for trial in trials} == {"done"}
    # Killed between two calls it costs none; one that it was in the middle of is made again.
    assert len(lines(calls)) == 12 + repeats(calls) and repeats(calls) <= 1
