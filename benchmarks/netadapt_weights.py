"""NetAdapt with weights beside a width multiplier trained as long, on CIFAR-10's part. Writes netadapt_weights.md.

    python -m benchmarks.netadapt_weights [--epochs 24] [--long 12] [--short 0.25] [--step 0.05] [--seeds 3]
                                          [--device local] [--only-seed N] [--report]

A trained known network at 1.5 times the target is cut down to the target, `nas adapt` from Python; beside it is the
same network by a width multiplier, the widest that meets the target, trained from scratch for as many epochs as the
weights of the other went through. Whether something meets the target is measured: the target is the parent's latency in
the same session, divided by 1.5.

It may be stopped and started again: every training is kept in runs/benchmarks, and what a seed gave in
netadapt_weights.json beside this file. Seeds may run side by side (`--only-seed`) once `--seeds 0` has chosen the
rival; a last start without these measures all of them in one session. The data are `cifar10/cifar10_15k.npz` of
`NAS_DATA` (or ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student
from tabulate import tabulate

from benchmarks.environment import environment_text
from benchmarks.looks import MOST_LOOKS, measured
from benchmarks.training_cifar import narrowed
from nas import resources
from nas.data import Prepared, Split, open_data, prepare
from nas.errors import NasError
from nas.evaluate import Limits
from nas.files import write_bytes
from nas.jobs.adapt_rounds import Tuning
from nas.jobs.adapt_trained import AdaptedWeights, adapt_trained
from nas.jobs.inherit import Source
from nas.latency import LatencyModel, load_latency
from nas.nets import build
from nas.progress import Step
from nas.space import Architecture
from nas.space.architecture import parse_architecture
from nas.training import Recipe, load_recipe
from nas.training.heldout import HeldOut, held_out
from nas.training.loop import predictor
from nas.training.once import Ended, train_once
from nas.training.preprocessing import Normalize, preprocessing_for
from tests.shared_data import shared_data

KNOWN, SIDE, CLASSES = "mobilenetv1-1.0", 32, 10
STRIDES = (0, 2, 3, 4)
"""Which of the known network's strides stay 2; the others are 1, for images this small."""
PARENT_WIDTH, ABOVE = 0.35, 1.5
WIDTHS = tuple(round(0.35 - 0.01 * i, 2) for i in range(1, 26))
"""Of the width multiplier, widest first."""
TRIES, MARGIN = 6, 0.02
"""How often the model's target is lowered where what was measured lies above it, and how far below it must lie: the
session of the report may find it a little slower."""
REPORT, KEPT = Path(__file__).with_suffix(".md"), Path(__file__).with_suffix(".json")


def network(width: float) -> Architecture:
    """The known network for 32 × 32 images at a width; channels are multiples of 8."""
    return narrowed(KNOWN, width, STRIDES, block=8)


def fewer(data: Prepared, count: int) -> Prepared:
    """The same with the first `count` images of each split alone, to see that everything runs."""

    def first(split: Split) -> Split:
        return Split(images=split.images[:count], labels=split.labels[:count], names=split.names[:count])

    train, val, test = map(first, (data.train, data.val, data.test))
    return replace(data, train=train, val=val, test=test, digest=f"{data.digest[:40]}-{count}")


