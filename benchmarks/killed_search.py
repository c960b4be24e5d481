"""Kills a search with accuracies that cost at random moments and starts it again: writes benchmarks/killed_search.md.

    python -m benchmarks.killed_search FOLDER

The driver of a search of 200 trials, one at a time, gets SIGKILL at 20 random moments (seed 0) and is started again
each time; FOLDER holds the databases. Then: is every trial there once, was any evaluation repeated, and are sequence
and answer those of a search that nobody killed. The asker is the default one, so each ask is a fit as well.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.environment import environment_text
from tests.trials.killed import killed_and_resumed, lines, repeats, start

KILLS, TRIALS, SECONDS = 20, 200, 0.02
REPORT = Path(__file__).with_name("killed_search.md")
_TEXT = """\
# A search that is killed

{environment}

A search of {trials} trials (a space of 1,024 codes, an evaluator that takes {seconds:g} s, {asker}, SQLite) got
SIGKILL {kills} times at random moments and was started again each time; beside it the same search, which nobody killed.

{lines}
"""


def states(path: Path) -> Counter[str]:
    """How many trials and evaluations are in which state."""
    with sqlite3.connect(path) as connection:
        (whole,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert whole == "ok", whole
        trials = [f"trial {state}" for (state,) in connection.execute("SELECT state FROM search_trials")]
        return Counter(
            [*trials, *(f"evaluation {state}" for (state,) in connection.execute("SELECT state FROM evaluations"))]
        )


def main() -> None:
    """Run, kill, look, and write the report."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    killed, whole, calls = folder / "killed.db", folder / "whole.db", folder / "calls"
    for path in (killed, whole, calls):
        path.unlink(missing_ok=True)
    began = time.monotonic()
    found, kills = killed_and_resumed(
        f"sqlite:///{killed}", TRIALS, calls, kills=KILLS, seed=0, sleep=SECONDS, asker="surrogate"
    )
    seconds = time.monotonic() - began
    process = start(f"sqlite:///{whole}", TRIALS, folder / "calls of the other", sleep=SECONDS, asker="surrogate")
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    other = json.loads(out)
    with sqlite3.connect(killed) as connection:
        attempts = [number for (number,) in connection.execute("SELECT attempts FROM evaluations")]
    counted = ", ".join(f"{number} x {state}" for state, number in sorted(states(killed).items()))
    again = sum(number > 1 for number in attempts)
    same, answer = found["trials"] == other["trials"], found["best"] == other["best"]
    told = [
        f"- In the end: {counted}.",
        f"- Calls of the evaluator: {len(lines(calls))}, of which repeated: {repeats(calls)} (at most {kills} may be).",
        f"- Evaluations begun more than once: {again}, at most {max(attempts)} times.",
        f"- The same trials in the same order with the same accuracies: {same}. The same answer: {answer}.",
        f"- All of it took {seconds:.0f} s.",
    ]
    text = _TEXT.format(
        environment=environment_text("python -m benchmarks.killed_search FOLDER"),
        trials=TRIALS,
        seconds=SECONDS,
        asker="the default asker",
        kills=kills,
        lines="\n".join(told),
    )
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
