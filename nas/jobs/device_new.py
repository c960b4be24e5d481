"""A device file to begin with: every key that a way to a device takes, with what it means."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError
from nas.files import write_bytes
from nas.latency.device import DEVICE_FILE, ROOM, UNTOLD, Device, device_names, read_device
from nas.latency.way import ADB, BUNDLE, IOS, LOCAL, SSH, WAYS
from nas.resources import check_name, workspace

RUNTIMES: Mapping[str, tuple[str, str, str, int]] = {
    "onnx": ("ONNX Runtime", "CPU", "float32", 1),
    "litert": ("LiteRT", "CPU", "float32", 1),
    "coreml": ("Core ML", "Neural Engine", "float16", 0),
}
"""A file format → its runtime, and the compute unit, precision and threads to begin with."""
_USUAL = {LOCAL: "onnx", SSH: "onnx", ADB: "litert", IOS: "coreml", BUNDLE: "onnx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """What a user asks of `nas device new`; `host` is of ssh, `serial` of adb; without a `runtime` the
    way's usual one."""

    name: str
    reach: str
    runtime: str | None = None
    host: str = ""
    serial: str = ""


def new_device(asked: NewDevice) -> tuple[Device, Path]:
    """Write a commented device file to the workspace; the device, and where it is.

    Raises `InputError` where there is a device of that name, and for what the file could not say.
    """
    check_name(asked.name, what="device")
    place = workspace() / ROOM / asked.name / DEVICE_FILE
    if asked.name in device_names():
        raise InputError(
            f"a device must have a name of its own, but {asked.name} is there already; `nas device show {asked.name}`"
            " shows it."
        )
    for option, value, way in (("--host", asked.host, SSH), ("--serial", asked.serial, ADB)):
        if value and asked.reach != way:
            raise InputError(f"{option} must come with --reach {way}, but got --reach {asked.reach}; leave it out.")
    if asked.reach == ADB and asked.runtime == "coreml":
        raise InputError("--runtime must be one of an Android phone (litert, onnx), but got 'coreml'.")
    if asked.reach == IOS and asked.runtime not in (None, "coreml"):
        raise InputError(f"--runtime must be coreml for --reach ios, but got {asked.runtime!r}.")
    content = device_text(asked).encode()
    with tempfile.TemporaryDirectory(prefix="nas-") as folder:
        tried = Path(folder) / DEVICE_FILE
        tried.write_bytes(content)
        device = read_device(tried)
    write_bytes(place, content)
    return device, place


def device_text(asked: NewDevice) -> str:
    """The file, in YAML."""
    title, unit, precision, threads = RUNTIMES[asked.runtime or _USUAL[asked.reach]]
    units = "CPU, GPU or Neural Engine" if title == "Core ML" else "CPU"
    note, chip = _CHIP.get(asked.reach, _FOUND)
    return f"""\
# The device {asked.name}. Lines that begin with # are notes; `nas device check {asked.name}` tries what stands here.
name: {asked.name}

# What it is. {note}
chip: {chip}
runtime: {title}
{_WAY[asked.reach](asked, title)}
# How networks run on it. Times under other conditions never mix.
compute_unit: {unit}       # {units}
precision: {precision}
threads: {threads}             # 0: as many as the runtime likes
{_SETTLE if asked.reach in (LOCAL, SSH) else ""}
# What is printed beside every latency.
protocol: {_PROTOCOL[asked.reach]}
source: measured by `nas`
date: when its table was built
"""


