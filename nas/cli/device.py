"""`nas device`: the devices that latencies are known for."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.terminal import page, wide_option

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group()
def command() -> None:
    """The devices that latencies are known for."""


@command.command("list")
@wide_option
@_JSON
def list_devices(as_json: bool) -> None:
    """List the devices, your own before those shipped."""
    from nas.latency.device import device_names
    from nas.latency.home import device_home

    records = [device_home(name).device.as_json() for name in sorted(device_names())]
    if as_json:
        click.echo(json.dumps(records, indent=1, ensure_ascii=False))
        return
    from nas.report.device_text import devices_text

    click.echo(devices_text(records, page()))


@command.command("show")
@click.argument("name")
@_JSON
def show_device(name: str, as_json: bool) -> None:
    """Show what is known of the device NAME."""
    from nas.jobs.lut import fitted_model
    from nas.latency.home import device_home

    home = device_home(name)
    record = {**home.device.as_json(), "folder": str(home.folder), **fitted_model(home)}
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.device_text import device_text

    click.echo(device_text(record, page()))


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
