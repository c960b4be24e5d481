"""The page and the picture of a check: predicted against measured latencies of fresh networks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from nas.files import write_bytes, writing
from nas.report.lut_text import check_text
from nas.resources import plain_name

_PAGE = """\
# {device}: predicted and measured latency of fresh networks of {space}

Made by `nas lut verify --device {device} --space {space} --networks {count} --seed {seed} --report DIR` on {today};
{environment}.

The networks were drawn with the seed, none of them timed for the table; every prediction was made before anything was
timed. A measured time is the mean over three to eight processes of the mean of the fastest three quarters of {runs}
runs by {clock}, {speed}.

```text
{text}
```

![predicted against measured latency]({picture})

| network | MACs M | predicted ms | interval | measured ms | error |
|---|---|---|---|---|---|
{rows}
"""

_AT_THE_TABLE_S_SPEED = """\
at the speed that the machine usually had when the table was built: each process is brought
to it by the reference network's time in that process (docs/latency.md)"""
_AT_NO_SPEED = "at the speed that the machine had then: nothing tells which it had for the table"


def write_check(record: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write `DEVICE-SPACE.md` and `.png` to `folder` from a record of `TableCheck.as_json`; their paths."""
    from nas.measure.check import ROUNDS
    from nas.runners.protocol import RUNS_A_VISIT

    name = plain_name(f"{record['device']}-{record['space']}")
    page, picture = folder / f"{name}.md", folder / f"{name}.png"
    rows = [
        f"| {n['name']} | {n['macs'] / 1e6:.0f} | {n['predicted']['mean_ms']:.3f} |"
        f" {n['predicted']['low_ms']:.3f}–{n['predicted']['high_ms']:.3f} | {n['measured_ms']:.3f} |"
        f" {100 * n['error']:+.1f} % |"
        for n in sorted(record["networks"], key=lambda n: float(n["measured_ms"]))
    ]
    text = _PAGE.format(
        **{key: record[key] for key in ("device", "space", "count", "seed")},
        today=date.today().isoformat(),
        environment="; ".join(f"{key} {value}" for key, value in record["environment"].items()),
        runs=ROUNDS * RUNS_A_VISIT,
        clock="the thread's clock" if record["environment"].get("threads") == "1" else "the wall clock",
        speed=_AT_NO_SPEED if record["speed"] is None else _AT_THE_TABLE_S_SPEED,
        text=check_text(record),
        picture=picture.name,
        rows="\n".join(rows),
    )
    write_bytes(page, text.encode())
    _draw(record, picture)
    return page, picture


def _draw(record: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    networks = record["networks"]
    measured = np.array([n["measured_ms"] for n in networks])
    predicted = np.array([[n["predicted"][key] for key in ("mean_ms", "low_ms", "high_ms")] for n in networks])
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    ends = np.array([measured.min() / 1.15, measured.max() * 1.15])
    axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.93", label="±10 %")
    axes.fill_between(ends, 0.95 * ends, 1.05 * ends, color="0.83", label="±5 %")
    axes.plot(ends, ends, color="0.4", linewidth=0.8)
    bars = np.stack((predicted[:, 0] - predicted[:, 1], predicted[:, 2] - predicted[:, 0]))
    axes.errorbar(
        measured, predicted[:, 0], yerr=bars, fmt="o", markersize=3.5, linewidth=0.7, color="tab:blue",
        label="predicted, 90 % interval",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="measured, ms", ylabel="predicted, ms")
    axes.set_title(f"{len(networks)} fresh networks of {record['space']} on {record['device']}", fontsize=10)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
        axis.set_tick_params(which="both", labelsize=8)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
