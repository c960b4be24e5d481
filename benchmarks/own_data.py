"""A search on images against known families, and how well early figures rank. Writes own_data.md.

    python -m benchmarks.own_data proof [--target 0.15ms] [--epochs 24] [--seeds 5] [--trials 34] [--workers 2]
    python -m benchmarks.own_data ranking [--networks 30] [...]
    python -m benchmarks.own_data answer [--device local] [--target 0.15ms] [--workers 2]
    python -m benchmarks.own_data spending [--target 0.15ms] [--worlds 30]
    python -m benchmarks.own_data longer [--epochs 96] [--seeds 10] [--sides 32,64] [--seconds 900]
    python -m benchmarks.own_data report
    python -m benchmarks.own_data proof --quick        a minute, on 600 images: whether all of it runs

Both parts share one store of trainings, runs/benchmarks/own_data.db, and may be stopped and started again, on another
machine too: each training that has ended is a file in own_data/ beside this script, and one that has a file is not done
again; band.json there holds the networks of the ranking. The data are `cifar10/cifar10_15k.npz` of `NAS_DATA`;
the device must have a table for the space (`nas lut build --device local --space tiny`).

proof: some 27 networks of the space, and known ones of every family in three widths and two placements of strides, in
the same rungs and the same final; latencies of finalists measured in one session. ranking
(`benchmarks.own_data_band`): networks whose latencies lie within 10 % of each other, trained for 2, 8 and all epochs,
ten of them for 2 epochs with three seeds; beside the rungs stand the surrogate, each network left out of it, the prior,
and each proxy. answer: how long a user waits for a search of as many networks that has nothing to begin with; it has a
store of its own. spending (`benchmarks.own_data_spending`): the same epochs spent otherwise, simulated. longer
(`benchmarks.own_data_longer`): the answer and the rival of the proof trained further, on a GPU where there is one. What
a part found is kept in own_data/parts.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from benchmarks.looks import MOST_LOOKS, measured
from benchmarks.own_data_band import Bench, ranking, ranking_text, told
from benchmarks.own_data_longer import longer, longer_text
from benchmarks.own_data_spending import Contest, Worlds, architecture_of, spending, spending_text, trainings_in
from nas import resources
from nas.data import open_data
from nas.files import write_bytes
from nas.jobs.data_course import Course
from nas.jobs.data_run import DataOutcome, DataRequest, run_data_search
from nas.jobs.data_space import default_space, space_for
from nas.latency import load_latency
from nas.runs import Tables
from nas.runs.models import EvaluationRow
from nas.space import load_architecture, load_space
from nas.space.fitted import scaled
from nas.space.search_space import SearchSpace
from nas.trials.evaluations import EvaluationKey, Evaluations, Measured
from nas.units import parse_latency_ms
from tests.shared_data import shared_data

REPORT = Path(__file__).with_suffix(".md")
TRAININGS = Path(__file__).with_suffix("")
KNOWN = 132
"""Twenty-two families in three widths and two placements."""

TRIALS = 34
"""A fifth of them are second seeds, so 27 or so are of a network each."""

SCALE = ("mobilenetv1-1.0", 0.35, 4, 32)
"""A network, its width, strides and side: what it takes beside the finalists tells how fast a machine is."""

TITLES = {
    "proof": "Against the best known network",
    "answer": "From candidates to an answer",
    "ranking": "Ranking",
    "spending": "Other ways of spending the same epochs",
}

QUICK = {"epochs": 3, "seeds": 2, "networks": 5, "trials": 4, "baselines": 3, "images": 600}


def main() -> None:
    """Do one part, then write what has been trained."""
    parser = asked(__doc__)
    parser.add_argument("part", choices=("proof", "ranking", "answer", "spending", "longer", "report"))
    options = parser.parse_args()
    bench = bench_of(options)
    kept = (bench.folder if options.quick else TRAININGS) / "parts.json"
    parts: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if not options.quick:
        restore_trainings(bench)
    does: dict[str, Callable[[], dict[str, Any]]] = {
        "proof": lambda: looked_at(proof(bench)),
        "answer": lambda: looked_at(proof(alone(bench))) | {"workers": bench.workers},
        "ranking": lambda: ranking(bench),
        "spending": lambda: spent_otherwise(bench, options.worlds),
    }  # fmt: skip
    made = environment_text(f"python -m benchmarks.own_data {' '.join(sys.argv[1:])}")
    try:
        if options.part in does:
            parts[options.part] = does[options.part]() | {"made": made}
    finally:
        if not options.quick:
            for one in (bench, alone(bench)):
                dump_trainings(one)
    if options.part == "longer":
        trained_longer(bench, parts, options)
    if not parts:
        raise SystemExit(f"{kept} must hold what a part found, but there is none; do proof, answer or ranking first.")
    write_bytes(kept, json.dumps(parts, indent=1).encode())
    text = report(parts, kept.parent / "longer")
    if not options.quick:
        REPORT.write_text(text, encoding="utf-8")
    print(text)


def proof(bench: Bench) -> DataOutcome:
    """The search, its finalists and their comparison; the same call goes on where it ended."""
    request = DataRequest(
        device=bench.device, target_ms=bench.target_ms, data=str(bench.data), space=bench.space, epochs=bench.epochs,
        seeds=bench.seeds, trials=bench.trials, baselines=bench.baselines, workers=bench.workers,
    )  # fmt: skip
    return run_data_search(request, storage=bench.storage, progress=told)


def looked_at(found: DataOutcome) -> dict[str, Any]:
    """The record of a search, and of its finalists, by digest, the milliseconds of a run in a loop of their own, with
    half the 90 % interval as a share of it: one session in turns, until it is narrow. `scale` is that of `SCALE`."""
    networks = [one.architecture for one in found.answer.finalists]
    looks = measured([*networks, scaled(load_architecture(SCALE[0]), *SCALE[1:])], most=MOST_LOOKS)
    own = {network.digest: list(look) for network, look in zip(networks, looks[:-1], strict=True)}
    protocol = load_latency(found.device).device.protocol
    return found.as_json() | {"looks": own, "scale": list(looks[-1]), "protocol": protocol}


def alone(bench: Bench) -> Bench:
    """As a user searches who has trained nothing yet: a store of its own, and the usual number of known networks and
    seeds."""
    folder = bench.folder / "answer"
    folder.mkdir(exist_ok=True)
    usual = DataRequest(device=bench.device, target_ms=bench.target_ms, data=str(bench.data))
    return replace(bench, folder=folder, baselines=min(bench.baselines, usual.baselines), seeds=usual.seeds)


def spent_otherwise(bench: Bench, worlds: int) -> dict[str, Any]:
    """Searches of the space in worlds that agree with all trainings that have files."""
    space = load_space(bench.space)
    assert isinstance(space, SearchSpace)
    contest = Contest(
        space=space_for(space, open_data(bench.data)), latency=load_latency(bench.device), target_ms=bench.target_ms,
        trials=bench.trials, course=Course(epochs=bench.epochs),
    )  # fmt: skip
    return spending(Worlds(trainings_in(_records())), contest, worlds, lambda text: print(text, flush=True))


def trained_longer(bench: Bench, parts: Mapping[str, Any], options: argparse.Namespace) -> None:
    """The two networks that the proof compared, trained for the epochs, seeds and sides of the options."""
    if not (comparison := parts.get("proof", {}).get("comparison")):
        raise SystemExit("longer trainings are of what the proof compared, but there is none; do the proof first.")
    by_name = {one["name"]: one["digest"] for one in parts["proof"]["finalists"]}
    records = {record["digest"]: record for record in _records()}
    pair = {part: architecture_of(records[by_name[comparison[part]]]) for part in ("searched", "known")}
    longer(
        pair, bench.data, TRAININGS / "longer", bench.folder / "checkpoints", epochs=bench.epochs, seeds=bench.seeds,
        sides=[int(side) for side in options.sides.split(",")], seconds=options.seconds,
        told=lambda text: print(text, flush=True),
    )  # fmt: skip


def dump_trainings(bench: Bench) -> None:
    """Every training that has ended as a file beside this script, those that have none yet."""
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
            if not (TRAININGS / name).exists():  # what was restored keeps the day on which it ended
                write_bytes(TRAININGS / name, json.dumps(record, indent=1).encode())


def restore_trainings(bench: Bench) -> None:
    """Let the store know every training that has a file beside this script. Weights are not there: a network whose
    weights are asked for is trained again."""
    evaluations = Evaluations(Tables(bench.storage))
    for record in _records():
        key = EvaluationKey(
            digest=record["digest"], evaluator=record["images"], recipe=record["recipe"], epochs=record["epochs"],
            seed=record["seed"],
        )  # fmt: skip
        if evaluations.claim(key, subject=record["architecture"]).state == "granted":
            found = Measured(accuracy=record["validation"], seconds=record["seconds"], worker="another day")
            evaluations.finish(key, found)


def _records() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(TRAININGS.glob("*-*.json"))]


def report(parts: Mapping[str, Any], further: Path) -> str:
    """The report of the parts that are there, and of the longer trainings in the folder `further`; sections of parts
    that another checkout did stay as they are."""
    texts: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "proof": _proof_text, "answer": _answer_text, "ranking": ranking_text, "spending": spending_text
    }  # fmt: skip
    before = REPORT.read_text("utf-8") if REPORT.exists() else ""
    kept = {section.partition("\n")[0]: f"## {section.strip()}" for section in before.split("\n## ")[1:]}
    sections = ["# A search on images against known families"]
    for part, text in texts.items():
        if part in parts:
            title, _, rest = text(parts[part]).partition("\n\n")
            sections.append(f"{title}\n\n{parts[part]['made']}\n\n{rest}")
        elif TITLES[part] in kept:
            sections.append(kept[TITLES[part]])
    return "\n\n".join([*sections, *filter(None, [longer_text(further)])]) + "\n"


def _answer_text(found: Mapping[str, Any]) -> str:
    spent = sum(cost["seconds"] for cost in found["costs"].values())
    trials = [one for one in found["trials"] if one["part"] == "searched"]
    known = sorted({one["name"] for one in found["trials"] if one["part"] == "known"})
    text = _proof_text(found).replace(TITLES["proof"], TITLES["answer"], 1)
    networks = len({one["digest"] for one in trials})
    return (
        f"{text}\n\n{len(trials)} trials were of {networks} networks of the space; others are second seeds. Known"
        f" networks that were fitted to the target: {', '.join(known)}. All of it took {found['seconds'] / 60:.0f}"
        f" minutes by the clock with {found['workers']} workers, {spent / 3600:.1f} hours of one worker in trainings;"
        " nothing was there before."
    )


def _proof_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            one["name"], one["part"], f"{one['latency']['mean_ms']:.4f}",
            f"{one['latency']['low_ms']:.4f}–{one['latency']['high_ms']:.4f}",
            f"{found['looks'][one['digest']][0]:.4f} ± {100 * found['looks'][one['digest']][1]:.1f} %",
            f"{one['macs'] / 1e6:.2f}",
            f"{100 * float(np.mean(list(one['validation'].values()))):.2f}",
            "" if one["test"] is None else ", ".join(f"{100 * value:.2f}" for value in one["test"]),
        )
        for one in found["finalists"]
    ]  # fmt: skip
    header = ("finalist", "part", "ms", "90 %", "ms in a loop", "MACs M", "validation %", "test % by seed")
    costs = [
        (part, *(cost[key] for key in ("trainings", "epochs", "seconds"))) for part, cost in found["costs"].items()
    ]
    comparison = found["comparison"]
    notes = "".join(f"{note}\n\n" for note in found["notes"])
    tried = {
        part: len({one["digest"] for one in found["trials"] if one["part"] == part}) for part in ("known", "searched")
    }
    return f"""## {TITLES["proof"]}

