"""Quantities as people write them: `1ms`, `800us`, `0.02s`; `3M` parameters, `2MB`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from nas.errors import InputError

_MS_PER_UNIT = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(us|µs|ms|s)\s*")


def parse_latency_ms(text: str, *, name: str = "latency") -> float:
    """The latency in milliseconds that `text` states: a positive number with a unit (us, ms, s).

    Raises `InputError` naming `name` for a missing unit, anything that is no number, and values that are
    not positive and finite.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(
            f"{name} must be a number with a unit (us, ms or s), but got {text!r}; write for example 1ms or 800us."
        )
    value = float(match.group(1)) * _MS_PER_UNIT[match.group(2)]
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be positive and finite, but got {text!r}; write for example 1ms or 800us.")
    return value


_SECONDS_PER_UNIT = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(s|min|m|h)\s*")


def parse_duration_s(text: str, *, name: str = "duration") -> float:
    """The seconds that `text` states: a positive number with a unit (s, m, min, h). Raises as `parse_latency_ms`."""
    match = _DURATION.fullmatch(text)
    value = float(match.group(1)) * _SECONDS_PER_UNIT[match.group(2)] if match else 0.0
    if not (math.isfinite(value) and value > 0):
        raise InputError(
            f"{name} must be a positive number with a unit (s, m or h), but got {text!r}; write for example 20m."
        )
    return value


_COUNTS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
_BYTES = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_AMOUNT = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([A-Za-z]*)\s*")


def parse_count(text: str, *, name: str = "count") -> int:
    """The whole number that `text` states: digits alone, or a number of thousands (k), millions (M) or billions (G).

    Parts of one are cut off. Raises `InputError` naming `name` for anything else, and for what is below 1.
    """
    return _parse_amount(text, _COUNTS, name, "a number, alone or with k, M or G", "500k, 3M or 3000000")


def parse_bytes(text: str, *, name: str = "size") -> int:
    """The bytes that `text` states: a number with a unit (B, kB, MB, GB: powers of 1000; KiB, MiB, GiB: of 1024).

    Raises as `parse_count`.
    """
    return _parse_amount(text, _BYTES, name, "a number with a unit (kB, MB, MiB, …)", "500kB or 2MB")


def _parse_amount(text: str, units: Mapping[str, int], name: str, form: str, example: str) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None or match.group(2) not in units:
        raise InputError(f"{name} must be {form}, but got {text!r}; write for example {example}.")
    value = int(Decimal(match.group(1)) * units[match.group(2)])
    if value < 1:
        raise InputError(f"{name} must be at least 1, but got {text!r}; write for example {example}.")
    return value


def count_text(count: float) -> str:
    """A count for people, to three digits: 5.48 M, 219 M, 850."""
    return _amount_text(count, ("", " k", " M", " G"))


def bytes_text(size: float) -> str:
    """A number of bytes for people, to three digits: 2.41 MB, 850 B."""
    return _amount_text(size, (" B", " kB", " MB", " GB"))


def _amount_text(value: float, units: Sequence[str]) -> str:
    power = 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g}{units[power]}"
