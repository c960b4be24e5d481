"""Tables as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nas.latency import Estimate
from nas.measure.check import Checked, TableCheck
from nas.report.lut_text import check_text
from nas.report.table_check import write_check


def checked(measured: Sequence[float], speed: float | None) -> TableCheck:
    """Networks that take so many ms, and that were thought to take a tenth more."""
    networks = tuple(
        Checked(
            name=f"n{i}",
            digest=f"d{i}",
            macs=1_000_000 * (i + 1),
            predicted=Estimate(mean_ms=1.1 * ms, low_ms=ms, high_ms=1.2 * ms, source="predicted"),
            measured_ms=ms,
            processes_ms=(ms,),
            clock_ms=2.0 * ms,
            reference_ms=3.0,
        )
        for i, ms in enumerate(measured)
    )
    return TableCheck(
        device="d", space="s", seed=0, environment={"chip": "c"}, networks=networks, faults={}, speed=speed
    )  # fmt: skip


def test_a_check_at_the_speed_of_the_table_is_told_beside_that_by_the_clock() -> None:
    text = check_text(checked((1.0, 2.0), speed=2.0).as_json())
    assert "at the table's speed" in text and "differed from that by +100.0 %" in text
    assert "10.0 %" in text and "45.0 %" in text  # 1.1 over 1, over 2


@pytest.mark.parametrize("measured", [(1.0,), (1.0, 2.0)])
def test_where_nobody_knows_the_speed_of_the_table_the_clock_alone_is_told(
    measured: Sequence[float], tmp_path: Path
) -> None:
    record = checked(measured, speed=None).as_json()
    text = check_text(record)
    assert "by the clock" in text and "table's speed" not in text
    page, _ = write_check(record, tmp_path)
    assert "nothing tells which it had for the table" in page.read_text("utf-8")


def test_one_network_has_no_rank_and_its_document_is_one() -> None:
    record = checked((1.0,), speed=None).as_json()
    assert record["spearman"]["all"] == {"predicted": None, "macs": None}
    json.dumps(record, allow_nan=False)
    (line,) = (line for line in check_text(record).splitlines() if line.strip().startswith("all"))
    assert line.split() == ["all", "1", "-", "-"]
