"""A search in a process of its own, killed at any moment and begun again.

python -m tests.trials.killed URL BUDGET      prints its trials and its answer as JSON
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nas
from nas.jobs.trials_answer import TrialsAnswer
from tests.trials.by_hand import SPACE, TARGET_MS, Drawn, Sum

_ROOT = Path(__file__).resolve().parent.parent.parent


def search(url: str, budget: int, **options: Any) -> TrialsAnswer:
    """The search, as the study "killed", by drawn points unless `options` name another asker."""
    usual = {"asker": Drawn, "evaluate": "tests.trials.by_hand:evaluate"}
    found: TrialsAnswer = nas.search(
        SPACE, latency=Sum(), budget=budget, target_ms=TARGET_MS, storage=url, study="killed", noisy=False,
        **{**usual, **options},
    )  # fmt: skip
    return found


def start(url: str, budget: int, calls: Path, *, sleep: float = 0.0, **options: Any) -> subprocess.Popen[str]:
    """Begin it in another process; `calls` gets a line a call, each of which takes `sleep` seconds."""
    environment = os.environ | {"CALLS": str(calls), "SLEEP": str(sleep), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.trials.killed", url, str(budget), json.dumps(options)],
        cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def lines(path: Path) -> list[str]:
    """The lines of a file, none where it is absent."""
    return path.read_text("utf-8").splitlines() if path.exists() else []


def killed_and_resumed(
    url: str, budget: int, calls: Path, *, kills: int, seed: int, sleep: float, **options: Any
) -> tuple[dict[str, Any], int]:
    """The result of a search that got SIGKILL `kills` times, each some calls after it had begun, and how often it was
    ended by that."""
    rng, done = random.Random(seed), 0
    for _ in range(kills):
        process, before = start(url, budget, calls, sleep=sleep, **options), len(lines(calls))
        more = rng.randint(0, max(2 * (budget - before) // (kills - done + 1), 1))
        while process.poll() is None and len(lines(calls)) < before + more:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.05))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            done += 1
        process.communicate()
    process = start(url, budget, calls, **options)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found, done


def repeats(calls: Path) -> int:
    """How many calls were for a point that had been called for before."""
    return sum(number - 1 for number in Counter(lines(calls)).values())


def main() -> None:
    """Run the search, and print what it found."""
    # A job in the background inherits that interrupts are ignored; a person at a terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = search(sys.argv[1], int(sys.argv[2]), **json.loads(sys.argv[3]))
    trials = [[trial.number, trial.codes, trial.state, trial.accuracy] for trial in result.trials]
    print(json.dumps({"trials": trials, "best": result.best.codes}))  # noqa: T201


if __name__ == "__main__":
    main()
