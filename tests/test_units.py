from __future__ import annotations

import pytest

from nas.errors import InputError
from nas.units import parse_duration_s, parse_latency_ms


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
