"""How long an ask takes and what it keeps: writes benchmarks/trials_speed.md.

    python -m benchmarks.trials.speed

The space `mobile`, compiled for the iPhone 12; accuracies are the published prior's with noise. Times are the
processor's, of one thread.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from pathlib import Path

import numpy as np
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.trials.askers import asker_named
from nas.trials.domain import NetworkDomain
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Surrogate

SIZES = (20, 100, 500, 1000, 2000)
REPORT = Path(__file__).resolve().parents[1] / "trials_speed.md"


def made_trials(domain: NetworkDomain, count: int) -> list[Trial]:
    """Random distinct networks as trials, accuracies by the prior and half a point of noise."""
    rng = np.random.default_rng(0)
    codes = np.unique(domain.space.sample_codes(2 * count, rng), axis=0)
    codes = codes[rng.permutation(len(codes))[:count]]
    assert domain.problem is not None
    mean = np.concatenate([domain.problem.figures(codes[i : i + 1000]).accuracy.mean for i in range(0, count, 1000)])
    accuracy = mean + rng.normal(0.0, 0.005, count)
    return [
        Trial(
            number=i,
            codes=tuple(code),
            digest="",
            state="done",
            curve=((0, float(accuracy[i])),),
            latency_ms=1.0,
        )
        for i, code in enumerate(codes.tolist())
    ]


def main() -> None:
    """Time asks and write the report."""
    space = nas.load_space("mobile")
    assert isinstance(space, SearchSpace)
    domain = NetworkDomain(space, nas.load_latency("iphone12"), accuracy=nas.load_accuracy("imagenet"))
    trials = made_trials(domain, SIZES[-1])
    question = Question(domain=domain, goal=Goal(target_ms=1.0), budget=SIZES[-1])
    rows = []
    for label, asker in (
        ("prior conditioned on trials", asker_named("surrogate", question)),
        ("Gaussian process on genes and costs", Surrogate(question)),
    ):
        row = [label]
        tracemalloc.start()
        for size in SIZES:
            asker.ask(trials[: size - 1], 1)  # what a first ask remembers is there
            tracemalloc.stop()
            began = time.process_time()
            asker.ask(trials[:size], 1)
            took = time.process_time() - began
            tracemalloc.start()
            asker.ask(trials[: size - 2], 1)
            gc.collect()
            kept, peak = tracemalloc.get_traced_memory()
            row.append(f"{took:.2f} s, {kept / 2**20:.0f} and {peak / 2**20:.0f} MiB")
        tracemalloc.stop()
        rows.append(row)
    lines = [
        "# How long an ask takes",
        "",
        environment_text("python -m benchmarks.trials.speed"),
        "",
        "Processor seconds of one ask after so many finished trials (no more than 600 of them are conditioned on), the",
        "memory that it leaves behind and the most that it needs meanwhile.",
        "",
        tabulate(rows, ("model", *map(str, SIZES)), tablefmt="github", disable_numparse=True),
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
