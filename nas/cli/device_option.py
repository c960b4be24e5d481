"""The option that names a device: the command that has it is given a `DeviceHome`, and no name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def device_option(function: Callable[..., None]) -> Callable[..., None]:
    """Give the command `function` the required option --device; `function` is called with the device's `home`."""

    @wraps(function)
    def resolved(*arguments: Any, device: str, **options: Any) -> None:
        from nas.latency import device_home

        function(*arguments, home=device_home(device), **options)

    option = click.option("--device", required=True, metavar="NAME", help="The device (`nas device list`).")
    return option(resolved)
