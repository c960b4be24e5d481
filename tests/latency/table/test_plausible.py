from __future__ import annotations

from dataclasses import replace

import pytest

from nas.errors import InputError
from nas.latency.device import device_names
from nas.latency.home import device_home
from nas.latency.table.plausible import require_milliseconds, written_numbers
from nas.latency.table.rows import TableRow, read_table
from nas.space import known_names, known_network

SEGMENT = "conv1x1s1 16x56x56>24x56x56+relu"
ROW = TableRow(segment=SEGMENT, mean_ms=0.5, low_ms=0.4, high_ms=0.6, count=3, source="measured", date="2024")
PRINTED = [name for name, folder in sorted(device_names().items()) if (folder / "table.csv").exists()]


def test_numbers_written_are_those_of_every_operator() -> None:
    assert written_numbers(SEGMENT) == 24 * 56 * 56
    assert written_numbers("gap 96x8x8>96; linear 128+hswish; linear 10") == 96 + 128 + 10
    assert [written_numbers(text) for text in ("", "stem", "conv1x1s1", "conv1x1s1 axb>c")] == [None] * 4


@pytest.mark.parametrize("name", list(known_names()))
def test_every_key_of_the_known_networks_is_understood(name: str) -> None:
    assert all(written_numbers(segment.key) for segment in known_network(name).segments())


@pytest.mark.parametrize("device", PRINTED)
def test_the_shipped_tables_are_milliseconds(device: str) -> None:
    require_milliseconds(list(read_table(device_home(device).folder / "table.csv").values()), device)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segment": "stem"}, "segment must be the text of its operators with their shapes"),
        ({"mean_ms": 2e5}, "mean_ms must be the milliseconds of one segment"),
        ({"mean_ms": 1e-7}, "mean_ms must be the milliseconds of one segment"),
        ({"mean_ms": 500.0}, "if they are microseconds, convert them"),
        ({"mean_ms": 0.0005}, "if they are seconds, convert them"),
    ],
)
def test_what_is_clearly_no_millisecond_is_refused(changes: dict[str, str | float], words: str) -> None:
    with pytest.raises(InputError, match="phone.csv: ") as caught:
        require_milliseconds([replace(ROW, **changes)], "phone.csv")  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_small_segments_say_nothing_of_the_unit() -> None:
    require_milliseconds([replace(ROW, segment="linear 8>10", mean_ms=5.0, low_ms=4.0, high_ms=6.0)], "phone.csv")