Recipe {found["recipe"]}, rungs of {found["rungs"]} epochs, full trainings of {found["epochs"]}; target
{found["target_ms"]:g} ms. {tried["known"]} known networks and {tried["searched"]} searched ones were tried.
{_forms_text([one["name"] for one in found["trials"] if one["part"] == "known"])}
{"" if comparison is None else comparison["sentence"]}

{tabulate(rows, header, "pipe", disable_numparse=True)}

*ms* is what the search measured, all finalists and those that were not chosen in turns{_protocol_text(found)}; *ms in a
loop* each by itself for twenty milliseconds, in turns: a small network is faster there than between others
(`visits.md`).
{_scale_text(found)}
{notes}McNemar's test of one training each: {None if comparison is None else comparison["mcnemar"]}.

{tabulate(costs, ("part", "trainings", "epochs", "seconds of one worker"), "pipe", ".0f")}"""


def _forms_text(names: Sequence[str]) -> str:
    """How many of the families have three widths in each of two placements of strides, by the names of their forms."""
    forms: dict[str, dict[str, set[str]]] = {}
    for name in names:
        family, _, form = name.rpartition("-x")
        width, _, strides = form.partition("-s")
        forms.setdefault(family, {}).setdefault(strides, set()).add(width)
    whole = [family for family, placed in forms.items() if sum(len(widths) >= 3 for widths in placed.values()) >= 2]
    return (
        f"Of {len(forms)} families that can be as fast {len(whole)} came in three widths and two placements of strides."
    )


def _protocol_text(found: Mapping[str, Any]) -> str:
    return f" (*{found['protocol']}*)" if "protocol" in found else ""


def _scale_text(found: Mapping[str, Any]) -> str:
    if "scale" not in found:
        return ""
    name, width, strides, side = SCALE
    milliseconds, half = found["scale"]
    return (
        f"For scale: {name}-x{width}-s{strides} at {side} pixels takes {milliseconds:.3f} ms ± {100 * half:.1f} % so.\n"
    )


def asked(text: str | None) -> argparse.ArgumentParser:
    """The options that `bench_of` reads."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--device", default="local")
    parser.add_argument("--target", default="0.15ms")
    parser.add_argument("--space")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--worlds", type=int, default=30)
    parser.add_argument("--sides", default="32")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--quick", action="store_true")
    return parser


def bench_of(options: argparse.Namespace) -> Bench:
    """What the options ask for; with --quick 600 images, in a folder of their own."""
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
        trials=quick.get("trials", options.trials),
        baselines=quick.get("baselines", KNOWN),
        networks=quick.get("networks", options.networks),
        folder=folder,
        band=None if options.quick else TRAININGS / "band.json",
    )


if __name__ == "__main__":
    main()
