from __future__ import annotations

import itertools
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.errors import InputError
from nas.jobs.data_finals import Times, level_note
from nas.jobs.device_check import check_device, model_now
from nas.jobs.lut_build import TableRequest, build_table
from nas.jobs.search_run import SearchRequest, run_search
from nas.latency import device_home, load_latency
from nas.latency.day import LEVELS_FILE, read_looks
from nas.measure.plan import REFERENCE_NETWORK
from nas.progress import silent
from nas.runners.timing import Timing
from nas.space import known_network
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document
from tests.measure.devices import SimulatedRunner


class Slowed(SimulatedRunner):
    """A device that takes `factor` times as long as the one of a build."""

    factor = 1.0

    def _result(self, path: Path, rounds: int) -> Any:
        found = super()._result(path, rounds)
        return found.scaled(self.factor) if isinstance(found, Timing) else found


@pytest.fixture(scope="module")
def runner() -> Slowed:
    return Slowed()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, runner: Slowed) -> Any:
    """A workspace whose device `local` has a table."""
    workspace = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        simulate(patch, workspace, runner)
        patch.setattr("nas.jobs.device_check.find_runner", lambda home: runner)
        name = write_space(workspace, small_document())
        build_table(TableRequest(home=device_home("local"), space=name, budget_s=100.0), progress=lambda state: None)
        yield workspace


def test_the_level_is_told_and_applied(built: Path, runner: Slowed) -> None:
    home = device_home("local")
    runner.factor = 1.2
    found = check_device(home)
    assert found.now.level == pytest.approx(1.2, rel=0.01) and found.warnings == ()
    assert found.now.compared[0].network == REFERENCE_NETWORK
    kept = read_looks(home.folder / LEVELS_FILE)
    assert [one.level for one in kept] == [pytest.approx(1.2, rel=0.01)]
    model, now = model_now(home)
    assert now.level is not None and now.level == pytest.approx(1.2, rel=0.01)
    before = load_latency(home).estimate("mobilenetv2-1.0").mean_ms
    likely, _ = now.likely
    assert 1.15 < likely < now.level  # a look like another before it: drawn towards the table's level by its error
    assert model.estimate("mobilenetv2-1.0").mean_ms == pytest.approx(likely * before)
    assert len(read_looks(home.folder / LEVELS_FILE)) == 2
    assert 0.0 < model.level_sd < load_latency(home).level_sd
    record = found.as_json()
    assert record["device"] == "local" and record["reference"]["network"] == REFERENCE_NETWORK


def test_finalists_are_timed_at_the_speed_of_the_table(
    built: Path, runner: Slowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.jobs.data_finals.find_runner", lambda home: runner)
    home, networks = device_home("local"), [known_network("mobilenetv2-1.0"), known_network("squeezenet-1.1")]
    found: dict[float, list[float]] = {}
    for factor in (1.0, 1.3):
        runner.factor = factor
        times = Times(load_latency(home), home, silent)
        found[factor] = [one.mean_ms for one in times.of(networks) if one is not None]
        assert times.level == pytest.approx(factor, rel=0.01)
        note = level_note(times.level)
        assert (note is not None and "took 1.30 times as long" in note) == (factor == 1.3)
    assert found[1.3] == pytest.approx(found[1.0], rel=0.01) and len(found[1.0]) == 2


def test_another_chip_than_the_tables_is_told(built: Path, runner: Slowed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "chip", "another")
    kept = read_looks(device_home("local").folder / LEVELS_FILE)
    (warning,) = check_device(device_home("local")).warnings
    assert "are of chip 'numbers', but now it is 'another'" in warning
    assert read_looks(device_home("local").folder / LEVELS_FILE) == kept


def test_a_reference_that_strays_is_told(built: Path, runner: Slowed, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = itertools.cycle((1.0, 1.3))
    time = runner.time

    def straying(job: Any) -> Any:
        runner.factor = next(turns)
        return time(job)

    monkeypatch.setattr(runner, "time", straying)
    kept = read_looks(device_home("local").folder / LEVELS_FILE)
    (warning,) = check_device(device_home("local")).warnings
    assert "stray by 14 %" in warning and "let it cool" in warning
    assert read_looks(device_home("local").folder / LEVELS_FILE) == kept


def test_without_a_table_nothing_is_compared(built: Path, runner: Slowed, tmp_path: Path) -> None:
    home = device_home("local")
    bare = replace(home, folder=tmp_path, timings=tmp_path / "none.db")
    found = check_device(bare)
    assert found.now.level is None and found.as_json()["level"] is None
    with pytest.raises(InputError, match="must have a table.csv"):
        model_now(bare)


def test_a_damaged_file_of_timings_keeps_no_device_from_being_looked_at(
    built: Path, runner: Slowed, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\0" + bytes(100))
    assert check_device(replace(device_home("local"), timings=broken)).warnings == ()
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    assert check_device(replace(device_home("local"), timings=empty)).warnings == ()


def test_a_device_out_of_reach_is_refused(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from nas.runners.find import find_runner

    with pytest.raises(InputError, match="reach must be local, ssh, adb or ios"):
        find_runner(device_home("iphone12"))


def test_a_search_now_says_so_and_is_not_verified(built: Path) -> None:
    request = SearchRequest(device="local", target_ms=5.0, space="small", now=True, no_shrink=True)
    assert request.command().endswith("--no-shrink --now")
    with pytest.raises(InputError, match="--verify holds times to the table's speed, but came with --now"):
        run_search(replace(request, verify=True))
