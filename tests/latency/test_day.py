from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.latency.day import (
    LEVELS_FILE,
    LevelSpread,
    Look,
    add_look,
    batch_spread,
    level_spread,
    likely_level,
    process_spread,
    read_looks,
)  # fmt: skip

BUILT = {"reference_ms": 10.0, "batches": 100, "batch_spread": 0.01}


def look(hour: str, level: float, reference_ms: float = 10.0) -> Look:
    return Look(time=f"2026-01-{hour}:30:00+00:00", level=level, reference_ms=reference_ms)


def test_batches_of_a_normal_spread_are_so_far_apart_and_the_disturbed_do_not_count() -> None:
    logs = 0.02 * np.random.default_rng(0).standard_normal(4000)
    assert batch_spread(np.expm1(logs)) == pytest.approx(0.02, rel=0.05)
    logs[:40] = 1.0
    assert batch_spread(np.expm1(logs)) == pytest.approx(0.02, rel=0.1)
    assert batch_spread(np.zeros(1)) == 0.0


def test_where_the_speed_wanders_processes_of_a_minute_are_less_apart_than_all() -> None:
    """A wave of 5 % over the whole build beside 1 % of each batch: its deviation is 5 % over the root of two."""
    rng = np.random.default_rng(0)
    own, wave = 0.01 * rng.standard_normal(4000), 0.05 * np.sin(np.linspace(0.0, 2.0 * np.pi, 4000))
    assert process_spread(np.expm1(own)) == pytest.approx(batch_spread(np.expm1(own)), rel=0.05)
    assert process_spread(np.expm1(own + wave)) == pytest.approx(0.01, rel=0.05)
    few = np.expm1((own + wave)[:: 4000 // 20])
    assert process_spread(few) == batch_spread(few)  # what they share cannot be told from their own


def test_a_machine_that_wandered_while_its_table_was_built_will_be_as_far_off_on_other_days() -> None:
    steady = level_spread({**BUILT, "process_spread": 0.01}, ())
    assert steady == level_spread(BUILT, ())
    wandered = level_spread({**BUILT, "process_spread": 0.01, "batch_spread": 0.05}, ())
    assert wandered.process == steady.process
    assert wandered.day == pytest.approx(np.sqrt(0.05**2 - 0.01**2))


def test_a_table_that_was_not_built_here_has_none() -> None:
    for manifest in ({}, {"reference_ms": "10"}, {"reference_ms": -1.0}):
        assert level_spread(manifest, [look("02T03", 1.5)]).any_day == 0.0


def test_many_batches_tell_what_processes_are_apart_and_few_do_not() -> None:
    """Four batches' worth of 2 % against 100 of 1 %; days are twice as far apart until somebody looks."""
    known = level_spread(BUILT, ())
    assert known.process == pytest.approx(np.sqrt((4 * 0.02**2 + 100 * 0.01**2) / 104))
    assert known.day == pytest.approx(2.0 * known.process)
    assert known.any_day == pytest.approx(np.hypot(known.process, known.day))
    unknown = level_spread({"reference_ms": 10.0}, ())
    assert unknown.process == pytest.approx(0.02) and unknown.day == pytest.approx(0.04)


def test_looks_tell_what_days_are_apart() -> None:
    steady = level_spread(BUILT, [look(f"{day:02d}T03", 1.0) for day in range(1, 31)])
    assert steady.day == pytest.approx(level_spread(BUILT, ()).day * np.sqrt(2 / 32))
    level = float(np.exp(0.1))
    straying = level_spread(BUILT, [look(f"{day:02d}T03", level if day % 2 else 1 / level) for day in range(1, 31)])
    assert straying.day == pytest.approx(0.1, rel=0.05)


def test_many_looks_of_one_hour_are_one_look() -> None:
    """Whoever looks ten times on a slow afternoon has seen one slow afternoon."""
    one = level_spread(BUILT, [look("02T03", 1.1)])
    assert level_spread(BUILT, [look("02T03", 1.1)] * 10).day == pytest.approx(one.day)
    assert level_spread(BUILT, [look("02T03", 1.1), look("02T04", 1.1)]).day > one.day


def test_a_look_at_an_earlier_table_is_brought_to_this_one() -> None:
    """1.1 times as slow as a table whose reference took 10 ms is as slow as one whose reference takes 11."""
    found = level_spread({**BUILT, "reference_ms": 11.0}, [look("02T03", 1.1, 10.0)])
    assert found.day == pytest.approx(level_spread({**BUILT, "reference_ms": 11.0}, [look("02T03", 1.0, 11.0)]).day)


def test_looks_are_kept_in_their_order(tmp_path: Path) -> None:
    assert read_looks(tmp_path / LEVELS_FILE) == []
    looks = [look("02T03", 1.25), look("02T04", 0.875, 8.5)]
    for one in looks:
        add_look(tmp_path, one)
    assert read_looks(tmp_path / LEVELS_FILE) == looks


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "row 1: columns must be time,level,reference_ms"),
        ("time,level\n", "row 1: columns must be"),
        ("time,level,reference_ms\na,1,0\n", "row 2: must be a time, a level and ms above 0"),
        ("time,level,reference_ms\na,nan,1\n", "row 2: must be a time"),
        ("time,level,reference_ms\na,1\n", "row 2: must be a time"),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_row(tmp_path: Path, text: str, rule: str) -> None:
    path = tmp_path / LEVELS_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rule):
        read_looks(path)


