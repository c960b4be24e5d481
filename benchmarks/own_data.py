"""A search on images against known families, and how well early figures rank. Writes own_data.md.

    python -m benchmarks.own_data proof [--device local] [--target 0.15ms] [--epochs 24] [--seeds 5] [--workers 2]
    python -m benchmarks.own_data ranking [--networks 30] [...]
    python -m benchmarks.own_data report
    python -m benchmarks.own_data proof --quick        a minute, on 600 images: whether all of it runs

Both parts share one store of trainings, runs/benchmarks/own_data.db, and may be stopped and started again. Each
training that has ended is a file in own_data/ beside this script. The data are `cifar10/cifar10_15k.npz` of `NAS_DATA`;
the device must have a table for the space (`nas lut build --device local --space tiny`).

proof: 27 networks of the space, and known ones of every family in three widths and two placements of strides, in the
same rungs and the same final; latencies of finalists measured in one session. ranking: networks whose latencies lie
within 10 % of each other, trained for 2, 8 and all epochs; ten of them for 2 epochs with three seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas import resources
from nas.accuracy import load_accuracy
from nas.data import contents_digest, open_data
from nas.files import write_bytes
from nas.jobs.data_run import DataOutcome, DataRequest, run_data_search
from nas.jobs.data_search import RUNG_BRANCHES
from nas.jobs.data_space import default_space, space_for
from nas.jobs.trained import Teaching
from nas.jobs.trials import Where
from nas.latency import load_latency
from nas.progress import Step
from nas.runs import Tables
from nas.runs.models import EvaluationRow
from nas.space import Architecture, load_space
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training import load_recipe
from nas.training.compare import RankCorrelation, rank_correlation
from nas.trials.evaluations import Evaluations
from nas.trials.listed import Listed, ListedDomain
from nas.trials.loop import Loop, Settings
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.studies import Study
from nas.units import parse_latency_ms
from tests.shared_data import shared_data

REPORT = Path(__file__).with_suffix(".md")
TRAININGS = Path(__file__).with_suffix("")
KNOWN, BAND = 132, 0.1
"""Twenty-two families in three widths and two placements; a band of latencies is so wide."""

RELIABILITY, REPEATS = 10, 3
"""So many networks have so many seeds at the first rung."""

QUICK = {"epochs": 3, "seeds": 2, "networks": 5, "trials": 4, "baselines": 3, "images": 600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What both parts share: the data, the device, the store, and how far networks are trained."""

    data: Path
    device: str
    target_ms: float
    space: str
    epochs: int
    seeds: int
    workers: int
    trials: int
    baselines: int
    networks: int
    folder: Path

    @property
    def storage(self) -> str:
        """The URL of the store of trainings."""
        return f"sqlite:///{self.folder / 'own_data.db'}"

    @property
    def where(self) -> Where:
        """Where trainings run."""
        return Where(workers=self.workers, storage=self.storage, checkpoints=self.folder / "checkpoints")


