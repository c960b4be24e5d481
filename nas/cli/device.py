"""`nas device`: the devices that latencies are known for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from nas.cli.progress import progress
from nas.cli.terminal import page, tell, wide_option

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


@command.command("new")
@click.argument("name")
@click.option(
    "--reach",
    required=True,
    type=click.Choice(["local", "ssh", "adb", "ios", "bundle"]),
    help="The way there: this machine, ssh, a phone by adb, an iPhone connected to this Mac, or by hand.",
)
@click.option(
    "--runtime", type=click.Choice(["onnx", "litert", "coreml"]),
    help="What runs networks on it.  [default: onnx; adb: litert; ios: coreml]",
)  # fmt: skip
@click.option("--host", default="", metavar="HOST", help="ssh: USER@HOST, or a name of your ssh configuration.")
@click.option("--serial", default="", metavar="SERIAL", help="adb: which of several phones.")
@_JSON
def new_device(name: str, as_json: bool, **options: Any) -> None:
    """Write a commented device.yaml for a device of your own, to be looked over."""
    from nas.jobs.device_new import NewDevice
    from nas.jobs.device_new import new_device as write

    device, place = write(NewDevice(name=name, **options))
    if as_json:
        click.echo(json.dumps({**device.as_json(), "folder": str(place.parent)}, indent=1, ensure_ascii=False))
        return
    from nas.report.device_text import new_text

    click.echo(new_text(device, place, page()))


@command.command("check")
@click.argument("name")
@_JSON
def check_device(name: str, as_json: bool) -> None:
    """See whether the device NAME can be reached, what runs there, how fast it is, and how far that is from its
    table."""
    from nas.jobs.device_check import check_device as check
    from nas.latency.home import device_home

    with progress() as show:
        found = check(device_home(name), progress=show)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
    else:
        from nas.report.device_text import check_text

        click.echo(check_text(found, page()))
    for text in found.warnings:
        tell("warning", text)
