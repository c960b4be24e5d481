"""Single operators at new shapes: writes benchmarks/operators.md, in some minutes on one core.

    python -m benchmarks.operators

Reads `conv_latency_v100/conv_fp32.csv.gz` of the data folder (`NAS_DATA`, or ../shared/data).
"""

from __future__ import annotations

import csv
import gzip
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from nas.latency.transfer.operators import OperatorTimes
from tests.shared_data import shared_data

REPORT = Path(__file__).with_name("operators.md")
SEEDS = {5000: (0, 1), 20_000: (0,)}
LARGE, MANY = 0.1, 1_000_000
Columns = Mapping[str, NDArray[np.generic]]
_TEXT = """\
# Times of single operators

{environment}

`nas.fit_operators` on {rows:,} convolutions that a V100 was timed on (TensorRT, FP32; alibaba's
lightweight-neural-architecture-search): drawn rows are fitted, all others are predicted. Means over {draws} draws of
5,000 rows and {many_draws} of 20,000 (seeds from 0; another was used in making the method). Errors are |predicted /
timed - 1|; *inside* is the share of the times in the 90 % interval, *width* the median of high / low.

{table}

*Large* rows are the tenth with the most multiply-adds, *largest maps* those of 118 pixels and more (18 %): none of
them is fitted, 5,000 of the others are. There the interval is too narrow: what a runtime does with sizes that it was
never timed at is not in the data.

{many:,} operators were predicted in {seconds} s by the model of 5,000 rows (processor time; {wall} s by the clock).
"""


def read() -> tuple[Columns, NDArray[np.float64]]:
    """The columns of attributes, and milliseconds."""
    path = shared_data("conv_latency_v100/conv_fp32.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name not in ("kind", "latency_ms")]
    columns: dict[str, NDArray[np.generic]] = {n: np.array([float(row[n]) for row in rows]) for n in names}
    return {"kind": np.array([row["kind"] for row in rows]), **columns}, np.array(
        [float(r["latency_ms"]) for r in rows]
    )


def select(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """Some rows of all columns."""
    return {name: values[rows] for name, values in columns.items()}


def score(
    columns: Columns, timed: NDArray[np.float64], fitted: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[OperatorTimes, NDArray[np.float64]]:
    """The model of the fitted rows; of the others mean and median error, shares within 10 % and inside, and width."""
    model = nas.fit_operators(select(columns, fitted), timed[fitted])
    found, true = model.predict(select(columns, others)), timed[others]
    error = np.abs(np.asarray(found) / true - 1.0)
    inside = (found.low <= true) & (true <= found.high)
    width = np.median(found.high / found.low)
    return model, np.array([error.mean(), np.median(error), (error <= 0.1).mean(), inside.mean(), width])


def multiply_adds(columns: Columns) -> NDArray[np.float64]:
    """Multiply-adds of each row."""
    c = {name: values.astype(np.float64) for name, values in columns.items() if name != "kind"}
    places = c["batch"] * np.ceil(c["height"] / c["stride"]) * np.ceil(c["width"] / c["stride"])
    groups = np.where(columns["kind"] == "Depthwise", c["in_channels"], 1.0)
    return np.asarray(places * c["kernel"] ** 2 * c["in_channels"] * c["out_channels"] / groups)


def main() -> None:
    """Fit, score, write the report."""
    columns, timed = read()
    macs = multiply_adds(columns)
    height = columns["height"].astype(np.float64)
    cases: list[tuple[str, int, NDArray[np.bool_] | None]] = [(f"{count:,} rows", count, None) for count in SEEDS]
    cases += [("large", 5000, macs > np.quantile(macs, 1.0 - LARGE)), ("largest maps", 5000, height >= 118)]
    table: list[tuple[str, ...]] = []
    timing = ("", "")
    for name, count, held_out in cases:
        scores = []
        for seed in SEEDS[count]:
            order = np.random.default_rng(seed).permutation(len(timed))
            if held_out is None:
                fitted, others = order[:count], order[count:]
            else:
                fitted, others = order[~held_out[order]][:count], order[held_out[order]]
            model, found = score(columns, timed, fitted, others)
            scores.append(found)
            if not table and seed == 0:
                often = select(columns, np.arange(MANY) % len(timed))
                cpu, wall = time.process_time(), time.perf_counter()
                model.predict(often)
                timing = f"{time.process_time() - cpu:.1f}", f"{time.perf_counter() - wall:.1f}"
        mean, median, within, inside, width = np.mean(scores, axis=0)
        table.append((name, f"{mean:.2%}", f"{median:.2%}", f"{within:.1%}", f"{inside:.1%}", f"{width:.2f}"))
        print(*table[-1], *timing, file=sys.stderr)
    headers = ("fitted", "mean error", "median", "within 10 %", "inside", "width")
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.operators"),
            rows=len(timed),
            draws=len(SEEDS[5000]),
            many_draws=len(SEEDS[20_000]),
            table=tabulate(table, headers, tablefmt="github", disable_numparse=True),
            many=MANY,
            seconds=timing[0],
            wall=timing[1],
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
