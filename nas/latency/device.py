"""A device as a record: what hardware and runtime a latency belongs to, and how it was timed."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.resources import check_name, names

DEVICE_FILE = "device.yaml"
ROOM = "latency_tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What `device.yaml` says: all text, but `threads` (0 where the runtime decides).

    `protocol` is how latencies are timed, `source` who timed them, `date` when (YYYY-MM-DD or a year), `reach` how the
    program gets there to measure ("local": it is this machine; empty, in the file also "none": it does not).
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

    @property
    def conditions(self) -> dict[str, str]:
        """What a latency is of beside chip and runtime: threads, precision, compute unit; times of others never mix."""
        return {
            "threads": str(self.threads) if self.threads else "as the runtime decides",
            "precision": self.precision,
            "compute_unit": self.compute_unit,
        }

    @property
    def environment(self) -> dict[str, str]:
        """What its own file says of where and how latencies are timed: for those that were timed out of reach."""
        return {"chip": self.chip, "runtime": self.runtime, **self.conditions}

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
    if texts.get("reach") == "none":
        del texts["reach"]
    return Device(threads=threads, **texts)


def _text(value: object, where: str) -> str:
    """`value` as text; a bare year or version may come as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value) == "":
        raise InputError(f"{where} must be a text, but got {value!r}.")
    return str(value)


def device_names() -> dict[str, Path]:
    """Device name → its folder, the workspace's own before those shipped."""
    return {name: path.parent for name, path in names(ROOM, f"*/{DEVICE_FILE}").items()}
