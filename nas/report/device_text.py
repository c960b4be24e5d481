"""Devices as text: their list, and all that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.latency import Device
from nas.report.lut_text import left_out_line
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual

if TYPE_CHECKING:
    from nas.jobs.device_check import DeviceCheck
    from nas.measure.level import Now


_THEN = {True: "when the table was built", False: "by the table"}
_REACHED = {"local": "here", "ssh": "by ssh", "adb": "by adb", "ios": "by cable"}


def devices_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The records of devices, a line each; threads are "-" where the runtime decides."""
    columns = [
        textual("device"), textual("chip", 2, wrap=True), textual("runtime", wrap=True), textual("unit"),
        numeric("threads"), textual("precision"), textual("measured", 1), textual("source", 3, wrap=True),
    ]  # fmt: skip
    rows = [
        (
            r["name"], r["chip"], r["runtime"], r["compute_unit"], r["threads"] or None, r["precision"],
            _REACHED.get(r["reach"], "elsewhere"), r["source"],
        )
        for r in records
    ]  # fmt: skip
    return table(columns, rows, page)


def device_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """Every fact of one device that is known, a paragraph each."""
    return "\n".join(
        page.filled(_fact(key, value), indent=f"{key.replace('_', ' '):13} ", hanging=" " * 14)
        for key, value in record.items()
        if value != ""
    )


def _fact(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return left_out_line(value)
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "as the runtime decides" if key == "threads" and value == 0 else str(value)


def new_text(device: Device, place: Path, page: Page = PLAIN) -> str:
    """Where the file of a new device is, and what comes next."""
    after = {
        "bundle": f"nas lut bundle --device {device.name} --out {device.name}-networks",
    }.get(device.reach, f"nas device check {device.name}")
    return "\n".join(
        [page.filled(f"wrote {place}"), page.filled("look it over, then:", hanging="  "), f"  {after}"]
    )  # fmt: skip


def check_text(found: DeviceCheck, page: Page = PLAIN) -> str:
    """What a look at a device found: where it is, the reference, today's speed."""
    now = found.now
    mean_ms = sum(now.reference_ms) / len(now.reference_ms)
    lines = [f"{found.device} is there ({found.reach})"]
    lines += [f"{key:<13} {value}" for key, value in found.environment.items()]
    lines.append(
        f"{now.as_json()['reference']['network']}: {mean_ms:.3f} ms, straying by {100 * now.stray:.1f} % over"
        f" {len(now.reference_ms)} processes"
    )
    if now.level is None:
        lines.append(
            f"there is no table to compare its speed with: `nas lut build --device {found.device}` makes one"
        )  # fmt: skip
    else:
        lines += [
            f"{one.network}: {one.measured_ms:.3f} ms, {_THEN[one.was_timed]} {one.table_ms:.3f} ms"
            f" ({100 * (one.measured_ms / one.table_ms - 1):+.1f} %)"
            for one in now.compared
        ]
        lines.append(level_note(now))
    return "\n".join(page.filled(line, hanging="  ") for line in lines)


def level_note(now: Now) -> str:
    """How far today's speed is from the table's, in words."""
    assert now.level is not None
    assert now.interval is not None
    percent, low, high = (100.0 * (level - 1.0) for level in (now.level, *now.interval))
    count = sum(one.was_timed for one in now.compared) or len(now.compared)
    than = f"{abs(percent):.1f} % {'slower' if percent > 0 else 'faster'} than"
    compared = than if abs(percent) >= 0.05 else "as fast as"
    return (
        f"now {compared} when the table was built ({count} network{'s' * (count > 1)}; 90 % interval {low:+.1f} to"
        f" {high:+.1f} %)"
    )
