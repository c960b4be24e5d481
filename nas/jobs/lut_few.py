"""The devices that help a new one of which few networks are timed."""

from __future__ import annotations

from collections.abc import Iterator

from nas.errors import InputError, NasError
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.device import device_names
from nas.latency.model import COEFFICIENTS_FILE
from nas.latency.operator_model import OperatorModel
from nas.latency.transfer.networks import TransferredOperators


def helping_devices(home: DeviceHome) -> list[OperatorModel]:
    """The operator costs of all devices but this one, the workspace's and those shipped, by name; without those that
    are made of other devices' costs themselves, and those whose files are bad (`unread_devices`).

    Raises `InputError` where no device has operator costs.
    """
    found = [
        model
        for _, model in _others(home)
        if not isinstance(model, NasError | TransferredOperators) and model is not None
    ]
    if not found:
        raise InputError(
            f"few networks need another device with operator costs to help {home.name}, but there is none; build a"
            " table of this machine (`nas lut build --device local`), or time more networks here (--budget)."
        )
    return found


def unread_devices(home: DeviceHome) -> dict[str, str]:
    """The other devices that cannot help, as their files are bad: name → reason."""
    return {name: str(model) for name, model in _others(home) if isinstance(model, NasError)}


def _others(home: DeviceHome) -> Iterator[tuple[str, OperatorModel | NasError | None]]:
    """What operators cost on each device but this one, by name; None where nothing says it, or why that is not read:
    the fault of one device is no other's."""
    for name in sorted(device_names()):
        if name == home.name:
            continue
        try:
            other = device_home(name)
            has_costs = (other.folder / COEFFICIENTS_FILE).exists()
            yield name, load_latency(other).operators if has_costs else None
        except NasError as error:
            yield name, error


def is_from_few(home: DeviceHome) -> bool:
    """Whether the costs of the device are made of few networks and other devices' costs."""
    if not (home.own_folder / COEFFICIENTS_FILE).exists():
        return False
    return isinstance(load_latency(home).operators, TransferredOperators)
