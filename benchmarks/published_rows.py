"""The rows of `published/other_devices_latency.csv` whose network is a known one, by device."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.errors import InputError
from nas.space import find_known
from tests.shared_data import shared_data

FILE = "other_devices_latency.csv"
_TIMM: Sequence[tuple[str, str]] = (
    (r"mobilenetv([12])_(\d)(\d+)", r"mobilenetv\1-\2.\3"),
    (r"mobilenetv3_(small|large)_(\d)(\d+)", r"mobilenetv3-\1-\2.\3"),
    (r"(?:tf_)?efficientnet_(lite\d|b[0-3])", r"efficientnet-\1"),
    (r"mnasnet_100", r"mnasnet-b1"),
    (r"mnasnet_(\d)(\d+)", r"mnasnet-b1-\1.\2"),
    (r"semnasnet_100", r"mnasnet-a1"),
    (r"semnasnet_(\d)(\d+)", r"mnasnet-a1-\1.\2"),
    (r"mnasnet_small", r"mnasnet-small"),
    (r"fbnetc_100", r"fbnet-c"),
    (r"ghostnet_(\d)(\d+)", r"ghostnet-\1.\2"),
    (r"mobilevit_(xxs|xs|s)", r"mobilevit-\1"),
    (r"mobilevitv2_(\d)(\d+)", r"mobilevitv2-\1.\2"),
)
"""timm's names. Its re-parameterised networks are left out: they were timed in training form."""
_OTHERS: Sequence[tuple[str, str]] = (
    (r"mobilenetv3-(.*minimalistic)", r"mobilenetv3-\1-1.0"),
    (r"mnasnet-a1-1", r"mnasnet-a1"),
    # A1 or B1 is not stated; the files are of 8.5, 12, 17 and 24 MiB, as B1's parameters at four bytes are.
    (r"mnasnet-1\.0-\(tflite.*", r"mnasnet-b1"),
    (r"mnasnet-([\d.]+)-\(tflite.*", r"mnasnet-b1-\1"),
    (r"squeezenet-\(tflite-2018\)", r"squeezenet-1.0"),
    (r"efficientnet-lite-(lite\d)", r"efficientnet-\1"),
    (r"fbnet-c", r"fbnet-c"),
)
_UNITS: Mapping[tuple[str, str], str] = {
    ("Pixel 1", "TFLite CPU, single large core"): "Pixel 1, CPU",
    ("Pixel 1", "TFLite mobile CPU"): "Pixel 1, CPU",
    ("Pixel 1", "TFLite (README: Pixel1 latency)"): "Pixel 1, CPU",
    ("Pixel 2", "TFLite CPU, single large core"): "Pixel 2, CPU",
    ("Pixel 3", "TFLite CPU, single large core"): "Pixel 3, CPU, one thread",
    ("Pixel 3 (Android 10)", "TFLite CPU 4 threads float"): "Pixel 3, CPU, four threads",
    ("Pixel 3 (Android 10)", "TFLite CPU 4 threads, big cores, 50 runs"): "Pixel 3, CPU, four threads",
    ("Pixel 3 (Android 10)", "TFLite GPU delegate float"): "Pixel 3, GPU",
    ("Pixel 3 (Android 10)", "TFLite GPU delegate"): "Pixel 3, GPU",
    ("Pixel 3 (Android 10)", "TFLite NNAPI float"): "Pixel 3, NNAPI",
    ("Pixel 3 (Android 10)", "TFLite NNAPI"): "Pixel 3, NNAPI",
    ("Pixel 4", "TFLite CPU fp32 4 threads, batch 1"): "Pixel 4, CPU, four threads",
    ("Pixel 4 (Android 10)", "TFLite CPU 4 threads, big cores, 50 runs"): "Pixel 4, CPU, four threads",
    ("Pixel 4", "TFLite GPU fp32, batch 1"): "Pixel 4, GPU",
    ("Pixel 4 (Android 10)", "TFLite GPU delegate"): "Pixel 4, GPU",
}
"""The unit of a device that a row is of, by its device and runtime, where these do not say it in one way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A known network's latency on a device as printed; `rounding_ms` is the last digit's step."""

    network: str
    latency_ms: float
    rounding_ms: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A device, the rows of known networks that were timed on it, and how many rows it has of others or in int8."""

    device: str
    rows: Sequence[Row]
    left_out: int

    @property
    def latency_ms(self) -> Mapping[str, float]:
        """Milliseconds by network; of two rows of one network the first."""
        return {row.network: row.latency_ms for row in reversed(self.rows)}


def read() -> list[Published]:
    """All devices, in the order of their first rows."""
    found: dict[str, list[Row]] = {}
    left_out: dict[str, int] = {}
    with (shared_data("published") / FILE).open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream):
            whole = (record["device"], record["runtime"])
            device = _UNITS.get(whole, ", ".join(whole))
            rows = found.setdefault(device, [])
            row = row_of(record)
            if row is None:
                left_out[device] = left_out.get(device, 0) + 1
            else:
                rows.append(row)
    return [Published(device=d, rows=rows, left_out=left_out.get(d, 0)) for d, rows in found.items()]


def row_of(record: Mapping[str, str]) -> Row | None:
    """A record of the file as a row; None where its network is unknown or computes in int8."""
    network, text = known_name(record), record["latency_ms"]
    if not network or not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) == 0.0:
        return None
    digits = len(text.partition(".")[2])
    return Row(network=network, latency_ms=float(text), rounding_ms=10.0**-digits, source=record["source"])


def known_name(record: Mapping[str, str]) -> str:
    """The known network that a record is of, "" for any other and in int8."""
    variant = record["variant"].lower().removesuffix(" float").replace(" ", "-")
    if "int8" in variant + record["runtime"] or "8-bit" in variant:
        return ""
    if record["network"].startswith("timm "):
        name = _renamed(record["network"].removeprefix("timm "), _TIMM)
        name = re.sub(r"(\.\d)0$", r"\1", name)
    else:
        name = f"{record['network'].lower()}-{variant}"
        name = _renamed(name, _OTHERS) or name
    if record["resolution"]:
        name = f"{name}@{float(record['resolution']):.0f}"
    elif not name.startswith("efficientnet-lite"):
        # The size of a Lite is that of its variant.
        return ""
    try:
        find_known(name)
    except InputError:
        return ""
    return name


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    """The name by the first rule that holds for all of it, "" where none does."""
    return next((re.sub(old, new, name) for old, new in rules if re.fullmatch(old, name)), "")
