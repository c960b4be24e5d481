from __future__ import annotations

import pytest

from nas.measure import Timing
from nas.measure.interval import measured


def test_the_interval_reaches_to_the_highest_least_time_of_a_fifth() -> None:
    runs = (1.0, 9.0, 1.2, 9.0, 1.1, 9.0, 1.0, 9.0, 1.05, 9.0)
    found = measured(Timing(wall_ms=runs))
    assert (found.mean_ms, found.source) == (1.0, "measured")
    assert found.high_ms == pytest.approx(1.2)
    assert found.low_ms == pytest.approx(1.0 / 1.2)


def test_the_clock_of_the_thread_counts_where_there_is_one() -> None:
    assert measured(Timing(wall_ms=(5.0, 6.0), cpu_ms=(2.0, 2.0))).high_ms == 2.0


def test_one_run_has_no_interval() -> None:
    found = measured(Timing(wall_ms=(3.0,)))
    assert (found.low_ms, found.mean_ms, found.high_ms) == (3.0, 3.0, 3.0)
