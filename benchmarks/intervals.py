"""What it costs to know a latency well, and to be simple: `python -m benchmarks.intervals` writes intervals.md.

Each finished search is kept in runs/intervals.json under a key of what it read, so that a second start goes on.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from benchmarks.targets import PREDICTOR, SPACE, inputs_key
from nas.evaluate import Limits, simplicity
from nas.evaluate.limits import NOVELTY_PENALTY
from nas.jobs.search import ALIKE, search
from nas.jobs.search_answer import SearchAnswer
from nas.resources import runs_folder
from nas.space import known_network
from nas.space.search_space import SearchSpace

TARGETS_MS = {"iphone12": (0.6, 0.8, 1.0, 1.5, 2.0), "pixel3-cpu": (8.0, 15.0, 25.0, 40.0, 60.0)}
USUAL = Limits()
ANY_WIDTH = Limits(max_interval=None)
SETTINGS: dict[str, dict[str, Any]] = {
    "any interval": {"limits": ANY_WIDTH, "alike": 0.0},
    "best bound": {"limits": USUAL, "alike": 0.0},
    "simplest": {"limits": USUAL},
    "simplest, --simple": {"limits": USUAL, "simple": True},
}
KNOWN = ("mobilenetv3-large-1.0", "mobileone-s1", "repvit-m1.0", "efficientnet-b0")
REPORT = Path(__file__).with_name("intervals.md")
_TEXT = """\
# Answers of which the latency is known, and simple ones

{environment}

`nas search --space {space}`, seed 0, four times a target: with `--max-interval none`; with the default,
`--max-interval {ratio:g}`, and of these the network with the best bound; the default answer, the simplest within
{alike:g} points of that; and with `--simple`. *Bound* is what answers are ranked by (`Figures.score`), in percent;
*interval* is the central 90 % of the latency; *× usual* is its width, log(high / low), in the median width of the five
known networks nearest in latency. The last columns count what a network is made of (`nas.evaluate.simplicity`):
families of blocks, activations, kernel sizes, widths that are no multiple of 16. For comparison: {known}.

{sections}

## What follows

{conclusions}
"""


class Searches:
    """The searches of one device, each done once."""

    def __init__(self, device: str) -> None:
        self._kept = runs_folder() / "intervals.json"
        self._device, self._prefix = device, f"{device} {inputs_key(device)}"
        self._space, self._latency = nas.load_space(SPACE), nas.load_latency(device)
        self._accuracy = nas.load_accuracy(PREDICTOR)

    def record(self, target_ms: float, setting: str) -> dict[str, Any]:
        """What the search of a setting answers."""
        found: dict[str, Any] = json.loads(self._kept.read_text(encoding="utf-8")) if self._kept.exists() else {}
        name = f"{self._prefix} {target_ms:g} {setting} {SETTINGS[setting]}"
        if name not in found:
            began = time.process_time()
            assert isinstance(self._space, SearchSpace)
            answer = search(
                self._space,
                latency=self._latency,
                accuracy=self._accuracy,
                target_ms=target_ms,
                **SETTINGS[setting],
            )
            found[name] = {**_record(answer), "seconds": time.process_time() - began}
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self._kept.write_text(json.dumps(found), encoding="utf-8")
            print(f"{name}: {found[name]['seconds']:.0f} s", flush=True)
        return dict(found[name])


def _record(answer: SearchAnswer) -> dict[str, Any]:
    best = answer.best
    nearest = sorted((n.latency for n in answer.baselines), key=lambda one: abs(one.mean_ms - best.latency.mean_ms))
    usual = float(np.median([math.log(one.high_ms / one.low_ms) for one in nearest[:5]]))
    known = best.architecture.digest in {baseline.architecture.digest for baseline in answer.baselines}
    # A known network that is the answer is ranked by its bound as it is.
    far = 0.0 if known else max(best.novelty - (USUAL.max_novelty or math.inf), 0.0)
    assert best.simplicity is not None
    return {
        "name": best.name if known else best.architecture.digest[:8],
        "latency": best.latency.as_json(),
        "warnings": list(best.latency.warnings),
        "ratio": math.log(best.latency.high_ms / best.latency.low_ms) / usual,
        "score": best.accuracy.low - NOVELTY_PENALTY * far,
        "made_of": list(best.simplicity.as_json().values()),
        "notes": list(answer.notes),
    }


def table(records: dict[float, dict[str, dict[str, Any]]]) -> str:
    """The records of a device, target by target."""
    lines = []
    for target, settings in records.items():
        for setting, record in settings.items():
            latency = record["latency"]
            lines.append(
                (
                    f"{target:g}" if setting == next(iter(settings)) else "",
                    setting,
                    f"{latency['mean_ms']:.4g} [{latency['low_ms']:.4g}, {latency['high_ms']:.4g}]",
                    f"{record['ratio']:.2f}",
                    f"{100 * record['score']:.2f}",
                    *record["made_of"],
                    sum("guess" in warning for warning in record["warnings"]),
                    record["name"],
                )
            )
    heads = ("target ms", "setting", "latency ms, interval", "× usual", "bound", "kinds", "activations", "kernels",
             "irregular widths", "guesses noted", "network")  # fmt: skip
    return str(tabulate(lines, heads, tablefmt="github", disable_numparse=True))


def conclusions(device: str, records: dict[float, dict[str, dict[str, Any]]]) -> list[str]:
    """What the limit and the choice cost, one sentence each."""

    def losses(better: str, worse: str) -> str:
        each = [100 * (found[better]["score"] - found[worse]["score"]) for found in records.values()]
        return f"{min(each):+.2f} to {max(each):+.2f} points, in the median {float(np.median(each)):+.2f}"

    beyond, lifted = (
        [
            f"{target:g} ms"
            for target, found in records.items()
            if found[name]["ratio"] > 1.001 * (USUAL.max_interval or 0)
        ]
        for name in ("any interval", "best bound")
    )
    kept = f"; at {', '.join(lifted)} nothing keeps it" if lifted else ""
    wide = f"without a limit the interval is wider than 1.3 usual ones at {', '.join(beyond) or 'no target'}"
    simple = f"being the simplest costs {losses('best bound', 'simplest')}"
    return [
        f"* {device}: {wide}; the limit costs {losses('any interval', 'best bound')} of the bound{kept}.",
        f"* {device}: {simple}; of one kind and one activation {losses('best bound', 'simplest, --simple')}.",
    ]


def main() -> None:
    """Search, and write the report."""
    found = {}
    for device, targets in TARGETS_MS.items():
        searches = Searches(device)
        found[device] = {target: {name: searches.record(target, name) for name in SETTINGS} for target in targets}
    known = (f"{name} is made of {simplicity(known_network(name))}" for name in KNOWN)
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.intervals"),
            space=SPACE,
            ratio=USUAL.max_interval,
            alike=100 * ALIKE,
            known="; ".join(known),
            sections="\n\n".join(f"## {device}\n\n{table(records)}" for device, records in found.items()),
            conclusions="\n".join(line for device, records in found.items() for line in conclusions(device, records)),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
