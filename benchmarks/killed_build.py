"""Kills a build at random moments and starts it again: writes benchmarks/killed_build.md.

    python -m benchmarks.killed_build WORKSPACE [REFERENCE]

`nas lut build --device local --space mobile-core --budget 3m` runs in WORKSPACE and gets SIGKILL at ten random moments
(seed 0), once while it writes its files; it is started again each time. Then: is any network timed twice, was anything
lost that was stored, is the file whole, and how far are the predictions for 60 networks from those of REFERENCE, the
workspace of a build that nobody interrupted.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.environment import environment_text
from benchmarks.repeatability import predictions

KILLS, BUDGET, SECONDS = 10, "3m", 180.0
REPORT = Path(__file__).with_name("killed_build.md")
_TEXT = """\
# A build that is killed

{environment}

`nas lut build --device local --space mobile-core --budget {budget}` got SIGKILL at {kills} random moments and was
started again each time.

{lines}
"""


def stored(path: Path) -> list[tuple[int, str]]:
    """(batch, digest) of every timing in the file, which no process may have open."""
    with sqlite3.connect(path) as connection:
        (whole,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert whole == "ok", whole
        return list(connection.execute("SELECT batch, digest FROM timing WHERE role != 'reference' ORDER BY id"))


def main() -> None:
    """Run, kill, look, and write the report."""
    workspace = Path(sys.argv[1]).resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    path = workspace / "runs" / "lut" / "local.db"
    command = [
        sys.executable, "-P", "-m", "nas", "--workspace", str(workspace), "lut", "build", "--device", "local",
        "--space", "mobile-core", "--budget", BUDGET,
    ]  # fmt: skip
    rng = random.Random(0)
    waits = [rng.uniform(0.1, 2.0) * SECONDS / (KILLS + 1) for _ in range(KILLS)]
    before: list[tuple[int, str]] = []
    lost, counts = 0, []
    for wait in waits:
        process = subprocess.Popen(command, start_new_session=True)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = stored(path) if path.exists() else []
        lost += len(set(before) - set(now))
        before = now
        counts.append(len(now))
    done = subprocess.run(command, check=False)
    final = stored(path)
    lost += len(set(before) - set(final))
    digests = [digest for _, digest in final]
    lines = [
        (
            f"- Killed after {', '.join(f'{wait:.0f}' for wait in waits)} s of running;"
            f" {', '.join(map(str, counts))} networks were stored then, {len(final)} in the end."
        ),
        f"- The last start ended with {done.returncode}; `PRAGMA integrity_check` said ok after every kill.",
        f"- Stored timings lost: {lost}. Networks timed twice: {len(digests) - len(set(digests))}.",
    ]
    if len(sys.argv) > 2:
        own, _ = predictions(workspace)
        other, _ = predictions(Path(sys.argv[2]).resolve())
        difference = np.abs(own / other - 1.0)
        lines.append(
            f"- Predictions for 60 networks of the space, against those of a build that nobody interrupted: median"
            f" difference {100 * np.median(difference):.2f} %, p90 {100 * np.quantile(difference, 0.9):.2f} %"
            " (it is to be at most 2 % in the median)."
        )
    text = _TEXT.format(
        environment=environment_text("python -m benchmarks.killed_build"),
        budget=BUDGET,
        kills=KILLS,
        lines="\n".join(lines),
    )
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
