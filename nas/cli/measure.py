"""`nas measure`: time one network on a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from nas.cli.device_option import device_option
from nas.cli.given import given_options
from nas.cli.names import known_network
from nas.cli.network_options import input_shape_option
from nas.cli.progress import progress
from nas.cli.terminal import page, tell, wide_option

if TYPE_CHECKING:
    from nas.latency import DeviceHome


def counts(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """The whole numbers of an option, separated by commas: "1,2,4" → (1, 2, 4); none where it was not given."""
    try:
        return tuple(int(part) for part in value.split(",")) if value is not None else ()
    except ValueError as error:
        rule = f"{value!r} must be whole numbers separated by commas, such as 1,2,4."
        raise click.BadParameter(rule, ctx=ctx, param=param) from error


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    from nas.units import parse_duration_s

    return None if value is None else parse_duration_s(value, name="--sustained")


@click.command()
@click.argument("network", callback=known_network, metavar="MODEL.onnx|ARCHITECTURE")
@device_option
@click.option("--threads", callback=counts, metavar="N,...", help="Numbers of threads.  [default: the device's own]")
@click.option("--rounds", type=click.IntRange(1, 100_000), default=30, show_default=True, help="Rounds of two runs.")
@click.option(
    "--sustained",
    "sustained_s",
    callback=_duration,
    metavar="TIME",
    help="Run it for so long (10m): how it starts, p50, p90, and the curve as the device warms.",
)
@input_shape_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    network: str,
    home: DeviceHome,
    threads: tuple[int, ...],
    rounds: int,
    sustained_s: float | None,
    input_shapes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Time a network on a device: a file of its runtime, a known name, an architecture file, or a zoo folder."""
    from nas.jobs.measure import measure
    from nas.jobs.measure_sustained import measure_sustained
    from nas.report.measure_text import measured_text
    from nas.report.sustained_text import sustained_text

    if sustained_s is not None and (len(threads) > 1 or given_options(["rounds"])):
        raise click.UsageError("--sustained runs with one number of threads for a time: leave --rounds out.")
    with progress() as show:
        if sustained_s is None:
            found = measure(home, network, threads=threads, rounds=rounds, input_shape=input_shapes, progress=show)
            text, record, warnings = measured_text(found, page()), found.as_json(), found.warnings
        else:
            long = measure_sustained(
                home, network, sustained_s, threads=next(iter(threads), None), input_shape=input_shapes, progress=show
            )
            text, record, warnings = sustained_text(long, page()), long.as_json(), long.warnings
    click.echo(json.dumps(record, indent=1, ensure_ascii=False) if as_json else text)
    for warning in warnings:
        tell("warning", warning)