@pytest.mark.parametrize(("process", "day"), [(0.01, 0.01), (0.01, 0.02), (0.01, 0.04), (0.02, 0.04)])
def test_after_ten_looks_nine_tenths_of_other_days_are_inside(process: float, day: float) -> None:
    """Made-up devices: 100 batches and ten looks of three processes each, then a process of another day. By 1,600 of
    these the share is known within 2 %."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(200):
        slow = np.expm1(process * rng.standard_normal(100))
        levels = np.exp(day * rng.standard_normal(10) + process * rng.standard_normal(10) / np.sqrt(3))
        looks = [look(f"{number:02d}T03", float(level)) for number, level in enumerate(levels, start=1)]
        spread = level_spread({**BUILT, "batch_spread": batch_spread(slow)}, looks)
        then = day * rng.standard_normal(8) + process * rng.standard_normal(8)
        inside.append(np.mean(np.abs(then) <= 1.645 * spread.any_day))
    assert 0.85 <= np.mean(inside) <= 0.95


def test_a_look_is_drawn_to_the_tables_level_by_what_it_may_be_wrong_by() -> None:
    """Days 4 % apart, minutes 1.2 %, a look's error 1.6 %: noise of 2 %, so 16 of 20 parts of the logarithm stay."""
    usual = LevelSpread(process=0.012, day=0.04)
    level, deviation = likely_level(np.exp(0.03), 0.016, usual)
    assert np.log(level) == pytest.approx(0.8 * 0.03) and deviation == pytest.approx(0.8**0.5 * 0.02)
    throttled, _ = likely_level(1.4, 0.016, usual)  # no usual day
    assert 1.39 < throttled < 1.4
    sure, deviation = likely_level(1.1, 0.0, LevelSpread(day=0.04))
    assert sure == pytest.approx(1.1) and deviation == 0.0


@pytest.mark.parametrize(("process", "day", "error"), [(0.02, 0.04, 0.01), (0.03, 0.03, 0.01), (0.01, 0.04, 0.02)])
def test_the_minute_after_a_look_is_nearer_to_its_likely_level(process: float, day: float, error: float) -> None:
    """20,000 made-up days, whose looks stray by what minutes are apart and by their own error: the next process lies
    in nine tenths of the intervals, and nearer than to what the look said."""
    rng = np.random.default_rng(0)
    days = day * rng.standard_normal(20_000)
    looks = days + process * rng.standard_normal(20_000) + error * rng.standard_normal(20_000)
    then = days + process * rng.standard_normal(20_000)
    likely = [likely_level(float(np.exp(one)), error, LevelSpread(process=process, day=day)) for one in looks]
    logs, deviations = np.log([level for level, _ in likely]), np.array([deviation for _, deviation in likely])
    assert np.mean((then - logs) ** 2) < np.mean((then - looks) ** 2)
    assert 0.87 <= np.mean(np.abs(then - logs) <= 1.645 * np.hypot(deviations, process)) <= 0.93
