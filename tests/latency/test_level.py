from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.latency import load_latency
from nas.latency.level import at_level, at_table_speed, without_days
from nas.latency.table.rows import TableRow
from nas.space import known_network
from tests.measure.devices import TINY


@pytest.mark.parametrize("name", ["iphone12", "pixel3-cpu"])
def test_all_takes_so_many_times_as_long_and_is_as_unsure(name: str) -> None:
    model = load_latency(name)
    slow = at_level(model, 1.25)
    for network in ("mobilenetv2-1.0", "mobilenetv3-small-1.0"):
        before, after = model.estimate(network), slow.estimate(network)
        for part in ("mean_ms", "low_ms", "high_ms"):
            assert getattr(after, part) == pytest.approx(1.25 * getattr(before, part))
        assert (after.source, after.warnings) == (before.source, before.warnings)
    assert slow.fixed_ms == 1.25 * model.fixed_ms


def test_rows_are_slower_as_well() -> None:
    network = known_network("mobilenetv2-1.0")
    model = load_latency("iphone12")
    segments = model.segments(network)
    row = TableRow(
        segment=segments[0].key, mean_ms=2.0, low_ms=1.0, high_ms=4.0, count=3, source="measured", date="2024"
    )
    with_row = replace(model, rows={row.segment: row})
    before, after = with_row.estimate(network), at_level(with_row, 2.0).estimate(network)
    assert after.mean_ms == pytest.approx(2.0 * before.mean_ms)
    assert after.high_ms / after.mean_ms == pytest.approx(before.high_ms / before.mean_ms)


def test_arrays_say_the_same() -> None:
    model = load_latency("iphone12")
    assert np.allclose(at_level(model, 0.5).latency_ms([TINY]), 0.5 * model.latency_ms([TINY]))


def test_what_is_kept_of_one_level_is_not_of_another() -> None:
    model = load_latency("iphone12")
    assert model.operators is not None
    first, second = at_level(model, 1.0).operators, at_level(model, 1.1).operators
    assert first is not None and second is not None and first.as_json() != second.as_json()


def test_what_the_speed_strays_by_joins_the_interval_in_squares() -> None:
    """A deviation of the logarithm of 0.1 is 0.1645 of half an interval of nine tenths."""
    still = load_latency("iphone12")
    straying = replace(still, level_sd=0.1)
    before, after = still.estimate("mobilenetv2-1.0"), straying.estimate("mobilenetv2-1.0")
    half = np.log(before.high_ms / before.mean_ms)
    assert np.log(after.high_ms / after.mean_ms) == pytest.approx(np.hypot(half, 0.1645))
    assert after.mean_ms == before.mean_ms and after.mean_ms**2 == pytest.approx(after.low_ms * after.high_ms)
    assert at_table_speed(straying).estimate("mobilenetv2-1.0") == before
    assert without_days(after, straying).high_ms == pytest.approx(before.high_ms)
    now = at_level(straying, 2.0, 0.05).estimate("mobilenetv2-1.0")
    assert now.mean_ms == pytest.approx(2.0 * before.mean_ms)
    assert np.log(now.high_ms / now.mean_ms) == pytest.approx(np.hypot(half, 1.645 * 0.05))
