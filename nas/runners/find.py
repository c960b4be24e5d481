"""Which runner times networks on a device."""

from __future__ import annotations

from nas.errors import InputError
from nas.latency.home import DeviceHome
from nas.runners.local import LITERT, ONNX_RUNTIME, LocalRunner
from nas.runners.protocol import Runner


def is_reached(home: DeviceHome) -> bool:
    """Whether there is a way from here to the device of `home`, whatever may be wrong with it."""
    return home.device.reach == "local"


def find_runner(home: DeviceHome) -> Runner:
    """The runner that times networks on the device of `home`.

    Raises `InputError`, naming its `device.yaml`, for a device that nothing here reaches, a runtime that no runner has,
    and threads, a precision or a compute unit that its runner cannot do.
    """
    device = home.device
    if not is_reached(home):
        raise InputError(
            f"{home.file}: reach must be 'local' for a device to be measured here, but got {device.reach or 'none'!r};"
            f" `nas lut bundle --device {device.name} --out DIR` writes networks to be timed elsewhere, and `nas lut"
            f" import FILE --device {device.name}` takes what was measured there."
        )
    engines = {engine.title: engine for engine in (ONNX_RUNTIME, LITERT)}
    for title, engine in engines.items():
        if device.runtime == title or device.runtime.startswith(f"{title} "):
            runner = LocalRunner(engine)
            runner.abilities.require(
                threads=device.threads,
                precision=device.precision,
                compute_unit=device.compute_unit,
                where=str(home.file),
            )
            return runner
    raise InputError(
        f"{home.file}: runtime must be one that is measured here ({', '.join(engines)}), but got {device.runtime!r}."
    )
