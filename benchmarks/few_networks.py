"""What a dozen timed networks make of a device: writes benchmarks/few_networks.md, in some minutes on one core.

    python -m benchmarks.few_networks

Reads `cases/made_up_devices.py` and `data/published/other_devices_latency.csv` beside the data folder (`NAS_DATA`, or
../shared/data).
"""

from __future__ import annotations

import csv
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from benchmarks.environment import environment_text
from nas.errors import InputError
from nas.graph import OperatorTable
from nas.jobs.arch import describe_architecture
from nas.latency.published.calibrate import SIMPLE
from nas.latency.published.cost_model import Floats
from nas.latency.published.predictor import make_predictor
from nas.latency.published.rows import Calibration, PublishedRow
from nas.latency.published.validate import fit_and_judge
from nas.space import find_known, known_names, load_architecture

REPORT = Path(__file__).with_name("few_networks.md")
DRAWS, COUNT, NOISE = 5, 12, 0.04
LEAST_ROWS = 15
"""Pixels with fewer usable rows are left out: twelve are fitted."""
_TEXT = """\
# Twelve timed networks

{environment}

Twelve networks are drawn {draws} times (seeds 0 to {last}) for each device, and fitted as `nas lut fit` does; all the
others are predicted. The made-up devices (`made_up_devices.py`) have known latencies, to which the twelve get
{noise:.0%} of noise (log-normal); the networks are the {known} known ones. The Pixels have the float rows of
`other_devices_latency.csv` whose network is a known one, as printed: the other rows are predicted, for two of the
Pixels so few that their ratios say little.

*MACs + parameters* is c0 + a·MACs + b·parameters, least squares of relative errors of the same twelve. Errors are
|predicted / true - 1| of the networks that were not fitted, in the median and on average over them, then the mean over
draws; *ratio* is ours over that of MACs + parameters. *Inside* is the share of networks in their 90 % interval, *width*
the median of high / low. *Roofline* is the share of the latency that operator costs got, in each draw, *sizes* that of
MACs and parameters alone (none negative, outliers count less); the rest is of counts of operators.

{table}

Ratio of errors, the median over devices: {medians} (of medians), {means} (of means); over the made-up devices
{made_up_medians} and {made_up_means}. The largest: {worst_median} and {worst_mean}.

Where MACs and parameters say all (`far-away`, `slow-board`) both columns are the same model but for what is not allowed
to be negative, and a ratio is that of two errors of a hundredth.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A device's networks, by name, with its latencies; `noise` is added to what is fitted."""

    device: str
    latency_ms: Mapping[str, float]
    noise: float


