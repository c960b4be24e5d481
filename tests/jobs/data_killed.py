"""A search on images in a process of its own, killed at any moment and begun again.

python -m tests.jobs.data_killed FOLDER WORKERS      prints its trials and its answer as JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nas
from nas.latency import load_latency
from nas.space import load_architecture
from nas.space.reading import parse_search_space
from tests.jobs.small import tiny_document


def search(folder: Path, workers: int) -> dict[str, Any]:
    """What the search says, without times and places."""
    with patch("nas.jobs.data_space.family_members", lambda: [load_architecture("mobilenetv1-0.25")]):
        found = nas.search(
            parse_search_space(tiny_document(), "tiny"), latency=load_latency("pixel3-cpu"), data=folder / "photos.npz",
            target_ms=0.3, epochs=3, seeds=1, trials=4, baselines=1, asker="random", workers=workers,
        )  # fmt: skip
    assert found.best.right is not None
    trials = {
        part: sorted([trial.digest, trial.repeat, trial.state, list(map(list, trial.curve))] for trial in own)
        for part, own in found.trials.items()
    }
    return {"trials": trials, "best": found.best.architecture.digest, "test": found.best.right.mean()}


if __name__ == "__main__":
    print(json.dumps(search(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
