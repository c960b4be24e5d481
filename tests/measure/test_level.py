from __future__ import annotations

from pathlib import Path

import pytest

from nas.latency import load_latency
from nas.measure.level import OTHERS, PROCESSES, Compared, Now, look_now
from tests.measure.devices import SimulatedRunner, simulate_clock_and_files, stopwatch


def test_the_level_is_the_median_over_the_networks() -> None:
    now = Now(
        reference_ms=(2.0, 2.1, 2.2),
        compared=tuple(
            Compared(network=n, measured_ms=ms, table_ms=1.0) for n, ms in (("a", 1.2), ("b", 0.5), ("c", 1.1))
        ),
    )
    assert now.level == pytest.approx(1.1)
    assert now.stray == pytest.approx(0.1)


def test_without_a_table_there_is_no_level(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    now = look_now(stopwatch(runner, tmp_path / "files"), None)
    assert now.level is None and now.compared == () and now.stray == 0.0
    assert [len(job.files) for job in runner.jobs] == [1] * PROCESSES


def test_each_network_is_held_against_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table without a usual time of the reference says nothing of that one."""
    runner = SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    model = load_latency("iphone12")
    now = look_now(stopwatch(runner, tmp_path / "files"), model)
    assert [one.network for one in now.compared] == list(OTHERS)
    assert [one.table_ms for one in now.compared] == pytest.approx([model.estimate(name).mean_ms for name in OTHERS])
    assert len(now.reference_ms) == PROCESSES
