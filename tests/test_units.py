from __future__ import annotations

import pytest

from nas.errors import InputError
from nas.units import bytes_text, count_text, parse_bytes, parse_count, parse_duration_s, parse_latency_ms


@pytest.mark.parametrize(
    ("text", "ms"), [("1ms", 1.0), ("800us", 0.8), ("800 µs", 0.8), ("0.02s", 20.0), ("1e-3s", 1.0), (".5ms", 0.5)]
)
def test_a_latency_is_a_number_with_a_unit(text: str, ms: float) -> None:
    assert parse_latency_ms(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["1", "ms", "", "0ms", "-1ms", "nanms", "1e400ms", "1min", "1 ms s"])
def test_no_latency_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InputError, match="--target must be"):
        parse_latency_ms(text, name="--target")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("20m", 1200.0), ("20min", 1200.0), (" 1.5 h ", 5400.0), (".5m", 30.0)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["20", "m", "", "0m", "-1m", "1ms", "nanm", "1e3s", f"{'9' * 400}h"])
def test_no_duration_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InputError, match=r"--budget must be a positive number with a unit"):
        parse_duration_s(text, name="--budget")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3M", 3_000_000),
        ("300 M", 300_000_000),
        ("500k", 500_000),
        ("3000000", 3_000_000),
        ("1.5k", 1500),
        (".5G", 500_000_000),
        ("4.35M", 4_350_000),
        ("1.9", 1),
    ],
)
def test_a_count_may_have_a_unit(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "-3M", "3MB", "3m", "3e6", "0", "0.5", "nan", "3 0"])
def test_no_count_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InputError, match="--max-params must be"):
        parse_count(text, name="--max-params")


@pytest.mark.parametrize(
    ("text", "size"), [("2MB", 2_000_000), ("500 kB", 500_000), ("1.5MiB", 1_572_864), ("64KiB", 65_536), ("7B", 7)]
)
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "2", "2M", "MB", "-2MB", "0MB", "2mb", "2MB/s"])
def test_no_size_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InputError, match="--max-memory must be"):
        parse_bytes(text, name="--max-memory")


def test_counts_and_sizes_as_text() -> None:
    assert [count_text(n) for n in (850, 5_483_032, 219_000_000, 999_700)] == ["850", "5.48 M", "219 M", "1 M"]
    assert [bytes_text(n) for n in (850, 2_414_000, 1e13)] == ["850 B", "2.41 MB", "1e+04 GB"]
