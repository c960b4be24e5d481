"""Bundles of a device that nothing reaches, and their times filled in."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nas.measure.bundle import TIMINGS_FILE, Bundle, BundledFile, bundled
from nas.measure.plan import Item, network_item, probe_item
from nas.runtimes import OWN
from nas.space import known_network

PHONE = """\
name: phone
chip: a chip
runtime: a runtime
compute_unit: CPU
precision: float16
threads: 4
protocol: by hand
date: 2024-05-01
source: me
reach: none
"""
"""A device file."""
CONDITIONS = {
    "chip": "a chip", "runtime": "a runtime", "threads": "4", "precision": "float16", "compute_unit": "CPU",
}  # fmt: skip
Rows = list[dict[str, str]]


def add_phone(workspace: Path, text: str = PHONE) -> Path:
    """The device `phone` in a workspace; its file."""
    place = workspace / "latency_tables" / "phone" / "device.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def three_items() -> list[Item]:
    """The reference of a bundle, a known network and a probe."""
    known = [("mobilenetv3-large-1.0", "reference"), ("mobilenetv2-0.6@192", "known")]
    return [*(network_item(known_network(name), role, OWN) for name, role in known), probe_item("probe-3", OWN)]


def small_bundle(formats: tuple[str, ...] = ("onnx",)) -> Bundle:
    """A bundle of `three_items`, its files' checksums made up."""
    networks = []
    for number, item in enumerate(three_items()):
        network = bundled(item, number, formats)
        files = {name: BundledFile(path=file.path, sha256=f"{name}{number}") for name, file in network.files.items()}
        networks.append(replace(network, files=files))
    return Bundle(
        device="phone", environment=CONDITIONS, space="small", seed=0, formats=formats, wanted=3,
        networks=tuple(networks),
    )  # fmt: skip


def rows_of(folder: Path) -> Rows:
    """The rows of `timings.csv` as they are."""
    return list(csv.DictReader(io.StringIO((folder / TIMINGS_FILE).read_text("utf-8"))))


def write_rows(folder: Path, rows: Rows) -> Path:
    """Write the rows back; the file."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path = folder / TIMINGS_FILE
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


def fill_in(folder: Path, latency: Callable[[int, dict[str, str]], str]) -> Path:
    """Fill in `timings.csv` with what `latency` says of a row, given its number from 0; the file."""
    rows = rows_of(folder)
    for number, row in enumerate(rows):
        row["latency_ms"] = latency(number, row)
    return write_rows(folder, rows)
