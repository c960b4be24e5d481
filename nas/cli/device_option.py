"""The option that names a device: from here on it is a `DeviceHome`, and no longer a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from nas.latency import DeviceHome


def _home(context: click.Context, parameter: click.Parameter, name: str) -> DeviceHome:
    from nas.latency import device_home

    return device_home(name)


device_option = click.option(
    "--device", "home", required=True, callback=_home, metavar="NAME", help="The device (`nas device list`)."
)
