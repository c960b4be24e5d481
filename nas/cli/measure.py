"""`nas measure`: time one network on a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from nas.cli.device_option import device_option

if TYPE_CHECKING:
    from nas.jobs.measure import Measurement
    from nas.latency import DeviceHome


def counts(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """The whole numbers of an option, separated by commas: "1,2,4" → (1, 2, 4); none where it was not given."""
    try:
        return tuple(int(part) for part in value.split(",")) if value is not None else ()
    except ValueError as error:
        rule = f"{value!r} must be whole numbers separated by commas, such as 1,2,4."
        raise click.BadParameter(rule, ctx=ctx, param=param) from error


@click.command()
@click.argument("network", metavar="MODEL.onnx|ARCHITECTURE")
@device_option
@click.option("--threads", callback=counts, metavar="N,...", help="Numbers of threads.  [default: the device's own]")
@click.option("--rounds", type=click.IntRange(1, 100_000), default=30, show_default=True, help="Rounds of two runs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(network: str, home: DeviceHome, threads: tuple[int, ...], rounds: int, as_json: bool) -> None:
    """Time a network on a device: a file of its runtime, a known name, an architecture file, or a zoo folder."""
    from nas.cli.progress import watched
    from nas.jobs.measure import measure

    found = measure(home, network, threads=threads, rounds=rounds, progress=watched)
    click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False) if as_json else _text(found))
    for text in found.warnings:
        click.echo(f"warning: {text}", err=True)


def _text(found: Measurement) -> str:
    from tabulate import tabulate

    record = found.as_json()
    columns = ("mean_ms", "sd_ms", "median_ms", "p90_ms", "min_ms", "cpu_min_ms")
    rows = [
        (row["threads"], *(f"{row[key]:.3f}" if key in row else "-" for key in columns)) for row in record["timings"]
    ]
    headers = ("threads", "mean ms", "sd ms", "median ms", "p90 ms", "least ms", "least ms of the thread's clock")
    text = [
        f"{found.network} on {found.device.name}: measured, {found.rounds} rounds, {record['runs']} runs of one image",
        "",
        tabulate(rows, headers, disable_numparse=True, colalign=("right",) * len(headers)),
        "",
        *(f"{key:<9} {value}" for key, value in found.environment.items()),
    ]
    if found.predicted:
        estimate, threads = found.predicted, found.device.threads
        at = f", threads: {threads}" if threads else ""
        interval = f"[{estimate.low_ms:.3g}, {estimate.high_ms:.3g}]"
        text.append(f"predicted {estimate.mean_ms:.3g} ms {interval} ({estimate.source}, 90 % interval{at})")
    return "\n".join(text)