def main() -> None:
    """Do one part, then write what has been trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("proof", "ranking", "report"))
    parser.add_argument("--device", default="local")
    parser.add_argument("--target", default="0.15ms")
    parser.add_argument("--space")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    bench = _bench(options)
    kept = bench.folder / "parts.json"
    parts: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    try:
        if options.part == "proof":
            parts["proof"] = proof(bench).as_json()
        if options.part == "ranking":
            parts["ranking"] = ranking(bench)
    finally:
        if not options.quick:
            dump_trainings(bench)
    write_bytes(kept, json.dumps(parts, indent=1).encode())
    text = report(parts, bench)
    if not options.quick:
        REPORT.write_text(text, encoding="utf-8")
    print(text)


def proof(bench: Bench) -> DataOutcome:
    """The search, its finalists and their comparison; the same call goes on where it ended."""
    request = DataRequest(
        device=bench.device, target_ms=bench.target_ms, data=str(bench.data), space=bench.space, epochs=bench.epochs,
        seeds=bench.seeds, trials=bench.trials, baselines=bench.baselines, workers=bench.workers,
    )  # fmt: skip
    return run_data_search(request, storage=bench.storage, progress=_told)


def ranking(bench: Bench) -> dict[str, Any]:
    """Spearman's correlations with the accuracy after all epochs, of networks of one band of latencies."""
    dataset = open_data(bench.data)
    space = load_space(bench.space)
    assert isinstance(space, SearchSpace)
    latency = load_latency(bench.device)
    networks, latency_ms = band(space_for(space, dataset), latency, bench)
    teaching = Teaching(
        path=str(bench.data.resolve()), contents=contents_digest(dataset), recipe=load_recipe("small"),
        branches=RUNG_BRANCHES, weights_from=bench.epochs,
    )  # fmt: skip
    short, middle = 2 if bench.epochs >= 24 else 1, max(1, bench.epochs // 3)
    scores: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for label, epochs, taught in (
        (f"{short} epochs", short, teaching), (f"{middle} epochs", middle, teaching),
        ("all epochs", bench.epochs, replace(teaching, branches=None)),
    ):  # fmt: skip
        trials = trained(networks, latency_ms, taught, epochs, bench)
        scores[label] = np.array([_first(trials, place) for place in range(len(networks))])
    repeated = trained(networks[:RELIABILITY], latency_ms[:RELIABILITY], teaching, short, bench, times=REPEATS)
    scores["multiply-adds"] = np.array([float(network.macs) for network in networks])
    scores["parameters"] = np.array([float(network.params) for network in networks])
    scores["latency"] = np.array(latency_ms)
    scores["published prior"] = load_accuracy("imagenet").predict(networks)
    truth = scores.pop("all epochs")
    found = {name: _json(rank_correlation(values, truth, np.random.default_rng(0))) for name, values in scores.items()}
    seeds = np.array(
        [[t.accuracy for t in repeated if t.codes == (place,)] for place in range(min(RELIABILITY, len(networks)))],
        dtype=np.float64,
    )
    pairs = [(a, b) for a in range(REPEATS) for b in range(a)]
    between = [rank_correlation(seeds[:, a], seeds[:, b], np.random.default_rng(0)) for a, b in pairs]
    return {
        "networks": len(networks),
        "band": [min(latency_ms), max(latency_ms)],
        "spearman": found,
        "reliability": [_json(one) for one in between],
        "seed_sd": float(seeds.std(axis=1, ddof=1).mean()),
    }


def band(space: SearchSpace, latency: Any, bench: Bench) -> tuple[list[Architecture], list[float]]:
    """Networks drawn from the space whose predicted latencies lie in the tenth below the target."""
    rng, found = np.random.default_rng(29), dict[str, tuple[Architecture, float]]()
    for _ in range(400):
        drawn = space.sample(64, rng)
        for network, ms in zip(drawn, latency.latency_ms(drawn).tolist(), strict=True):
            if (1 - BAND) * bench.target_ms <= ms <= bench.target_ms:
                found.setdefault(network.digest, (network, ms))
        if len(found) >= bench.networks:
            break
    chosen = list(found.values())[: bench.networks]
    if len(chosen) < 4:
        raise SystemExit(f"four networks or more must lie within {BAND:.0%} below the target, but {len(chosen)} do")
    return [network for network, _ in chosen], [ms for _, ms in chosen]


def trained(
    networks: Sequence[Architecture],
    latency_ms: Sequence[float],
    teaching: Teaching,
    epochs: int,
    bench: Bench,
    *,
    times: int = 1,
) -> list[Trial]:
    """The trials of all networks, each trained `times` for so many epochs, in the store that the proof uses."""
    evaluator = teaching.evaluator((epochs,))
    names = [network.digest for network in networks]
    study = Study(
        Evaluations(Tables(bench.storage)), f"ranking-{epochs}-{times}-{len(networks)}-{names[0]}",
        evaluator=evaluator.key, recipe=teaching.recipe_key, question={"networks": names}, rungs=(epochs,),
    )  # fmt: skip
    question = Question(
        domain=ListedDomain(networks, latency_ms), goal=Goal(target_ms=max(latency_ms)), budget=times * len(networks)
    )  # fmt: skip
    return Loop(
        question, asker=Listed(range(len(networks)), times=times), evaluator=evaluator, study=study,
        executor=bench.where.executor(evaluator), settings=Settings(checkpoints=bench.where.checkpoints.resolve()),
        progress=_told,
    ).run()  # fmt: skip


def dump_trainings(bench: Bench) -> None:
    """Every training that has ended as a file beside this script."""
    TRAININGS.mkdir(exist_ok=True)
    with Tables(bench.storage).reading() as session:
        rows = [] if session is None else session.query(EvaluationRow).filter_by(state="done").all()
        for row in rows:
            record = {
                "digest": row.digest, "images": row.evaluator, "recipe": row.recipe, "epochs": row.epochs,
                "seed": row.seed, "validation": row.accuracy, "seconds": row.seconds, "finished": row.finished,
                "architecture": row.subject,
            }  # fmt: skip
            name = f"{row.digest}-{row.recipe.rpartition('#')[2]}-{row.epochs}-{row.seed}.json"
            write_bytes(TRAININGS / name, json.dumps(record, indent=1).encode())


def report(parts: Mapping[str, Any], bench: Bench) -> str:
    """The report of the parts that are there."""
    words = f"python -m benchmarks.own_data proof --epochs {bench.epochs} --seeds {bench.seeds}"
    sections = [f"# A search on images against known families\n\n{environment_text(words)}"]
    if "proof" in parts:
        sections.append(_proof_text(parts["proof"]))
    if "ranking" in parts:
        sections.append(_ranking_text(parts["ranking"]))
    return "\n\n".join(sections) + "\n"


def _proof_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            one["name"], one["part"], f"{one['latency']['mean_ms']:.4f}",
            f"{one['latency']['low_ms']:.4f}–{one['latency']['high_ms']:.4f}", f"{one['macs'] / 1e6:.2f}",
            f"{100 * float(np.mean(list(one['validation'].values()))):.2f}",
            "" if one["test"] is None else ", ".join(f"{100 * value:.2f}" for value in one["test"]),
        )
        for one in found["finalists"]
    ]  # fmt: skip
    header = ("finalist", "part", "ms", "90 %", "MACs M", "validation %", "test % by seed")
    costs = [
        (part, *(cost[key] for key in ("trainings", "epochs", "seconds"))) for part, cost in found["costs"].items()
    ]
    comparison = found["comparison"]
    return f"""## Against the best known network

Recipe {found["recipe"]}, rungs of {found["rungs"]} epochs, full trainings of {found["epochs"]}; target
{found["target_ms"]:g} ms. {"" if comparison is None else comparison["sentence"]}

{tabulate(rows, header, "pipe", disable_numparse=True)}

McNemar's test of one training each: {None if comparison is None else comparison["mcnemar"]}.

{tabulate(costs, ("part", "trainings", "epochs", "seconds of one worker"), "pipe", ".0f")}"""


