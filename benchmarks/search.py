"""What the search finds, and the proof that it searches: writes benchmarks/search.md.

    python -m benchmarks.search

Targets from 0.6 to 2 ms on iphone12; the best of a million random networks beside each answer; the exact optimum of a
sub-space that can be enumerated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from nas.documents import read_yaml
from nas.evaluate import Limits, Models, SpaceProblem
from nas.jobs.search import search, strategy_for
from nas.jobs.search_answer import SearchAnswer
from nas.resources import shipped_room
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from nas.strategies import Evolution, Exhaustive

TARGETS_MS = (0.6, 0.8, 1.0, 1.5, 2.0)
RANDOM = 1_000_000
BATCH = 20_000
REPORT = Path(__file__).with_name("search.md")


def random_best(problem: SpaceProblem, models: Models, *, seed: int) -> dict[float, float]:
    """Target → the best score among `RANDOM` random networks that meet it (exact for the best ones)."""
    rng = np.random.default_rng(seed)
    best: dict[float, float] = {}
    for _ in range(RANDOM // BATCH):
        codes = problem.space.sample_codes(BATCH, rng)
        found = problem.evaluate(codes)
        for target in TARGETS_MS:
            feasible = np.flatnonzero(found.feasible(target))
            if not len(feasible):
                continue
            top = feasible[np.argsort(-found.score[feasible])[:4]]
            exact = models.figures([problem.space.decode(codes[i]) for i in top]).score.max()
            best[target] = max(best.get(target, -np.inf), float(exact))
    return best


def enumerable_space() -> SearchSpace:
    """A part of `mobile` of just under a million codes: one stem, two resolutions and heads, few choices a stage."""
    document: dict[str, Any] = read_yaml(shipped_room("search_spaces") / "mobile.yaml")
    stages = []
    for stage in document["stages"]:
        stages.append(
            {
                **stage,
                "depth": [d for d in stage["depth"] if d > 0][1:2] or [1],
                "width": stage["width"][1:4],
                "kernel": [3, 5] if stage["stride"] == 2 else [3],
                "expansion": [3],
                "se": ["none"],
                "act": ["gelu"],
                "free_blocks": 1,
                "kinds": ["mbconv", "repvit"] if stage["stride"] == 2 else ["mbconv"],
            }
        )
    part = {
        **document,
        "name": "mobile-part",
        "resolution": [192, 224],
        "stems": [[{"block": "conv", "out": [16], "stride": 2, "act": "hswish"}]],
        "stages": stages,
        "heads": [[{"block": "head"}], [{"block": "head", "norm": True}]],
    }
    return parse_search_space(part, "mobile-part")


def answer_rows(answers: list[SearchAnswer], random: dict[float, float]) -> Iterator[tuple[str, ...]]:
    """One row an answer."""
    for answer in answers:
        best = answer.best
        under = [n for n in answer.baselines if n.latency.mean_ms <= best.latency.mean_ms]
        known = max(under, key=lambda n: n.accuracy.low)
        yield (
            f"{answer.required_ms:g}",
            f"{best.latency.mean_ms:.3f} [{best.latency.low_ms:.3f}, {best.latency.high_ms:.3f}]",
            _interval(best),
            _points(answer.before_shrinking),
            _points(answer.after_shrinking),
            f"{known.name} {_interval(known)}",
            _points(random.get(answer.required_ms)),
            f"{best.novelty:.2f}",
            f"{answer.evaluated:,}",
            best.architecture.digest,
        )


def main() -> None:
    """Run everything and write the report."""
    latency, accuracy = nas.load_latency("iphone12"), nas.load_accuracy("imagenet")
    space = nas.load_space("mobile")
    assert isinstance(space, SearchSpace)
    text = ["# The search: answers and proofs", "", environment_text("python -m benchmarks.search"), ""]
    for limits, title in (
        (Limits(), "## Answers near networks of published accuracy (the default, --max-novelty 1)"),
        (
            Limits(max_novelty=None),
            "## Without that limit: what the models promise anywhere in the space",
        ),
    ):
        models = Models(latency, accuracy, limits)
        answers = [
            search(space, latency=latency, accuracy=accuracy, target_ms=target, limits=limits) for target in TARGETS_MS
        ]
        random = random_best(SpaceProblem(space, models), models, seed=1)
        headers = (
            "target ms", "latency ms", "top-1 %", "score before NetAdapt", "after", "best known at or under",
            f"best of {RANDOM:,} random", "novelty", "evaluated", "digest",
        )  # fmt: skip
        text += [title, "", tabulate(list(answer_rows(answers, random)), headers, tablefmt="github"), ""]
    text += _exactness(latency, accuracy)
    REPORT.write_text("\n".join(text) + "\n", encoding="utf-8")


def _exactness(latency: Any, accuracy: Any) -> list[str]:
    part = enumerable_space()
    options = {"latency": latency, "accuracy": accuracy, "limits": Limits(max_novelty=None), "starts": 0}
    rows = []
    for target in (0.8, 0.9, 1.0):
        exact = search(part, target_ms=target, strategy=Exhaustive(), **options)
        evolved = search(part, target_ms=target, strategy=Evolution(evaluations=part.size // 4), **options)
        same = exact.best.architecture.digest == evolved.best.architecture.digest
        rows.append(
            (f"{target:g}", f"{part.size:,}", exact.best.architecture.digest, _interval(exact.best),
             f"{evolved.evaluated:,}", evolved.best.architecture.digest, "yes" if same else "no")
        )  # fmt: skip
    headers = ("target ms", "networks", "enumerated optimum", "top-1 %", "evolution evaluated", "its answer", "same")
    chosen = type(strategy_for(part)).__name__
    return [
        "## The exact optimum of a part of `mobile`",
        "",
        f"Every network of the part is evaluated ({chosen} is what a search takes by itself), then evolution alone.",
        "",
        tabulate(rows, headers, tablefmt="github"),
    ]


def _interval(network: Any) -> str:
    a = network.accuracy
    return f"{100 * a.mean:.2f} [{100 * a.low:.2f}, {100 * a.high:.2f}]"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


if __name__ == "__main__":
    main()