def made_up(folder: Path) -> Iterator[Case]:
    """The made-up devices, with every known network."""
    spec = importlib.util.spec_from_file_location("made_up_devices", folder / "cases" / "made_up_devices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    latency: Callable[[str, dict[str, Any]], float] = module.latency_ms
    documents = {name: describe_architecture(load_architecture(name)) for name in known_names()}
    for device in module.DEVICES:
        yield Case(device=device, latency_ms={n: latency(device, d) for n, d in documents.items()}, noise=NOISE)


def pixels(folder: Path) -> Iterator[Case]:
    """Pixels with enough rows of known networks in floating point; of two rows of one network the first."""
    found: dict[str, dict[str, float]] = {}
    with (folder / "data" / "published" / "other_devices_latency.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            name = _known_name(row)
            if row["device"].startswith("Pixel") and name:
                runtime = row["runtime"].replace(" delegate", "").removesuffix(" float").partition(",")[0]
                device = row["device"] if row["device"] == "Pixel 1" else f"{row['device']}, {runtime}"
                found.setdefault(device, {}).setdefault(name, float(row["latency_ms"]))
    for device, rows in found.items():
        if len(rows) >= LEAST_ROWS:
            yield Case(device=device, latency_ms=rows, noise=0.0)


def _known_name(row: dict[str, str]) -> str:
    """The known network that a row is of, "" for any other."""
    family, variant = row["network"].lower(), row["variant"].lower().removesuffix(" float")
    if not row["resolution"] or "int8" in variant + row["runtime"] or "8-bit" in variant:
        return ""
    name = f"{family}-{variant.replace(' ', '-')}"
    if name.endswith("minimalistic"):
        name += "-1.0"
    name = {"mnasnet-a1-1": "mnasnet-a1", "squeezenet-(tflite-2018)": "squeezenet-1.0"}.get(name, name)
    name = f"{name}@{float(row['resolution']):.0f}"
    try:
        find_known(name)
    except InputError:
        return ""
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Errors of one draw on the networks that were not fitted, by us and by MACs and parameters; the intervals."""

    ours: Floats
    simple: Floats
    inside: float
    width: float
    share: float
    sizes: float


def draw(case: Case, tables: Mapping[str, OperatorTable], seed: int) -> Draw:
    """Fit twelve networks of `case`, predict the others."""
    rng = np.random.default_rng(seed)
    names = np.array(list(case.latency_ms))
    fitted = rng.choice(len(names), COUNT, replace=False)
    timed = np.array([case.latency_ms[n] for n in names[fitted]]) * np.exp(rng.normal(0.0, case.noise, COUNT))
    rows = [
        PublishedRow(
            network=name, family=name.partition("-")[0], resolution=224, head="yes", scope="convolutional",
            latency_ms=ms, rounding_ms=1e-6 * ms, protocol="here", source="here", date="2026",
        )
        for name, ms in zip(names[fitted].tolist(), timed.tolist(), strict=True)
    ]  # fmt: skip
    data = Calibration(rows=rows, tables={row.network: tables[row.network] for row in rows}, by_kind=True)
    with threadpool_limits(limits=1, user_api="blas"):
        found, _ = fit_and_judge(data, lambda done, total: None)
    predictor = make_predictor(found, {})
    others = [name for name in names.tolist() if name not in set(names[fitted].tolist())]
    true = np.array([case.latency_ms[name] for name in others])
    costs = [predictor.costs(tables[name]) for name in others]
    mean = predictor.fixed_ms + np.array([each.sum() for each, _ in costs])
    half = predictor.half_width(mean, np.stack([sums.sum(axis=0) for _, sums in costs]), np.zeros(len(mean)))
    return Draw(
        ours=np.abs(mean / true - 1.0),
        simple=np.abs(_features(tables, others) @ _least_squares(_features(tables, names[fitted]), timed) / true - 1.0),
        inside=float((np.abs(np.log(true / mean)) <= half).mean()),
        width=float(np.median(np.exp(2.0 * half))),
        share=found.share,
        sizes=found.shares.get(SIMPLE, 0.0),
    )


def _features(tables: Mapping[str, OperatorTable], names: Any) -> Floats:
    return np.array([(1.0, tables[n].macs.sum() / 1e9, tables[n].weight_elements.sum() / 1e6) for n in names])


def _least_squares(features: Floats, timed: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(features / timed[:, None], np.ones(len(timed)), rcond=None)[0])


def main() -> None:
    """Fit every device, write the report."""
    data = Path(os.environ.get("NAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    cases = [*made_up(data.parent), *pixels(data.parent)]
    names = {name for case in cases for name in case.latency_ms}
    tables = {name: load_architecture(name).graph().operators() for name in sorted(names)}
    rows, ratios = [], []
    for case in cases:
        draws = [draw(case, tables, seed) for seed in range(DRAWS)]
        errors = [
            float(np.mean([f(getattr(d, who)) for d in draws]))
            for f in (np.median, np.mean)
            for who in ("ours", "simple")
        ]
        ratios.append((errors[0] / errors[1], errors[2] / errors[3]))
        rows.append((
            case.device, len(case.latency_ms) - COUNT, f"{errors[0]:.1%}", f"{errors[1]:.1%}", f"{ratios[-1][0]:.2f}",
            f"{errors[2]:.1%}", f"{errors[3]:.1%}", f"{ratios[-1][1]:.2f}", f"{np.mean([d.inside for d in draws]):.0%}",
            f"{np.mean([d.width for d in draws]):.2f}", ", ".join(f"{d.share:.2g}" for d in draws),
            ", ".join(f"{d.sizes:.2g}" for d in draws),
        ))  # fmt: skip
        print(*rows[-1], file=sys.stderr)
    headers = (
        "device", "predicted", "ours, median", "MACs + parameters, median", "ratio", "ours, mean",
        "MACs + parameters, mean", "ratio", "inside", "width", "roofline", "sizes",
    )  # fmt: skip
    made = [i for i, case in enumerate(cases) if case.noise]
    medians, means = zip(*ratios, strict=True)
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.few_networks"),
            draws=DRAWS,
            last=DRAWS - 1,
            noise=NOISE,
            known=len(list(known_names())),
            table=tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            medians=f"{np.median(medians):.2f}",
            means=f"{np.median(means):.2f}",
            made_up_medians=f"{np.median([ratios[i][0] for i in made]):.2f}",
            made_up_means=f"{np.median([ratios[i][1] for i in made]):.2f}",
            worst_median=f"{max(medians):.2f}",
            worst_mean=f"{max(means):.2f}",
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
