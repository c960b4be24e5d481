"""Whether answers meet their targets on the stopwatch: writes benchmarks/verified_search.md.

    python -m benchmarks.verified_search WORKSPACE [REPETITIONS]

WORKSPACE holds a table of `local` for `mobile-core`. At three targets, `nas search --device local --space mobile-core
--verify` runs REPETITIONS times with seeds 0, 1, …; each starts from that table as it was. A result is kept under
runs/verified_search when it is there, and a second start goes on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas.files import write_bytes
from nas.resources import runs_folder

TARGETS_MS = (4.0, 8.0, 14.0)
SPACE = "mobile-core"
REPORT = Path(__file__).with_name("verified_search.md")
_TEXT = """\
# Searches that time their answer

{environment}

`nas search --device local --space {space} --verify`, {count} searches a target, seeds 0 to {last}, each from the same
table. *Measured* is the mean over fresh processes, at the speed that the machine usually had for the table. *Within*
counts answers measured between 0.9 and 1.02 of the target; an answer below 0.9 says in its notes that nothing slower
ranks higher. *Inside at first* counts first rounds whose measured time lay in the frozen interval, *inside in the end*
the same for the answers.

{table}

Each search:

{rows}
"""


def result(workspace: Path, target_ms: float, seed: int) -> dict[str, Any]:
    """The JSON of one search, in a copy of the workspace; kept for the next start."""
    place = runs_folder() / "verified_search" / f"{target_ms:g}ms-{seed}.json"
    if not place.exists():
        with tempfile.TemporaryDirectory() as folder:
            for part in ("latency_tables", "runs/lut"):
                shutil.copytree(workspace / part, Path(folder) / part)
            command = [
                sys.executable, "-P", "-m", "nas", "--workspace", folder, "search", "--target-latency",
                f"{target_ms:g}ms", "--device", "local", "--space", SPACE, "--seed", str(seed), "--verify", "--json",
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            document = json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()}
        write_bytes(place, json.dumps(document, indent=1).encode())
    found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Run what is not there yet, and write the report."""
    workspace = Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    summary, rows = [], []
    for target in TARGETS_MS:
        found = [result(workspace, target, seed) for seed in range(count)]
        good = [one for one in found if "error" not in one]
        answers = [one["verification"]["answer"] for one in good]
        ratios = np.array([answer["measured_ms"] for answer in answers]) / target
        first = [one["verification"]["rounds"][0]["networks"][0]["inside"] for one in good]
        summary.append(
            (
                f"{target:g} ms", f"{sum(0.9 <= r <= 1.02 for r in ratios)} of {count}",
                f"{sum(r < 0.9 for r in ratios)}", f"{ratios.min():.3f} to {ratios.max():.3f}",
                f"{sum(one['verification']['accepted'] for one in good)}", f"{sum(first)}",
                f"{sum(answer['inside'] for answer in answers)}",
                f"{np.mean([len(one['verification']['rounds']) for one in good]):.1f}",
            )
        )  # fmt: skip
        for seed, one in enumerate(found):
            if "error" in one:
                rows.append((f"{target:g}", seed, "-", "-", "-", one["error"]))
                continue
            answer, rounds = one["verification"]["answer"], one["verification"]["rounds"]
            latency = answer["predicted"]
            interval = f"[{latency['low_ms']:.3f}, {latency['high_ms']:.3f}]"
            faults = "; ".join(part["fault"] for part in rounds if part["fault"])
            measured = f"{answer['measured_ms']:.3f}"
            rows.append(
                (f"{target:g}", seed, f"{latency['mean_ms']:.3f} {interval}", measured, str(len(rounds)), faults)
            )
    headers = (
        "target", "within", "below 0.9", "measured over target", "accepted", "inside at first", "inside in the end",
        "rounds, mean",
    )  # fmt: skip
    details = ("target ms", "seed", "predicted ms", "measured ms", "rounds", "why there were more")
    text = _TEXT.format(
        environment=environment_text(f"python -m benchmarks.verified_search WORKSPACE {count}"),
        space=SPACE,
        count=count,
        last=count - 1,
        table=tabulate(summary, headers, tablefmt="github", disable_numparse=True),
        rows=tabulate(rows, details, tablefmt="github", disable_numparse=True),
    )
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
