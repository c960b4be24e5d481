"""Each device that others timed, fitted to its rows alone as pixel3-cpu was: writes benchmarks/published_tried.md.

    python -m benchmarks.published_tried

Reads `published/other_devices_latency.csv` of the data folder (`NAS_DATA`, or ../shared/data).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from benchmarks.published_rows import Published, Row, read
from nas.latency.published.rows import Calibration, PublishedRow, calibration
from nas.latency.published.validate import baseline_errors, hold_out, relative
from nas.space import load_architecture

REPORT = Path(__file__).with_name("published_tried.md")
ENOUGH, LEAST, GOOD = 20, 12, 0.08
_WITH_ATTENTION = ("mobilevit", "mobilevitv2")
_TEXT = """\
# Devices that others timed, each from its own rows

{environment}

Every device of `other_devices_latency.csv`, fitted as `nas lut fit` fits a device to its `networks.csv`. *Rows* are
those of known networks in floating point, *others* are of networks that are not known here or of int8. Only
convolutional networks calibrate, those of at most 300 px are scored. Each network is left out of the whole procedure
once, under all its names and input sizes; errors are |predicted / printed - 1|, beside MACs and parameters alone,
fitted without the same network. A device verifies with a median of at most {good:.0%} that is better than theirs.

{tried}

Inside their 90 % intervals, pooled over the devices of this table: {inside} of {pooled} rows, {coverage:.1%}. Devices
with {least} to {below} rows are in it for that, and have too few to ship.

Those that verify are shipped: `pixel1-cpu`, `i7-12700h-cpu`, `i9-10940x-cpu`; `pixel3-cpu` was before, fitted to its
MobileNets alone with priors of its own. Where a device is not, its median is above what a search should rest on.

## Not tried

Fewer than {least} rows whose networks are known.

{few}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A device's errors with networks left out: median and mean, ours and of MACs and parameters; rows inside."""

    scored: int
    ours: tuple[float, float]
    sizes: tuple[float, float]
    inside: int
    judged: int

    @property
    def verdict(self) -> str:
        """What keeps the device from being one that verifies; "verifies" where nothing does."""
        reasons = []
        if self.ours[0] > GOOD:
            reasons.append(f"median above {GOOD:.0%}")
        if self.ours[0] >= self.sizes[0]:
            reasons.append("no better than MACs and parameters")
        return "; ".join(reasons) or "verifies"


def calibration_of(case: Published) -> Calibration:
    """The rows of a device as a calibration reads them."""
    rows = [published_row(row) for row in case.rows]
    return calibration(rows, {}, lambda name: load_architecture(name).graph().operators())


def published_row(row: Row) -> PublishedRow:
    """A row as `networks.csv` holds it."""
    network = load_architecture(row.network)
    return PublishedRow(
        network=row.network,
        family=network.family,
        resolution=max(network.input_shape[1:]),
        head="yes",
        scope="attention" if network.family in _WITH_ATTENTION else "convolutional",
        latency_ms=row.latency_ms,
        rounding_ms=row.rounding_ms,
        protocol=row.source,
        source=row.source,
        date="-",
    )


def tried(case: Published) -> Tried:
    """Leave each network of a device out."""
    data = calibration_of(case)
    left = hold_out(data, data.identity, lambda done, of: None, only=data.in_scope)
    ours, sizes = (relative(errors)[data.scored] for errors in (left.error, baseline_errors(data)))
    inside = (np.abs(left.error) <= left.half_width)[data.in_scope]
    return Tried(
        scored=len(ours),
        ours=(float(np.median(ours)), float(ours.mean())),
        sizes=(float(np.median(sizes)), float(sizes.mean())),
        inside=int(inside.sum()),
        judged=len(inside),
    )


def main() -> None:
    """Try every device, write the report."""
    cases = [case for case in read() if len(case.rows) >= LEAST]
    found = {case.device: tried(case) for case in cases}
    rows = []
    for case in cases:
        one = found[case.device]
        verdict = one.verdict if len(case.rows) >= ENOUGH else f"fewer than {ENOUGH} rows"
        rows.append((
            case.device, str(len(case.rows)), str(case.left_out), str(one.scored), f"{one.ours[0]:.1%}",
            f"{one.sizes[0]:.1%}", f"{one.ours[1]:.1%}", f"{one.sizes[1]:.1%}", f"{one.inside} of {one.judged}",
            verdict,
        ))  # fmt: skip
        print(*rows[-1], file=sys.stderr)
    few = [(case.device, str(len(case.rows)), str(case.left_out)) for case in read() if len(case.rows) < LEAST]
    inside, pooled = (sum(getattr(one, name) for one in found.values()) for name in ("inside", "judged"))
    headers = (
        "device", "rows", "others", "scored", "ours, median", "sizes, median", "ours, mean", "sizes, mean", "inside",
        "",
    )  # fmt: skip
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.published_tried"),
            good=GOOD,
            least=LEAST,
            below=ENOUGH - 1,
            tried=tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            inside=inside,
            pooled=pooled,
            coverage=inside / pooled,
            few=tabulate(few, ("device", "rows", "others"), tablefmt="github", disable_numparse=True),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
