"""Options that limit an answer, and the quantities they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def quantity(parse: Callable[..., float]) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """A callback that reads an option's text by `parse(text, name=...)`."""

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        return None if value is None else parse(value, name=parameter.opts[0])

    return read


def _latency(text: str, *, name: str) -> float:
    from nas.units import parse_latency_ms

    return parse_latency_ms(text, name=name)


def _count(text: str, *, name: str) -> int:
    from nas.units import parse_count

    return parse_count(text, name=name)


def _bytes(text: str, *, name: str) -> int:
    from nas.units import parse_bytes

    return parse_bytes(text, name=name)


_OPTIONS = (
    click.option("--target-latency", "target_ms", callback=quantity(_latency), metavar="TIME", help="1ms, 800us, …"),
    click.option("--max-params", callback=quantity(_count), metavar="N", help="At most N parameters: 3M, 500k."),
    click.option("--max-macs", callback=quantity(_count), metavar="N", help="At most N multiply-adds: 300M."),
    click.option(
        "--max-size",
        callback=quantity(_bytes),
        metavar="SIZE",
        help="At most SIZE of parameters at the device's precision: 5MB.",
    ),
    click.option(
        "--max-memory",
        callback=quantity(_bytes),
        metavar="SIZE",
        help="At most SIZE of maps alive at once, at the device's precision: 2MB.",
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(0.5, 1.0, max_open=True),
        metavar="P",
        help="Keep the latency under the target with probability P (one-sided; the hard reward).  [default: its mean]",
    ),
    click.option(
        "--max-novelty",
        type=click.FloatRange(0.0, min_open=True),
        default=1.0,
        show_default=True,
        metavar="D",
        help="How far from networks of published accuracy an answer may lie; 1: as far as these from one another.",
    ),
)


def target_and_limits(function: _F) -> _F:
    """The options of a target and of all limits that an answer keeps."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