_SETTLE = """\
# settle_ms: 10        # for so long a network runs before each run that counts: where your application runs it back to
#                      # back, rather than other work between two runs; say so in protocol
"""
_FOUND_HERE = "A build writes what it finds: the chip, the runtime with its version, the date."
_FOUND = (_FOUND_HERE, f"{UNTOLD} it is measured")
_CHIP: Mapping[str, tuple[str, str]] = {
    LOCAL: (_FOUND_HERE, "this machine"),
    IOS: (
        "Nothing tells the chip: write it first, as times are of it. A build writes the runtime with its version.",
        f"{UNTOLD} it is written here",
    ),
    BUNDLE: (
        "Nothing tells these two: write chip and runtime, with its version, first, as times are of them.",
        f"{UNTOLD} it is written here",
    ),
}
"""What stands over the chip, and for it, by the way to a device; of others a build finds it (`_FOUND`)."""


def _local(asked: NewDevice, title: str) -> str:
    return """
# It is this machine: networks are timed here, each batch in a process of its own.
reach: local
"""


def _ssh(asked: NewDevice, title: str) -> str:
    return f"""
# How to get there: by ssh, with your own keys and ~/.ssh/config. `ssh HOST` must log in without a question.
reach: ssh
host: {_quoted(asked.host or "user@device.local")}   # a name of your ssh configuration, or USER@HOST
python: python3          # the Python there (3.9 or newer) that has {title}; or such as ~/venv/bin/python
folder: .cache/nas       # where files lie there while they are timed, from the home folder; up to 0.5 GB
# port: 22               # these four only where your ssh configuration does not say them already
# jump: user@gateway
# identity: ~/.ssh/id_ed25519
# config: ~/.ssh/config
"""


def _adb(asked: NewDevice, title: str) -> str:
    tool = "benchmark_model" if title == "LiteRT" else "onnxruntime_perf_test"
    serial = (
        f"serial: {_quoted(asked.serial)}"
        if asked.serial
        else "# serial: 0123456789ABCDEF   # of several phones (`adb devices`)"
    )
    return f"""
# How to get there: by adb, over USB or Wi-Fi. `adb devices` must list it as "device".
reach: adb
program: /data/local/tmp/{tool}   # {title}'s own benchmark program, on the phone
{serial}
folder: /data/local/tmp/nas      # where files lie there while they are timed
# options: ["--use_gpu=true"]    # more arguments of the program, such as a delegate or a mask of cores
cool_celsius: 38                 # a batch begins when the battery is no warmer than this
"""


def _ios(asked: NewDevice, title: str) -> str:
    return """
# It is connected to this Mac, in developer mode, and coremltools (8.3 or newer) times networks on it, by an app of its
# own that Xcode signs. Write its chip above before that, such as Apple A17 Pro: coremltools does not tell it.
reach: ios
# udid: 00008130-0011223344556677   # of several connected devices
team: ABCDE12345                   # your development team (Xcode, Settings, Accounts), or instead of it the next two
# profile: 11111111-2222-3333-4444-555555555555   # a provisioning profile's UUID
# bundle_id: com.example.modelrunner               # and its bundle identifier
"""


def _bundle(asked: NewDevice, title: str) -> str:
    return f"""
# Nothing here gets there: `nas lut bundle --device {asked.name} --out DIR` writes networks for somebody to time, and
# `nas lut import DIR --device {asked.name}` takes the times back. Before that chip and runtime must stand above.
reach: bundle
"""


_WAY = {LOCAL: _local, SSH: _ssh, ADB: _adb, IOS: _ios, BUNDLE: _bundle}
assert tuple(_WAY) == WAYS
_HERE = (
    "batch 1; interleaved rounds in a fresh process, each run after one that does not count; mean of the fastest three"
    " quarters"
)
_PROTOCOL = {
    LOCAL: _HERE,
    SSH: _HERE,
    ADB: "batch 1; interleaved rounds of the runtime's benchmark program; mean of the fastest three quarters of its"
    " means",
    IOS: "batch 1; interleaved rounds of single calls by coremltools, each after one that does not count; mean of the"
    " fastest three quarters",
    BUNDLE: "batch 1; the median of at least 50 runs, after 10 that do not count",
}


def _quoted(text: str) -> str:
    """A text as YAML reads it back, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
