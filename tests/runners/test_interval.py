from __future__ import annotations

import pytest

from nas.runners.interval import measured
from nas.runners.timing import Timing


def test_the_interval_reaches_to_the_fifth_that_is_farthest_off() -> None:
    found = measured(Timing(wall_ms=(1.0, 1.0, 1.0, 1.0, 1.2, 1.2, 1.0, 1.0, 9.0, 1.0)))
    # The fastest three quarters of ten are eight: seven of 1.0 and a 1.2. Of two, as in the part (9.0, 1.0), both.
    assert found.mean_ms == pytest.approx(8.2 / 8)
    assert found.high_ms == pytest.approx(5.0)
    assert found.low_ms == pytest.approx(found.mean_ms**2 / 5.0)
    assert found.source == "measured"


def test_the_clock_of_the_thread_counts_where_there_is_one() -> None:
    assert measured(Timing(wall_ms=(5.0, 6.0), cpu_ms=(2.0, 2.0))).high_ms == 2.0


def test_one_run_has_no_interval() -> None:
    found = measured(Timing(wall_ms=(3.0,)))
    assert (found.low_ms, found.mean_ms, found.high_ms) == (3.0, 3.0, 3.0)
