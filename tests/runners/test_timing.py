from __future__ import annotations

import pytest

from nas.runners.timing import Timing, run_statistics


def test_the_fastest_three_quarters_count_by_the_clock_of_the_thread_where_there_is_one() -> None:
    assert Timing(wall_ms=(3.0, 2.0, 90.0, 4.0)).typical_ms == 3.0
    assert Timing(wall_ms=(3.0, 2.0, 90.0, 4.0), cpu_ms=(1.4, 1.8, 1.6, 1.6)).typical_ms == pytest.approx(4.6 / 3)
    assert Timing(wall_ms=(2.0, 3.0)).typical_ms == 2.5  # three quarters of two, rounded up


def test_a_run_that_the_clock_lost_counts_for_nothing() -> None:
    lost = Timing(wall_ms=(4.0,) * 8, cpu_ms=(4.0, 0.0, 4.2, 1.9, 4.1, 4.0, 4.0, 4.1))
    assert lost.runs == (4.0, 4.2, 4.1, 4.0, 4.0, 4.1)
    assert lost.typical_ms == pytest.approx((3 * 4.0 + 2 * 4.1) / 5)  # three quarters of six, rounded up
    assert lost.spread == pytest.approx(4.05 / 4.0 - 1.0)
    assert Timing(wall_ms=(1.0, 9.0)).runs == (1.0, 9.0)  # which of two is right nobody knows
    assert Timing(wall_ms=(3.0, 3.0), cpu_ms=(0.0, 3.0)).spread == 0.0


def test_the_spread_is_how_far_the_median_lies_above_the_least() -> None:
    assert Timing(wall_ms=(2.0, 3.0, 9.0)).spread == pytest.approx(0.5)
    assert Timing(wall_ms=(2.0, 3.0, 9.0), cpu_ms=(2.0, 2.0, 2.0)).spread == 0.0


def test_statistics_are_of_wall_times() -> None:
    found = run_statistics(Timing(wall_ms=(1.0, 2.0, 3.0, 4.0), cpu_ms=(0.5, 1.0, 1.0, 1.0)))
    # The standard deviation of 1, 2, 3, 4 is the root of 5/3; nine tenths of the way from the first to the last is 3.7.
    assert found == pytest.approx(
        {"mean_ms": 2.5, "sd_ms": (5 / 3) ** 0.5, "median_ms": 2.5, "p90_ms": 3.7, "min_ms": 1.0, "cpu_min_ms": 0.5}
    )


def test_a_single_run_strays_by_nothing() -> None:
    assert run_statistics(Timing(wall_ms=(2.0,)))["sd_ms"] == 0.0


def test_a_machine_twice_as_slow_takes_twice_as_long_in_each_run() -> None:
    timing = Timing(wall_ms=(2.0, 3.0), cpu_ms=(1.0, 1.5)).scaled(2.0)
    assert timing == Timing(wall_ms=(4.0, 6.0), cpu_ms=(2.0, 3.0))
