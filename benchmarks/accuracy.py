"""Scores the accuracy prior: `python -m benchmarks.accuracy` writes accuracy.md and accuracy.png.

Accel-NASBench and the once-for-all networks are scored where `NAS_DATA` (or ../shared/data) holds them.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.environment import environment_text
from nas.cli.progress import progress
from nas.jobs.predictor import evaluate_predictor
from nas.report.accuracy import write_report

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Write the report."""
    data = Path(os.environ.get("NAS_DATA") or FOLDER.parent.parent / "shared" / "data")
    with progress() as show:
        found = evaluate_predictor("imagenet", data=data if data.is_dir() else None, progress=show)
    write_report(found, FOLDER, environment_text("python -m benchmarks.accuracy"))


if __name__ == "__main__":
    main()
