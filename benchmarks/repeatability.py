"""How far two tables of one device agree: writes benchmarks/repeatability.md.

    python -m benchmarks.repeatability FIRST SECOND [BUSY ...]

FIRST, SECOND and BUSY are workspaces, in each of which `nas lut build --device local --space mobile-core` was run: the
first two one after the other, the others while a second process kept another core and the memory busy (`python -m
benchmarks.repeatability busy` is one: it multiplies matrices and copies memory until it is stopped). The networks
compared are 60 of the space, drawn with seed 7.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas.jobs.lut_build import measured_space
from nas.latency import load_latency

SPACE, SEED, COUNT, DEVICE = "mobile-core", 7, 60, "local"
REPORT = Path(__file__).with_name("repeatability.md")
_TEXT = """\
# Two tables of one device

{environment}

{count} networks of `{space}` (seed {seed}), none measured: what each table predicts for them, against the first table's
predictions. A table's own account of itself is beside it: how its timed networks are predicted from the others, and how
much the reference network's time strayed from batch to batch. A table predicts for the machine as it usually was while
the table was built, which the reference network's median time tells; the column *brought to the first reference* takes
that out.

{table}

The first two are to differ by at most 2 % in the median.
"""


def busy() -> None:
    """Keep one core and the memory busy until interrupted."""
    rng = np.random.default_rng(0)
    a, block = rng.standard_normal((512, 512)), rng.standard_normal(8_000_000)
    while True:
        a = np.tanh(a @ a / 512.0)
        block = np.roll(block, 1)


def predictions(workspace: Path) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], dict[str, object]]:
    """Predicted ms of the networks by the table in `workspace`, and the manifest of its operator costs."""
    os.environ["NAS_WORKSPACE"] = str(workspace)
    model = load_latency(DEVICE)
    networks = measured_space(SPACE).sample(COUNT, np.random.default_rng(SEED))
    assert model.operators is not None
    return model.latency_ms(networks), dict(model.operators.manifest)


def main() -> None:
    """Compare the tables and write the report."""
    if sys.argv[1:] == ["busy"]:
        busy()
    places = [Path(text).resolve() for text in sys.argv[1:]]
    found = [predictions(place) for place in places]
    names = ["first", "second", *(f"beside a busy process ({i})" for i in range(1, len(places) - 1))]
    rows = []
    for name, (own, manifest) in zip(names, found, strict=True):
        difference = np.abs(own / found[0][0] - 1.0)
        reference, first = manifest["reference_ms"], found[0][1]["reference_ms"]
        assert isinstance(reference, float) and isinstance(first, float)
        corrected = np.abs(own / reference * first / found[0][0] - 1.0)
        scores, scales = manifest["scores"], manifest["scales"]
        assert isinstance(scores, dict) and isinstance(scales, dict)
        rows.append(
            (
                name,
                manifest["networks"],
                f"{100 * np.median(difference):.2f} %",
                f"{100 * np.quantile(difference, 0.9):.2f} %",
                f"{100 * (np.median(own / found[0][0]) - 1.0):+.2f} %",
                f"{reference:.3f}",
                f"{100 * np.median(corrected):.2f} %",
                f"{100 * scores['rows']['median']:.1f} %",
                f"{100 * scales['noise']:.1f} %",
                f"{100 * scales['batch_sd']:.1f} %",
            )
        )
    headers = (
        "table", "networks timed", "median difference", "p90", "median of ratios, less 1", "reference, ms",
        "median difference, brought to the first reference", "left out, median error",
        "noise of a time", "of a batch",
    )  # fmt: skip
    text = _TEXT.format(
        environment=environment_text(f"python -m benchmarks.repeatability {' '.join(p.name for p in places)}"),
        count=COUNT,
        space=SPACE,
        seed=SEED,
        table=tabulate(rows, headers, tablefmt="github", disable_numparse=True),
    )
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
