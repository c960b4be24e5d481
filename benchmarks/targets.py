"""Answers over a row of targets: `python -m benchmarks.targets` writes targets.md.

Each finished search is kept in runs/targets.json under a key of what it read, so that a second start goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from nas.accuracy.artifact import ARRAYS_FILE
from nas.accuracy.selection import SELECTION
from nas.evaluate.limits import NOVELTY_PENALTY
from nas.jobs.predictor import predictor_folder
from nas.jobs.search import search
from nas.latency import device_home
from nas.latency.model import COEFFICIENTS_FILE
from nas.resources import runs_folder
from nas.space import space_paths
from nas.space.search_space import SearchSpace
from nas.strategies import Evolution

SPACE, PREDICTOR = "mobile", "imagenet"
TARGETS_MS = {"iphone12": np.geomspace(0.6, 3.0, 20), "pixel3-cpu": np.geomspace(8.0, 60.0, 20)}
NEAR = 0.95
"""Below this part of the target an answer is searched for again, with twice the evaluations."""
REPORT = Path(__file__).with_name("targets.md")
_TEXT = """\
# Answers from target to target

{environment}

`nas search --space {space}` at {count} targets a device, seed 0. *Score* is the bound that answers are ranked by: what
is believed of the lower end of their accuracy (`nas.accuracy.selection`), less the penalty for novelty. *Gain* is the
believed difference to the known network with the best mean that meets the target, in points, with its central 90 %
interval. An answer below {near:g} of its target is searched for again with twice the evaluations: *better and slower*
says whether that finds a network that is slower than the answer and scores higher.

{sections}

## What follows

{conclusions}
"""


def inputs_key(device: str) -> str:
    """What answers depend on besides the code: predictor, coefficients, space, correction, slope of novelty."""
    paths = (
        predictor_folder(PREDICTOR) / ARRAYS_FILE,
        device_home(device).folder / COEFFICIENTS_FILE,
        space_paths()[SPACE],
    )
    read = b"".join(path.read_bytes() for path in paths) + repr((SELECTION, NOVELTY_PENALTY)).encode()
    return hashlib.sha256(read).hexdigest()[:12]


class Searches:
    """The searches of one device, each done once."""

    def __init__(self, device: str) -> None:
        self._kept = runs_folder() / "targets.json"
        self._device, self._prefix = device, f"{device} {inputs_key(device)}"
        self._space, self._latency = nas.load_space(SPACE), nas.load_latency(device)
        self._accuracy = nas.load_accuracy(PREDICTOR)

    def answer(self, target_ms: float, times: int = 1) -> dict[str, Any]:
        """What the search with `times` the usual evaluations answers."""
        found: dict[str, Any] = json.loads(self._kept.read_text(encoding="utf-8")) if self._kept.exists() else {}
        name = f"{self._prefix} {target_ms:.4g} x{times}"
        if name not in found:
            found[name] = self._search(target_ms, times)
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self._kept.write_text(json.dumps(found), encoding="utf-8")
            print(f"{self._device}, {target_ms:.4g} ms, x{times}: {found[name]['seconds']:.0f} s", flush=True)
        return dict(found[name])

    def _search(self, target_ms: float, times: int) -> dict[str, Any]:
        assert isinstance(self._space, SearchSpace)
        began = time.process_time()
        strategy = Evolution(evaluations=times * Evolution().evaluations, stagnation=times * Evolution().stagnation)
        answer = search(
            self._space, latency=self._latency, accuracy=self._accuracy, target_ms=target_ms, strategy=strategy
        )
        record = answer.as_json()
        # A known network that is the answer is ranked by its bound as it is.
        own = [score for score in (answer.before_shrinking, answer.after_shrinking) if score is not None]
        known = answer.best.architecture.digest in {b.architecture.digest for b in answer.baselines}
        scores = [answer.best.accuracy.low] if known else own
        kept = ("name", "digest", "latency", "accuracy", "novelty")
        return {
            **{key: record["best"][key] for key in kept},
            "gain": record["gain"],
            "score": max(scores),
            "evaluated": answer.evaluated,
            "seconds": time.process_time() - began,
        }


def rows(device: str) -> Iterator[dict[str, Any]]:
    """One record a target."""
    searches = Searches(device)
    for target in TARGETS_MS[device].tolist():
        record = {**searches.answer(target), "target": target, "better": None}
        if record["latency"]["mean_ms"] < NEAR * target:
            again = searches.answer(target, times=2)
            slower = again["latency"]["mean_ms"] > record["latency"]["mean_ms"]
            record["better"] = slower and again["score"] > record["score"]
            record["again"] = again
        yield record


def table(records: list[dict[str, Any]]) -> str:
    """The records of a device."""

    def line(record: dict[str, Any]) -> tuple[str, ...]:
        gain, accuracy, at = record["gain"], record["accuracy"], record["latency"]["mean_ms"]
        over = "-"
        if gain is not None:
            ends = f"{100 * gain['low']:+.1f} … {100 * gain['high']:+.1f}"
            over = f"{100 * gain['mean']:+.2f} [{ends}] over {gain['over']}"
        again = "-"
        if record["better"] is not None:
            again = f"{'yes' if record['better'] else 'no'}: {record['again']['latency']['mean_ms']:.3f} ms"
        return (
            f"{record['target']:.4g}",
            f"{at:.4g}",
            f"{at / record['target']:.3f}",
            f"{100 * record['score']:.3f}",
            f"{100 * accuracy['mean']:.2f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]",
            over,
            f"{record['novelty']:.2f}",
            again,
            record["digest"] if record["name"].startswith(SPACE) else record["name"],
        )

    heads = ("target ms", "answer ms", "of target", "score", "top-1 % believed", "gain", "novelty",
             "better and slower", "network")  # fmt: skip
    return str(tabulate([line(record) for record in records], heads, tablefmt="github", disable_numparse=True))


def conclusion(device: str, records: list[dict[str, Any]]) -> str:
    """One sentence a device."""
    scores = np.array([record["score"] for record in records])
    falls = np.flatnonzero(np.diff(scores) < 0)
    text = "never falls as the target rises"
    if len(falls):
        drop = 100 * float(-np.diff(scores).min())
        text = f"falls at {len(falls)} of {len(scores) - 1} steps, by {drop:.3f} points at most"
    near = sum(record["latency"]["mean_ms"] >= NEAR * record["target"] for record in records)
    better = sum(record["better"] is True for record in records)
    return (
        f"* {device}: {near} of {len(records)} answers lie at {NEAR:g} of the target or above; of the others"
        f" {better} have something better and slower that twice the evaluations find. The score {text}."
    )


def main() -> None:
    """Search, and write the report."""
    found = {device: list(rows(device)) for device in TARGETS_MS}
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.targets"),
            space=SPACE,
            count=len(next(iter(TARGETS_MS.values()))),
            near=NEAR,
            sections="\n\n".join(f"## {device}\n\n{table(records)}" for device, records in found.items()),
            conclusions="\n".join(conclusion(device, records) for device, records in found.items()),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
