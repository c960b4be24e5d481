"""Devices that others timed, each from eight of its rows: writes benchmarks/published_devices.md.

    python -m benchmarks.published_devices

Reads `published/other_devices_latency.csv` of the data folder (`NAS_DATA`, or ../shared/data).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate
from threadpoolctl import threadpool_limits

import nas
from benchmarks.environment import environment_text
from benchmarks.published_rows import Published, read
from nas.graph import OperatorTable
from nas.latency.operator_model import OperatorModel
from nas.latency.transfer.networks import fit_networks_of
from nas.space import load_architecture

Floats = NDArray[np.float64]
REPORT = Path(__file__).with_name("published_devices.md")
ROWS, LEAST, LEAST_FEW = 8, 12, 5
SEEDS = range(30, 40)
SHIPPED: Mapping[str, str] = {"iphone12": "", "pixel3-cpu": "Pixel 3, CPU, four threads"}
"""Devices that are shipped, and the one of the rows here that they were fitted to: it never helps to predict itself."""
_TEXT = """\
# Devices that others timed

{environment}

Rows of `other_devices_latency.csv` whose network is a known one, in floating point; devices with at least {least} of
these. Each in turn is new: {rows} of its rows are drawn ({draws} times, seeds {first} to {last}; 100 to 119 were used
in making this, and 20 to 29 looked at), and `nas.fit_latency` has besides them the models of the other devices: those
shipped (`pixel3-cpu` does not help to predict the device that it was fitted to), and of each other device one fitted to
all of its rows in the same way. All other rows are predicted. The MnasNets that TensorFlow Lite hosted are read as B1:
the page does not say, but its files are of 8.5, 12, 17 and 24 MiB, as B1's parameters at four bytes are, and A1's are
not.

*Scaled* is the one of the other devices' models that explains the {rows} rows best, times one number. Errors are
|predicted / printed - 1|, means over draws; *inside* is the share of rows in their 90 % interval.

{table}

Our mean error is the lower one on {better} of {devices} devices. Inside, pooled over devices ({pooled_rows}
predictions): {pooled:.1%}.

## Too few rows for that

Of these devices half of the rows, rounded down, and one more are drawn, in the same way. So few say little, of either.

{few}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Errors of the rows that were not fitted, ours and of one scaled device, and which are inside."""

    ours: Floats
    scaled: Floats
    inside: NDArray[np.bool_]


def operators_of(device: str) -> OperatorModel:
    """What operators cost on a shipped device."""
    found = nas.load_latency(device).operators
    assert found is not None
    return found


def predicted(model: OperatorModel, tables: Sequence[OperatorTable]) -> Floats:
    """Milliseconds of whole networks."""
    return np.array([model.fixed_ms + model.costs(table)[0].sum() for table in tables])


def draw(case: Published, tables: Mapping[str, OperatorTable], others: Sequence[OperatorModel], seed: int) -> Draw:
    """Fit some rows of a device, predict the others."""
    names, latency_ms = list(case.latency_ms), np.array(list(case.latency_ms.values()))
    fitted = np.random.default_rng(seed).choice(len(names), min(ROWS, len(names) // 2 + 1), replace=False)
    left = np.setdiff1d(np.arange(len(names)), fitted)
    own, rest = ([tables[names[i]] for i in rows] for rows in (fitted, left))
    model = fit_networks_of(others, own, latency_ms[fitted])
    mean, true = predicted(model, rest), latency_ms[left]
    sums = np.stack([model.costs(table)[1].sum(axis=0) for table in rest])
    half = model.half_width(mean, sums, np.zeros(len(rest)))
    logs = np.log(latency_ms[fitted][:, None] / np.stack([predicted(m, own) for m in others], axis=1))
    best = int(logs.std(axis=0).argmin())
    scaled = np.exp(logs[:, best].mean()) * predicted(others[best], rest)
    return Draw(
        ours=np.abs(mean / true - 1.0),
        scaled=np.abs(scaled / true - 1.0),
        inside=np.abs(np.log(true / mean)) <= half,
    )


def row_of(case: Published, found: Sequence[Draw]) -> tuple[str, ...]:
    """A row of the report's tables."""
    ours, scaled = ([float(np.mean(getattr(d, who))) for d in found] for who in ("ours", "scaled"))
    medians = [float(np.mean([np.median(getattr(d, who)) for d in found])) for who in ("ours", "scaled")]
    inside = float(np.mean(np.concatenate([d.inside for d in found])))
    return (
        case.device, str(len(case.latency_ms)), f"{np.mean(ours):.1%}", f"{np.mean(scaled):.1%}",
        f"{np.mean(ours) / np.mean(scaled):.2f}", f"{medians[0]:.1%}", f"{medians[1]:.1%}", f"{inside:.0%}",
    )  # fmt: skip


def main() -> None:
    """Fit every device, write the report."""
    every = [case for case in read() if len(case.latency_ms) >= LEAST_FEW]
    cases = [case for case in every if len(case.latency_ms) >= LEAST]
    names = sorted({name for case in every for name in case.latency_ms})
    tables = {name: load_architecture(name).graph().operators() for name in names}
    shipped = {name: operators_of(name) for name in SHIPPED}
    rows: dict[str, tuple[str, ...]] = {}
    draws: list[Draw] = []
    with threadpool_limits(limits=1, user_api="blas"):
        for case in every:
            helping = [model for name, model in shipped.items() if SHIPPED[name] != case.device]
            models = [
                fit_networks_of(
                    helping, [tables[n] for n in other.latency_ms], np.array(list(other.latency_ms.values()))
                )
                for other in cases
                if other is not case
            ]
            found = [draw(case, tables, [*helping, *models], seed) for seed in SEEDS]
            draws += found if case in cases else []
            rows[case.device] = row_of(case, found)
            print(*rows[case.device], file=sys.stderr)
    pooled = np.concatenate([d.inside for d in draws])
    enough = [rows[case.device] for case in cases]
    few = [rows[case.device] for case in every if case not in cases]
    headers = ("device", "rows", "ours, mean", "scaled, mean", "ratio", "ours, median", "scaled, median", "inside")
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.published_devices"),
            least=LEAST,
            rows=ROWS,
            draws=len(SEEDS),
            first=SEEDS[0],
            last=SEEDS[-1],
            table=tabulate(enough, headers, tablefmt="github", disable_numparse=True),
            better=sum(float(row[4]) < 1.0 for row in enough),
            devices=len(enough),
            pooled_rows=len(pooled),
            pooled=float(pooled.mean()),
            few=tabulate(few, headers, tablefmt="github", disable_numparse=True),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
