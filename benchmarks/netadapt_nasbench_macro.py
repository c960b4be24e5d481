"""NetAdapt on NAS-Bench-Macro, where every network's accuracy is known: writes benchmarks/netadapt_nasbench_macro.md.

    python -m benchmarks.netadapt_nasbench_macro

The same class as the search uses. A state is a network's eight digits, a move lowers one of them (to an identity or a
smaller block); the starts are the 20 most accurate networks under a loose target, the goal is the most accurate one
under a tight target. Both targets are percentiles of the latencies of all networks.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas.strategies import Move, NetAdapt, Standing

PAIRS = ((80, 60), (80, 40), (60, 40), (60, 20), (80, 20))
STARTS = 20
REPORT = Path(__file__).with_suffix(".md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Accuracy in percent (the mean of three trainings) and latency in milliseconds of every network, by its digits."""

    accuracy: dict[str, float]
    latency_ms: dict[str, float]

    def percentile_ms(self, percentile: float) -> float:
        """A percentile of the latencies of all networks."""
        return float(np.percentile(list(self.latency_ms.values()), percentile))

    def best_under(self, target_ms: float, count: int) -> list[str]:
        """The `count` most accurate networks at or under a latency."""
        under = [name for name, ms in self.latency_ms.items() if ms <= target_ms]
        return sorted(under, key=lambda name: (-self.accuracy[name], name))[:count]


def read_space(folder: Path) -> Space:
    """The benchmark in `folder` (nasbench_macro of the data folder)."""
    record = json.loads((folder / "nas-bench-macro_cifar10.json").read_text(encoding="utf-8"))
    with (folder / "latency.csv").open(encoding="utf-8", newline="") as stream:
        latency_ms = {row["arch"]: float(row["latency_ms"]) for row in csv.DictReader(stream)}
    return Space(accuracy={name: float(entry["mean_acc"]) for name, entry in record.items()}, latency_ms=latency_ms)


def lower_one_digit(state: str) -> Iterator[Move[str]]:
    """Every network that differs by one lower digit; the layers in order, the smallest step first."""
    for i, digit in enumerate(state):
        for lower in range(int(digit) - 1, -1, -1):
            yield Move(layer=str(i), state=f"{state[:i]}{lower}{state[i + 1 :]}")


def gaps(space: Space, loose: float, tight: float, *, beam: int, remember_all: bool) -> list[float]:
    """For each start how many points below the optimum under the tight target its shrinking ends."""
    target_ms = space.percentile_ms(tight)
    optimum = space.accuracy[space.best_under(target_ms, 1)[0]]
    netadapt = NetAdapt(
        moves=lower_one_digit,
        standing=lambda states: Standing(
            bounded_ms=np.array([space.latency_ms[state] for state in states]), excess=np.zeros(len(states))
        ),
        score=lambda states: np.array([space.accuracy[state] for state in states]),
        beam=beam,
        remember_all=remember_all,
    )
    found = []
    for start in space.best_under(space.percentile_ms(loose), STARTS):
        best = netadapt.shrink(start, target_ms=target_ms).best
        found.append(float("inf") if best is None else optimum - best.score)
    return found


def main() -> None:
    """Run all pairs of targets with both rules and write the report."""
    checkout = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("NAS_DATA") or checkout.parent / "shared" / "data")
    space = read_space(data / "nasbench_macro")
    rows = []
    for loose, tight in PAIRS:
        row = [f"{loose} → {tight}", f"{space.percentile_ms(loose):.3f} → {space.percentile_ms(tight):.3f}"]
        for beam, remember_all in ((5, True), (1, False)):
            gap = np.array(gaps(space, loose, tight, beam=beam, remember_all=remember_all))
            row += [f"{np.mean(gap <= 0.5):.0%}", f"{gap.max():.2f}"]
        rows.append(row)
    headers = ("percentiles", "target ms", "beam 5: within 0.5", "worst", "greedy: within 0.5", "worst")
    lines = [
        "# NetAdapt on NAS-Bench-Macro",
        "",
        environment_text("python -m benchmarks.netadapt_nasbench_macro"),
        "",
        f"From the {STARTS} most accurate networks under a loose target to a tight one: the share of starts that end",
        "within 0.5 points (mean accuracy of three trainings) of the best network under the tight target, and the",
        "worst gap. Beam 5 keeps every child under the target; greedy is the plain rule.",
        "",
        tabulate(rows, headers, tablefmt="github", disable_numparse=True),
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
