"""Which runner times networks on a device."""

from __future__ import annotations

from nas.errors import InputError
from nas.latency.home import DeviceHome
from nas.latency.way import TIMED, Adb, Ios, Ssh
from nas.runners.adb import find_program, open_adb
from nas.runners.apple import AppleRunner
from nas.runners.engines import CORE_ML, ENGINES, Engine
from nas.runners.local import LocalRunner
from nas.runners.protocol import Runner
from nas.runners.ssh import SshRunner


def find_runner(home: DeviceHome) -> Runner:
    """The runner that times networks on the device of `home`; it has not been there yet.

    Raises `InputError`, naming its `device.yaml`, for a device that is not timed from here, a runtime that no runner
    has, and threads, a precision or a compute unit that its runner cannot do.
    """
    device = home.device
    if not device.is_timed:
        raise InputError(
            f"{home.file}: reach must be {', '.join(TIMED[:-1])} or {TIMED[-1]} for a device to be timed from here, but"
            f" got {device.reach or 'none'!r}; `nas lut bundle --device {device.name} --out DIR` writes networks to be"
            f" timed elsewhere, and `nas lut import FILE --device {device.name}` takes what was measured there."
        )
    runner: Runner
    if isinstance(device.way, Adb):
        runner = open_adb(device, find_program(home))
    elif isinstance(device.way, Ios):
        runner = _apple(home)
    else:
        engine = _engine(home)
        runner = SshRunner(engine, device.way) if isinstance(device.way, Ssh) else LocalRunner(engine)
    runner.abilities.require(
        threads=device.threads, precision=device.precision, compute_unit=device.compute_unit, where=str(home.file)
    )
    return runner


def _apple(home: DeviceHome) -> AppleRunner:
    if not CORE_ML.is_called(home.device.runtime):
        raise InputError(
            f"{home.file}: runtime must be {CORE_ML.title} for reach: ios, but got {home.device.runtime!r}."
        )  # fmt: skip
    return AppleRunner(home.device)


def _engine(home: DeviceHome) -> Engine:
    for engine in ENGINES:
        if engine.is_called(home.device.runtime):
            return engine
    raise InputError(
        f"{home.file}: runtime must be one that is measured here ({', '.join(engine.title for engine in ENGINES)}), but"
        f" got {home.device.runtime!r}."
    )
