"""Quantities as people write them: `1ms`, `800us`, `0.02s`."""

from __future__ import annotations

import math
import re

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
