"""`nas device`: the devices that latencies are known for."""

from __future__ import annotations

import json
from pathlib import Path

import click

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group()
def command() -> None:
    """The devices that latencies are known for."""


@command.command("list")
@_JSON
def list_devices(as_json: bool) -> None:
    """List the devices, your own before those shipped."""
    from nas.latency.device import device_names, load_device

    devices = [load_device(name) for name in sorted(device_names())]
    if as_json:
        click.echo(json.dumps([device.as_json() for device in devices], indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate

    rows = [(d.name, d.chip, d.runtime, d.compute_unit, d.precision, d.source) for d in devices]
    click.echo(tabulate(rows, ("device", "chip", "runtime", "unit", "precision", "source"), disable_numparse=True))


@command.command("show")
@click.argument("name")
@_JSON
def show_device(name: str, as_json: bool) -> None:
    """Show what is known of the device NAME."""
    from nas.jobs.lut import fitted_model
    from nas.latency.device import device_folder, load_device

    record = {**load_device(name).as_json(), "folder": str(device_folder(name)), **fitted_model(name)}
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    for key, value in record.items():
        if key == "left_out":
            from nas.report.lut_text import left_out_text

            click.echo(left_out_text(value))
        elif value != "":
            click.echo(f"{key.replace('_', ' '):13} {value}")


@command.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@_JSON
def add_device(file: Path, as_json: bool) -> None:
    """Add the device that FILE (YAML) describes to the workspace."""
    from nas.jobs.lut import add_device as add

    device, place = add(file)
    if as_json:
        click.echo(json.dumps({**device.as_json(), "folder": str(place.parent)}, indent=1, ensure_ascii=False))
    else:
        click.echo(f"added {device.name} as {place}")
