"""Which runner times networks on a device."""

from __future__ import annotations

from nas.errors import InputError
from nas.latency.device import Device
from nas.runners.local import LITERT, ONNX_RUNTIME, LocalRunner
from nas.runners.runner import Runner


def find_runner(device: Device, where: str) -> Runner:
    """The runner that times networks on `device`, whose `device.yaml` is at `where`.

    Raises `InputError` for a device that nothing here reaches, or whose runtime no runner has.
    """
    if device.reach != "local":
        raise InputError(
            f"{where}: reach must be 'local' for a device to be measured here, but got {device.reach or 'none'!r};"
            f" import a table measured elsewhere with `nas lut import FILE --device {device.name}`."
        )
    engines = {engine.title: engine for engine in (ONNX_RUNTIME, LITERT)}
    for title, engine in engines.items():
        if device.runtime == title or device.runtime.startswith(f"{title} "):
            return LocalRunner(engine)
    raise InputError(
        f"{where}: runtime must be one that is measured here ({', '.join(engines)}), but got {device.runtime!r}."
    )
