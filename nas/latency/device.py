"""A device as a record: what hardware and runtime a latency belongs to, and how it was timed."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.latency.way import LOCAL, SSH, TIMED, WAY_KEYS, Way, read_reach, read_way, way_json
from nas.resources import check_name, names

DEVICE_FILE = "device.yaml"
ROOM = "latency_tables"
MOST_SETTLE_MS = 1000.0
UNTOLD = "unknown until"
"""How a chip begins that nobody has told yet, in a file that was written for a new device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What `device.yaml` says: all text, but `threads` (0 where the runtime decides), `settle_ms` and `way`.

    `protocol` is how latencies are timed, `source` who timed them, `date` when (YYYY-MM-DD or a year), `reach` how the
    program gets there to measure (`nas.latency.way`; "local": it is this machine; empty, in the file also "none": it
    does not), `way` what else belongs to that. `settle_ms` is for how long a network runs before a run that counts: 0
    as in an application that does other work between two runs, some ten milliseconds as in one that runs it back to
    back, where all that it reads lies near.
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
    settle_ms: float = 0.0
    reach: str = ""
    notes: str = ""
    way: Way | None = None

    @property
    def is_timed(self) -> bool:
        """Whether networks are timed on it from here, whatever may be wrong with the way there."""
        return self.reach in TIMED

    @property
    def conditions(self) -> dict[str, str]:
        """What a latency is of beside chip and runtime: threads, precision, compute unit, and how long networks settle
        where they do; times of others never mix."""
        return {
            "threads": str(self.threads) if self.threads else "as the runtime decides",
            "precision": self.precision,
            "compute_unit": self.compute_unit,
            **({"settle_ms": f"{self.settle_ms:g}"} if self.settle_ms else {}),
        }

    @property
    def environment(self) -> dict[str, str]:
        """What its own file says of where and how latencies are timed: for those that were timed out of reach."""
        return {"chip": self.chip, "runtime": self.runtime, **self.conditions}

    def require_chip(self) -> None:
        """Raises `InputError` where the file does not say the chip yet, of a device whose chip nothing else tells."""
        if self.chip.startswith(UNTOLD):
            raise InputError(
                f"{DEVICE_FILE} of {self.name}: chip must be that of the device, as times are of it and nothing here"
                f" tells it, but got {self.chip!r}; write it there first, such as Apple A17 Pro."
            )

    def as_json(self) -> dict[str, Any]:
        """The record as a mapping, with the keys of its way; without `settle_ms` where networks do not settle."""
        found = asdict(self)
        del found["way"]
        if not self.settle_ms:
            del found["settle_ms"]
        return found | way_json(self.way)


def read_device(path: Path) -> Device:
    """The device that the YAML file at `path` describes.

    Raises `InputError` naming the file and the key for a file that is no YAML mapping, an unknown or missing
    key, a value of the wrong type, a name that is no plain name, or a way there that cannot be.
    """
    keys = [f.name for f in fields(Device) if f.name != "way"]
    required = [f.name for f in fields(Device) if f.default is MISSING]
    record = dict(check_keys(read_yaml(path), [*keys, *WAY_KEYS], str(path), required=required))
    reach = read_reach(record.pop("reach", ""), str(path))
    way = read_way(reach, {key: record.pop(key) for key in list(record) if key in WAY_KEYS}, str(path))
    threads, settle_ms = record.pop("threads", 0), record.pop("settle_ms", 0.0)
    texts = {key: _text(value, f"{path}: {key}") for key, value in record.items()}
    if type(threads) is not int or threads < 0:
        raise InputError(f"{path}: threads must be a whole number of at least 0, but got {threads!r}.")
    if type(settle_ms) not in (int, float) or not 0.0 <= settle_ms <= MOST_SETTLE_MS:
        raise InputError(f"{path}: settle_ms must be a number of 0 to {MOST_SETTLE_MS:g}, but got {settle_ms!r}.")
    if settle_ms and reach not in (LOCAL, SSH):
        raise InputError(
            f"{path}: settle_ms must be left out but for reach: {LOCAL} and {SSH}, where single runs are timed, but got"
            f" {settle_ms!r}."
        )
    check_name(texts["name"], what=f"{path}: name")
    return Device(threads=threads, settle_ms=float(settle_ms), reach=reach, way=way, **texts)


def _text(value: object, where: str) -> str:
    """`value` as text; a bare year or version may come as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value) == "":
        raise InputError(f"{where} must be a text, but got {value!r}.")
    return str(value)


def device_names() -> dict[str, Path]:
    """Device name → its folder, the workspace's own before those shipped."""
    return {name: path.parent for name, path in names(ROOM, f"*/{DEVICE_FILE}").items()}