class Work:
    """What the benchmark trains with, and where it lies."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.recipe: Recipe = load_recipe("small")
        data = prepare(open_data(shared_data("cifar10/cifar10_15k.npz")), size=(SIDE, SIDE))
        self.data: Prepared = data if options.images is None else fewer(data, options.images)
        self.folder = resources.runs_folder() / "benchmarks" / "netadapt_weights"
        self.latency: LatencyModel = load_latency(options.device)
        self._said = time.monotonic()

    def tell(self, step: Step) -> None:
        """A line a minute."""
        if time.monotonic() - self._said > 60:
            print(f"{step.doing}: {100 * (step.share or 0):.0f} %, {step.note}", flush=True)
            self._said = time.monotonic()

    def trained(self, one: Architecture, epochs: int, seed: int) -> Ended:
        """`one` trained from scratch."""
        tuning = Tuning(recipe=self.recipe, epochs=epochs, seed=seed)
        return train_once(
            self.folder / f"scratch-{one.digest[:16]}-{epochs}-{seed}.safetensors",
            tuning.question([one.digest], self.data, "scratch", self.recipe, epochs),
            lambda: tuning.training(build(one, seed=seed), self.data, self.recipe, epochs),
            progress=self.tell,
        )

    def judged(self, one: Architecture, ended: Ended) -> HeldOut:
        """What the trained network says of the test images."""
        predict = predictor(ended.module(one).fuse(), Normalize(preprocessing_for(3)))
        return held_out(predict, self.data.test, CLASSES)

    def adapted(self, parent: Architecture, begun: Ended, seed: int) -> tuple[AdaptedWeights, float]:
        """The parent cut down to what is measured at or under the target, and the target that the model was given."""
        options = self.options
        source = Source(
            name="parent",
            what=parent.name,
            digest=f"{parent.digest} {options.epochs} {seed}",
            module=begun.module(parent),
            classes=self.data.classes,
        )
        tuning = Tuning(
            recipe=self.recipe, epochs=options.long, short_epochs=options.short, step=options.step, seed=seed
        )
        folder = self.folder / f"adapted-{parent.digest[:8]}-{options.short:g}-{seed}"

        def cut(asked_ms: float, epochs: int, data: Prepared) -> AdaptedWeights:
            return adapt_trained(
                parent,
                latency=self.latency,
                target_ms=asked_ms,
                data=data,
                source=source,
                tuning=replace(tuning, epochs=epochs),
                folder=folder,
                limits=Limits(max_interval=None),
                divisor=options.divisor,
                progress=self.tell,
            )

        asked_ms = self.latency.estimate(parent).mean_ms / ABOVE
        for _ in range(TRIES):
            # Only the way is asked for: one epoch at the end, and no look at the test images.
            way = cut(asked_ms, 1, replace(self.data, test=self.data.val))
            (parent_ms, _), (ms, half) = measured([parent, way.adaptation.best.architecture])
            share = ms * ABOVE / parent_ms
            print(
                f"seed {seed}: asked {asked_ms:.4f}, measured {share:.3f} of the target ± {100 * half:.1f} %",
                flush=True,
            )
            if share <= 1 - MARGIN:
                return cut(asked_ms, options.long, self.data), asked_ms
            asked_ms *= (1 - 1.5 * MARGIN) / share
        raise NasError(f"the target must be met as measured, but {TRIES} tries led to {share:.3f} of it.")


def rival(parent: Architecture) -> Architecture:
    """The widest form of the parent by a width multiplier that is measured at or under the target."""
    forms = list({one.digest: one for one in map(network, WIDTHS)}.values())
    (parent_ms, _), *times = measured([parent, *forms])
    for one, (ms, _) in zip(forms, times, strict=True):
        if ms <= parent_ms / ABOVE:
            return one
    raise NasError(f"a width multiplier must meet the target, but the narrowest takes {times[-1][0]:.4f} ms.")


def main() -> None:
    """Do what is not done yet, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24, help="of the parent")
    parser.add_argument("--long", type=int, default=12, help="of the fine-tuning at the end")
    parser.add_argument("--short", type=float, default=0.25, help="of each candidate")
    parser.add_argument("--step", type=float, default=0.05)
    parser.add_argument("--divisor", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only-seed", type=int)
    parser.add_argument("--device", default="local")
    parser.add_argument("--images", type=int, help="of each split, to see that everything runs")
    parser.add_argument("--report", action="store_true", help="write the report of what is there, and train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"seeds": {}}
    asked = {key: getattr(options, key) for key in ("epochs", "long", "short", "step", "divisor", "device", "images")}
    if done.setdefault("options", asked) != asked:
        raise SystemExit(f"{KEPT} must be of the same options, but is of {done['options']}; remove it, or give these.")
    if not options.report:
        _work(Work(options), done)
    _report(done)


def _work(work: Work, done: dict[str, Any]) -> None:
    options, parent = work.options, network(PARENT_WIDTH)
    if "rival" not in done:
        done["rival"] = dict(rival(parent).as_mapping())
        _keep(done)
    other = parse_architecture(done["rival"], "rival")
    seeds = range(options.seeds) if options.only_seed is None else [options.only_seed]
    for seed in seeds:
        if str(seed) in done["seeds"]:
            continue
        begun = work.trained(parent, options.epochs, seed)
        found, asked_ms = work.adapted(parent, begun, seed)
        trained = found.adaptation.trained
        assert trained is not None
        epochs = options.epochs + math.ceil(trained.chain_epochs)
        beside = work.judged(other, work.trained(other, epochs, seed))
        done["seeds"][str(seed)] = {
            "parent": work.judged(parent, begun).as_json(),
            "adapted": {**found.held_out.as_json(), "validation": trained.validation},
            "rival": beside.as_json(),
            "rival_epochs": epochs,
            "asked_ms": asked_ms,
            "trained": trained.as_json(),
            "rounds": [one.as_json() for one in found.adaptation.rounds],
            "architecture": dict(found.adaptation.best.architecture.as_mapping()),
        }
        _keep(done)
    if done["seeds"]:
        answers = [parse_architecture(one["architecture"], key) for key, one in sorted(done["seeds"].items())]
        times = measured([parent, other, *answers], most=MOST_LOOKS)
        done["measured"] = [{"ms": ms, "half": half} for ms, half in times]
        _keep(done)


def _keep(done: dict[str, Any]) -> None:
    """Write what is done, with the seeds that other processes have written since (`--only-seed`)."""
    if KEPT.exists():
        done["seeds"] = json.loads(KEPT.read_text())["seeds"] | done["seeds"]
    write_bytes(KEPT, json.dumps(done, indent=1).encode())


def _report(done: Mapping[str, Any]) -> None:
    seeds = sorted(done["seeds"])
    if not seeds:
        print("no seed is done yet")
        return
    parent, other, *answers = done["measured"]
    target_ms = parent["ms"] / ABOVE

    def row(what: str, times: Sequence[Mapping[str, float]], key: str, epochs: str) -> tuple[str, ...]:
        scores = [100 * done["seeds"][seed][key]["mean"] for seed in seeds]
        noise = statistics.stdev(scores) if len(scores) > 1 else math.nan
        ms = ", ".join(f"{one['ms']:.4f} ± {100 * one['half']:.1f} %" for one in times)
        return (
            what,
            ms,
            epochs,
            ", ".join(f"{one:.2f}" for one in scores),
            f"{statistics.mean(scores):.2f} ± {noise:.2f}",
        )

    options, of = done["options"], done["seeds"]
    chains = ", ".join(f"{options['epochs'] + of[seed]['trained']['chain_epochs']:g}" for seed in seeds)
    rival_epochs = ", ".join(str(of[seed]["rival_epochs"]) for seed in seeds)
    rows = [
        row("parent", [parent], "parent", str(options["epochs"])),
        row("cut by NetAdapt, with weights", answers, "adapted", chains),
        row("width multiplier, from scratch", [other], "rival", rival_epochs),
    ]
    won = [100 * (of[seed]["adapted"]["mean"] - of[seed]["rival"]["mean"]) for seed in seeds]
    apart = ", ".join(f"{one:+.2f}" for one in won)
    met = "yes" if all(one["ms"] <= target_ms for one in answers) else "no"
    words = " ".join(f"--{key} {value}" for key, value in options.items() if value is not None)
    text = f"""# NetAdapt with weights

{environment_text(f"python -m benchmarks.netadapt_weights {words}")}

{KNOWN} for 32 × 32 images at width {PARENT_WIDTH:g}, trained on CIFAR-10's part, cut to {target_ms:.4f} ms, {ABOVE:g}
times less. Accuracy on the 4,000 test images, which chose nothing: by seed, then mean and deviation. Latency: one
thread of ONNX Runtime by its own clock, all networks in one session, median with half its 90 % interval.

{tabulate(rows, ("", "ms", "epochs", "held-out % by seed", "mean ± sd"), tablefmt="pipe")}

Every cut network is measured at or under the target: {met}. Cut minus multiplied, by seed: {apart} points; mean
{statistics.mean(won):+.2f}{_interval(won)}. The rival has as many epochs as the weights of the cut network went
through, rounded up.
"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


def _interval(values: Sequence[float]) -> str:
    """The central 90 % interval of the mean, by Student's distribution."""
    if len(values) < 2:
        return ""
    half = float(student.ppf(0.95, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f" ± {half:.2f} (90 %, by seed)"


if __name__ == "__main__":
    main()