def _ranking_text(found: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{one['spearman']:.2f}", f"{one['low']:.2f}–{one['high']:.2f}")
        for name, one in found["spearman"].items()
        if one is not None
    ]
    between = [f"{one['spearman']:.2f}" for one in found["reliability"] if one is not None]
    low, high = found["band"]
    return f"""## Ranking

{found["networks"]} networks of {low:.4f} to {high:.4f} ms, against their validation accuracy after all epochs.

{tabulate(rows, ("ranked by", "Spearman", "90 %"), "pipe", disable_numparse=True)}

Two seeds of the shortest rung rank {RELIABILITY} networks alike with Spearman {", ".join(between)}; a network's
accuracy there has a standard deviation of {100 * found["seed_sd"]:.2f} points over seeds."""


def _bench(options: argparse.Namespace) -> Bench:
    folder = resources.runs_folder() / "benchmarks" / ("own_data-quick" if options.quick else "own_data")
    folder.mkdir(parents=True, exist_ok=True)
    data = shared_data("cifar10/cifar10_15k.npz")
    quick: Mapping[str, int] = QUICK if options.quick else {}
    if options.quick:
        arrays, count = dict(np.load(data)), QUICK["images"]
        kept = {key: value[:count] if key[:2] in ("x_", "y_") else value for key, value in arrays.items()}
        data = folder / "images.npz"
        np.savez(data, **kept)
    return Bench(
        data=data,
        device=options.device,
        target_ms=parse_latency_ms(options.target, name="--target"),
        space=options.space or default_space(open_data(data)),
        epochs=quick.get("epochs", options.epochs),
        seeds=quick.get("seeds", options.seeds),
        workers=options.workers,
        trials=quick.get("trials", 27),
        baselines=quick.get("baselines", KNOWN),
        networks=quick.get("networks", options.networks),
        folder=folder,
    )


def _first(trials: Sequence[Trial], place: int) -> float:
    """The accuracy of a network's first training; nan where it failed."""
    found = [trial.accuracy for trial in trials if trial.codes == (place,) and trial.repeat == 0]
    return float(found[0]) if found and found[0] is not None else float("nan")


def _json(found: RankCorrelation | None) -> dict[str, float] | None:
    return None if found is None else found.as_json()


def _told(step: Step) -> None:
    if step.of:
        print(f"{step.doing}: {step.done:.0f} of {step.of:.0f} {step.note}", flush=True)


if __name__ == "__main__":
    main()
