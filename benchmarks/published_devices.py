"""Devices that others timed, each from eight of its rows: writes benchmarks/published_devices.md.

    python -m benchmarks.published_devices

Reads `published/other_devices_latency.csv` of the data folder (`NAS_DATA`, or ../shared/data).
"""

from __future__ import annotations

import csv
import os
import re
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
from nas.errors import InputError
from nas.graph import OperatorTable
from nas.latency.operator_model import OperatorModel
from nas.latency.transfer.networks import fit_networks_of
from nas.space import find_known, load_architecture

Floats = NDArray[np.float64]
REPORT = Path(__file__).with_name("published_devices.md")
DATA = Path(os.environ.get("NAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
ROWS, LEAST = 8, 12
SEEDS = range(20, 30)
SHIPPED: Mapping[str, str] = {"iphone12": "", "pixel3-cpu": "Pixel 3 (Android 10), TFLite CPU 4 threads"}
"""Devices that are shipped, and the one of the rows here that they were fitted to: it never helps to predict itself."""
_TIMM: Sequence[tuple[str, str]] = (
    (r"mobilenetv([12])_(\d)(\d+)", r"mobilenetv\1-\2.\3"),
    (r"mobilenetv3_(small|large)_(\d)(\d+)", r"mobilenetv3-\1-\2.\3"),
    (r"(?:tf_)?efficientnet_(lite\d|b[0-3])", r"efficientnet-\1"),
    (r"mnasnet_(\d)(\d+)", r"mnasnet-b1-\1.\2"),
    (r"mnasnet_small", r"mnasnet-small"),
    (r"fbnetc_100", r"fbnet-c"),
    (r"ghostnet_(\d)(\d+)", r"ghostnet-\1.\2"),
    (r"mobilevit_(xxs|xs|s)", r"mobilevit-\1"),
    (r"mobilevitv2_(\d)(\d+)", r"mobilevitv2-\1.\2"),
)
"""timm's names. Its re-parameterised networks are left out: they were timed in training form."""
_TEXT = """\
# Devices that others timed

{environment}

Rows of `other_devices_latency.csv` whose network is a known one, in floating point; devices with at least {least} of
these. Each in turn is new: {rows} of its rows are drawn ({draws} times, seeds {first} to {last}; others were used in
making this), and `nas.fit_latency` has besides them the models of the other devices: those shipped (`pixel3-cpu` does
not help to predict the device that it was fitted to), and of each other device one fitted to all of its rows in the
same way. All other rows are predicted.

*Scaled* is the one of the other devices' models that explains the {rows} rows best, times one number. Errors are
|predicted / printed - 1|, means over draws; *inside* is the share of rows in their 90 % interval.

{table}

Our mean error is the lower one on {better} of {devices} devices. Inside, pooled over devices ({pooled_rows}
predictions): {pooled:.1%}.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The known networks that were timed on a device, and milliseconds."""

    device: str
    names: Sequence[str]
    latency_ms: Floats


def read() -> list[Published]:
    """The devices with enough rows; of two rows of one network the first."""
    found: dict[str, dict[str, float]] = {}
    with (DATA / "published" / "other_devices_latency.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            name = known_name(row)
            if name:
                runtime = row["runtime"].replace(" delegate", "").removesuffix(" float").partition(",")[0]
                runtime = runtime.partition(";")[0].partition(" (")[0]
                device = row["device"] if row["device"] == "Pixel 1" else f"{row['device']}, {runtime}"
                found.setdefault(device, {}).setdefault(name, float(row["latency_ms"]))
    return [
        Published(device=device, names=list(rows), latency_ms=np.array(list(rows.values())))
        for device, rows in found.items()
        if len(rows) >= LEAST
    ]


def known_name(row: Mapping[str, str]) -> str:
    """The known network that a row is of, "" for any other."""
    variant = row["variant"].lower().removesuffix(" float")
    if not row["resolution"] or "int8" in variant + row["runtime"] or "8-bit" in variant or not _is_number(row):
        return ""
    if row["network"].startswith("timm "):
        text = row["network"].removeprefix("timm ")
        name = next((re.sub(old, new, text) for old, new in _TIMM if re.fullmatch(old, text)), "")
        name = re.sub(r"(\.\d)0$", r"\1", name)
    else:
        name = f"{row['network'].lower()}-{variant.replace(' ', '-')}"
        if name.endswith("minimalistic"):
            name += "-1.0"
        name = {"mnasnet-a1-1": "mnasnet-a1", "squeezenet-(tflite-2018)": "squeezenet-1.0"}.get(name, name)
    if not name:
        return ""
    name = f"{name}@{float(row['resolution']):.0f}"
    try:
        find_known(name)
    except InputError:
        return ""
    return name


def _is_number(row: Mapping[str, str]) -> bool:
    try:
        return float(row["latency_ms"]) > 0.0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Errors of the rows that were not fitted, ours and of one scaled device, and which are inside."""

    ours: Floats
    scaled: Floats
    inside: NDArray[np.bool_]


def costs_of(name: str) -> OperatorModel:
    """The operator costs of a shipped device."""
    model = nas.load_latency(name).operators
    assert model is not None
    return model


def predicted(model: OperatorModel, tables: Sequence[OperatorTable]) -> Floats:
    """Milliseconds of whole networks."""
    return np.array([model.fixed_ms + model.costs(table)[0].sum() for table in tables])


def draw(case: Published, tables: Mapping[str, OperatorTable], others: Sequence[OperatorModel], seed: int) -> Draw:
    """Fit some rows of a device, predict the others."""
    fitted = np.random.default_rng(seed).choice(len(case.names), ROWS, replace=False)
    left = np.setdiff1d(np.arange(len(case.names)), fitted)
    own, rest = ([tables[case.names[i]] for i in rows] for rows in (fitted, left))
    model = fit_networks_of(others, own, case.latency_ms[fitted])
    mean, true = predicted(model, rest), case.latency_ms[left]
    sums = np.stack([model.costs(table)[1].sum(axis=0) for table in rest])
    half = model.half_width(mean, sums, np.zeros(len(rest)))
    logs = np.log(case.latency_ms[fitted][:, None] / np.stack([predicted(m, own) for m in others], axis=1))
    best = int(logs.std(axis=0).argmin())
    scaled = np.exp(logs[:, best].mean()) * predicted(others[best], rest)
    return Draw(
        ours=np.abs(mean / true - 1.0),
        scaled=np.abs(scaled / true - 1.0),
        inside=np.abs(np.log(true / mean)) <= half,
    )


def main() -> None:
    """Fit every device, write the report."""
    cases = read()
    tables = {n: load_architecture(n).graph().operators() for n in sorted({n for case in cases for n in case.names})}
    shipped = {name: costs_of(name) for name in SHIPPED}
    rows, draws = [], []
    with threadpool_limits(limits=1, user_api="blas"):
        for case in cases:
            helping = [model for name, model in shipped.items() if SHIPPED[name] != case.device]
            models = [
                fit_networks_of(helping, [tables[n] for n in other.names], other.latency_ms)
                for other in cases
                if other is not case
            ]
            found = [draw(case, tables, [*helping, *models], seed) for seed in SEEDS]
            draws += found
            ours, scaled = ([float(np.mean(getattr(d, who))) for d in found] for who in ("ours", "scaled"))
            medians = [float(np.mean([np.median(getattr(d, who)) for d in found])) for who in ("ours", "scaled")]
            inside = float(np.mean(np.concatenate([d.inside for d in found])))
            rows.append((
                case.device, str(len(case.names)), f"{np.mean(ours):.1%}", f"{np.mean(scaled):.1%}",
                f"{np.mean(ours) / np.mean(scaled):.2f}", f"{medians[0]:.1%}", f"{medians[1]:.1%}", f"{inside:.0%}",
            ))  # fmt: skip
            print(*rows[-1], file=sys.stderr)
    pooled = np.concatenate([d.inside for d in draws])
    headers = ("device", "rows", "ours, mean", "scaled, mean", "ratio", "ours, median", "scaled, median", "inside")
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.published_devices"),
            least=LEAST,
            rows=ROWS,
            draws=len(SEEDS),
            first=SEEDS[0],
            last=SEEDS[-1],
            table=tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            better=sum(float(row[4]) < 1.0 for row in rows),
            devices=len(rows),
            pooled_rows=len(pooled),
            pooled=float(pooled.mean()),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
