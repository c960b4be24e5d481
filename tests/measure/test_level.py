from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from nas.latency import load_latency
from nas.latency.day import LevelSpread
from nas.measure.level import (
    LEAST_PROCESSES,
    MOST_PROCESSES,
    OTHERS,
    WANTED_ERROR,
    Compared,
    Now,
    look_now,
    usual_times,
)
from nas.measure.plan import REFERENCE_NETWORK
from nas.measure.store import StoredTiming
from nas.runners.timing import Summary
from nas.space import known_network
from tests.measure.devices import SimulatedRunner, simulate_clock_and_files, stopwatch

AGREEING = 4
"""So many processes tell the level where they agree, and processes are usually 2 % apart: 2 % by sqrt(4 / 7 / 4)."""


def test_the_level_is_the_median_over_the_networks() -> None:
    now = Now(
        reference_ms=(2.0, 2.1, 2.2),
        compared=tuple(
            Compared(network=n, measured_ms=ms, table_ms=1.0) for n, ms in (("a", 1.2), ("b", 0.5), ("c", 1.1))
        ),
    )
    assert now.level == pytest.approx(1.1)


def test_the_reference_counts_as_five_others() -> None:
    others = tuple(Compared(network=str(i), measured_ms=1.2, table_ms=1.0) for i in range(4))
    reference = Compared(network=REFERENCE_NETWORK, measured_ms=1.1, table_ms=1.0)
    assert Now(reference_ms=(1.1,), compared=(*others, reference)).level == pytest.approx(1.1)


def test_the_reference_strays_by_the_deviation_of_its_logarithm() -> None:
    times = (2.0, 2.1, 2.2)
    assert Now(reference_ms=times, compared=()).stray == pytest.approx(statistics.stdev(map(math.log, times)))
    assert Now(reference_ms=(2.0,), compared=()).stray == 0.0


def test_a_network_that_was_not_timed_for_the_table_counts_where_no_other_does() -> None:
    guessed = Compared(network="a", measured_ms=3.0, table_ms=1.0, was_timed=False)
    known = Compared(network="b", measured_ms=1.1, table_ms=1.0)
    assert Now(reference_ms=(1.0,), compared=(guessed, known)).level == pytest.approx(1.1)
    assert Now(reference_ms=(1.0,), compared=(guessed,)).level == pytest.approx(3.0)


def test_the_levels_error_is_that_of_a_median_of_so_many_ratios() -> None:
    """Two ratios' worth of 2 % beside the own ones; with four that agree, sqrt(2 * 0.02² / 5 / 4) times 1.25."""
    compared = tuple(Compared(network=str(i), measured_ms=1.1, table_ms=1.0) for i in range(4))
    now = Now(reference_ms=(1.0,), compared=compared, usual=LevelSpread())
    assert now.error == pytest.approx(1.25 * (2 * 0.02**2 / 5 / 4) ** 0.5)
    assert now.interval is not None and now.interval[1] == pytest.approx(1.1 * 2.718281828 ** (1.645 * now.error))
    apart = replace(now, compared=(*compared[:2], *(replace(one, measured_ms=1.3) for one in compared[2:])))
    assert apart.error > 4 * now.error
    straying = replace(now, reference_ms=(1.0, 1.1, 1.2))
    assert straying.error == pytest.approx(math.hypot(now.error, straying.stray * (2 / 6 / 3) ** 0.5))
    assert Now(reference_ms=(1.0,), compared=()).interval is None


def test_three_processes_that_agree_by_luck_do_not_make_a_level_sure() -> None:
    """What the table says of processes counts as four: with three that agree its squares are four sixths of its own."""
    agreeing = Now(reference_ms=(1.0, 1.0, 1.0), compared=(), usual=LevelSpread(process=0.03))
    assert agreeing.processes_error == pytest.approx(0.03 * (4 / 6 / 3) ** 0.5)
    assert Now(reference_ms=(1.0,) * 12, compared=(), usual=LevelSpread(process=0.03)).processes_error < WANTED_ERROR


def test_without_a_table_there_is_no_level(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    now = look_now(stopwatch(runner, tmp_path / "files"), None)
    assert now.level is None and now.compared == () and now.stray == 0.0
    assert [len(job.files) for job in runner.jobs] == [1] * AGREEING


def test_each_network_is_held_against_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table without a usual time of the reference says nothing of that one."""
    runner = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    model = load_latency("iphone12")
    now = look_now(stopwatch(runner, tmp_path / "files"), model)
    assert [one.network for one in now.compared] == list(OTHERS)
    assert [one.table_ms for one in now.compared] == pytest.approx([model.estimate(name).mean_ms for name in OTHERS])
    assert len(now.reference_ms) == AGREEING


def test_processes_are_begun_until_the_level_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def processes(noise: float) -> int:
        runner = SimulatedRunner(noise=noise)
        simulate_clock_and_files(monkeypatch, runner)
        return len(look_now(stopwatch(runner, tmp_path / "files"), None).reference_ms)

    assert LEAST_PROCESSES < processes(0.0) == AGREEING < processes(4.0) == MOST_PROCESSES
    monkeypatch.setattr("nas.measure.level.MOST_SECONDS", 2.0)
    assert processes(4.0) == LEAST_PROCESSES


def test_what_was_timed_goes_before_what_a_table_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    digest = known_network(OTHERS[0]).digest
    now = look_now(stopwatch(runner, tmp_path / "files"), load_latency("iphone12"), {digest: 5.0})
    assert now.compared[0].table_ms == 5.0 and now.compared[1].table_ms != 5.0


def test_times_of_a_slow_batch_are_brought_to_the_usual_speed() -> None:
    """The reference takes 2, 2 and 3 ms: the last batch is slow by half. What was verified is no batch of a build."""

    def timing(batch: int, digest: str, role: str, ms: float) -> StoredTiming:
        found = Summary(typical_ms=ms, spread=0.0, count=1)
        return StoredTiming(batch=batch, name=digest, digest=digest, role=role, segments=(), timing=found)

    references = [timing(batch, "r", "reference", ms) for batch, ms in ((1, 2.0), (2, 2.0), (3, 3.0), (4, 9.0))]
    own = [timing(1, "a", "known", 5.0), timing(3, "b", "known", 6.0), timing(4, "c", "verified", 7.0)]
    assert usual_times([*references, *own]) == {"a": 5.0, "b": 4.0}
