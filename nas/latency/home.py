"""Where a device is at home: what it is, and where its files are. Resolved once, from the name that a user gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError, unknown_name
from nas.latency.device import DEVICE_FILE, ROOM, Device, device_names, read_device
from nas.resources import check_name, find, runs_folder, workspace
from nas.runtimes import Runtime, find_runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHome:
    """A device, the folder that its files are read from, the workspace's own folder that they are written to (the same
    where the device is the user's), and the file that holds what was timed on it (there or not)."""

    device: Device
    folder: Path
    own_folder: Path
    timings: Path

    @property
    def name(self) -> str:
        """The device's name."""
        return self.device.name

    @property
    def runtime(self) -> Runtime:
        """What the device's runtime makes of a network: the segments that are timed on it."""
        return find_runtime(self.device.runtime)

    @property
    def file(self) -> Path:
        """Its `device.yaml`, for errors to name."""
        return self.folder / DEVICE_FILE

    def reread(self) -> DeviceHome:
        """The home after files were written to `own_folder`: read from there where that is a device's by now.

        Raises `InputError` for a bad `device.yaml`.
        """
        own = (self.own_folder / DEVICE_FILE).exists()
        return _home(self.name, self.own_folder if own else self.folder, self.own_folder, self.timings)


def device_home(name: str) -> DeviceHome:
    """The home of the device called `name`, the workspace's own before a shipped one.

    Raises `InputError` for an unknown name (nearest names shown), a path, or a bad `device.yaml`.
    """
    if "," in name:
        raise InputError(
            f"a device must be one name, but got {name!r}; a search takes further ones as --also NAME:30ms."
        )
    check_name(name, what="device")
    path = find(ROOM, f"{name}/{DEVICE_FILE}")
    if path is None:
        remedy = "`nas device list` shows all; `nas device add FILE` adds one."
        raise unknown_name("device", name, device_names(), remedy=remedy)
    return _home(name, path.parent, workspace() / ROOM / name, runs_folder() / "lut" / f"{name}.db")


def _home(name: str, folder: Path, own_folder: Path, timings: Path) -> DeviceHome:
    device = read_device(folder / DEVICE_FILE)
    if device.name != name:
        raise InputError(
            f"{folder / DEVICE_FILE}: name must be that of its folder, {name!r}, but got {device.name!r}."
        )  # fmt: skip
    return DeviceHome(device=device, folder=folder, own_folder=own_folder, timings=timings)
