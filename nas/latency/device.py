"""A device as a record: what hardware and runtime a latency belongs to, and how it was timed."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from nas.documents import check_keys, read_yaml
from nas.errors import InputError, unknown_name
from nas.resources import check_name, find, names

DEVICE_FILE = "device.yaml"
_ROOM = "latency_tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What `device.yaml` says: all text, but `threads` (0 where the runtime decides).

    `protocol` is how latencies are timed, `source` who timed them, `date` when (YYYY-MM-DD or a year), `reach` how the
    program gets there to measure ("local": it is this machine; empty: it does not).
    """

    name: str
    chip: str
    runtime: str
    compute_unit: str
    precision: str
    protocol: str
    date: str
    source: str
    threads: int = 0
    reach: str = ""
    notes: str = ""

    def as_json(self) -> dict[str, str | int]:
        """The record as a mapping."""
        return asdict(self)


def read_device(path: Path) -> Device:
    """The device that the YAML file at `path` describes.

    Raises `InputError` naming the file and the key for a file that is no YAML mapping, an unknown or missing
    key, a value of the wrong type, or a name that is no plain name.
    """
    keys = [f.name for f in fields(Device)]
    required = [f.name for f in fields(Device) if f.default is MISSING]
    record = check_keys(read_yaml(path), keys, str(path), required=required)
    texts = {key: _text(value, f"{path}: {key}") for key, value in record.items() if key != "threads"}
    threads = record.get("threads", 0)
    if type(threads) is not int or threads < 0:
        raise InputError(f"{path}: threads must be a whole number of at least 0, but got {threads!r}.")
    check_name(texts["name"], what=f"{path}: name")
    return Device(threads=threads, **texts)


def _text(value: object, where: str) -> str:
    """`value` as text; a bare year or version may come as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value) == "":
        raise InputError(f"{where} must be a text, but got {value!r}.")
    return str(value)


def device_names() -> dict[str, Path]:
    """Device name → its folder, the workspace's own before those shipped."""
    return {name: path.parent for name, path in names(_ROOM, f"*/{DEVICE_FILE}").items()}


def device_folder(name: str) -> Path:
    """The folder of the device `name`; an unknown name or a path is an `InputError` (nearest names shown)."""
    if "," in name:
        raise InputError(
            f"a device must be one name, but got {name!r}; a search takes further ones as --also NAME:30ms."
        )
    check_name(name, what="device")
    path = find(_ROOM, f"{name}/{DEVICE_FILE}")
    if path is None:
        remedy = "`nas device list` shows all; `nas device add FILE` adds one."
        raise unknown_name("device", name, device_names(), remedy=remedy)
    return path.parent


def load_device(name: str) -> Device:
    """The device called `name`. Raises `InputError` for an unknown name, a path, or a bad `device.yaml`."""
    path = device_folder(name) / DEVICE_FILE
    device = read_device(path)
    if device.name != name:
        raise InputError(f"{path}: name must be that of its folder, {name!r}, but got {device.name!r}.")
    return device
