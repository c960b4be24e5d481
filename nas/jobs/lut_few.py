"""The devices that help a new one of which few networks are timed."""

from __future__ import annotations

from nas.errors import InputError
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.device import device_names
from nas.latency.model import COEFFICIENTS_FILE
from nas.latency.operator_model import OperatorModel
from nas.latency.transfer.networks import TransferredOperators


def helping_devices(home: DeviceHome) -> list[OperatorModel]:
    """The operator costs of all devices but this one, the workspace's and those shipped, by name; without those that
    are made of other devices' costs themselves.

    Raises `InputError` for a device whose files are bad, and where no device has operator costs.
    """
    homes = [device_home(name) for name in sorted(device_names()) if name != home.name]
    models = [load_latency(other).operators for other in homes if (other.folder / COEFFICIENTS_FILE).exists()]
    found = [model for model in models if model is not None and not isinstance(model, TransferredOperators)]
    if not found:
        raise InputError(
            f"few networks need another device with operator costs to help {home.name}, but there is none; build a"
            " table of this machine (`nas lut build --device local`), or time more networks here (--budget)."
        )
    return found


def is_from_few(home: DeviceHome) -> bool:
    """Whether the costs of the device are made of few networks and other devices' costs."""
    if not (home.own_folder / COEFFICIENTS_FILE).exists():
        return False
    return isinstance(load_latency(home).operators, TransferredOperators)
