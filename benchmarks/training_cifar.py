"""A real training: five families of about equal latency on CIFAR-10's part, three seeds each. Writes training_cifar.md.

    python -m benchmarks.training_cifar [--epochs 24] [--seeds 3] [--only FAMILY] [--last] [--train | --report]

The family that is best on the validation images is then trained once more as a user's last training would be: on all
images that are not held out, and taught by a larger network (--last does that alone).

It may be stopped and started again: a training goes on at its last checkpoint, a finished one is kept in
training_cifar-EPOCHS.json beside it. Latencies are timed once all trainings are there, or with --report.
The data are `cifar10/cifar10_15k.npz` of `NAS_DATA` (or ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas import resources
from nas.data import Prepared, open_data, prepare
from nas.files import write_bytes
from nas.jobs.train import run_train
from nas.jobs.training import TrainRequest
from nas.nets import build, export_onnx
from nas.progress import Step
from nas.runs import RunStore
from nas.space import Architecture, load_architecture
from nas.space.architecture import Layer
from nas.training import load_recipe
from nas.training.checkpoint import FILE
from nas.training.heldout import held_out
from nas.training.loop import predictor
from nas.training.preprocessing import Normalize, preprocessing_for
from nas.zoo import find_entry, held_out_of_files, load, zoo_folder
from nas.zoo.check import onnx_runner
from nas.zoo.entry import Entry
from tests.shared_data import shared_data

SIDE, CLASSES = 32, 10
NETWORKS: Mapping[str, tuple[str, float, tuple[int, ...]]] = {
    "mnasnet": ("mnasnet-b1", 0.2, (2, 3, 4)),
    "mobilenetv3": ("mobilenetv3-small-minimalistic-1.0", 0.4, (2, 3)),
    "efficientnet-lite": ("efficientnet-lite0", 0.15, (2, 3, 4)),
    "mobilenetv2": ("mobilenetv2-1.0", 0.15, (2, 3, 4)),
    "mobilenetv1": ("mobilenetv1-1.0", 0.25, (1, 2, 3)),
}
"""Family → a known network, the share of its widths, and which of its strides stay 2 (0 is the first)."""

TEACHER = ("mobilenetv3-large-minimalistic-1.0", 0.5, (2, 3, 4))
"""The larger network, as in `NETWORKS`."""

LAST = "last"
"""What keys of last trainings begin with."""

BLOCK = 16
"""Widths are multiples of it: ONNX Runtime pads channels to blocks of 16 where there is AVX-512."""

BATCH_MS, LOOKS = 20.0, 45
REPORT = Path(__file__).with_suffix(".md")
CURVES = Path(__file__).with_suffix(".png")


def network(family: str) -> Architecture:
    """The network of `family`."""
    return narrowed(*NETWORKS[family])


def narrowed(name: str, width: float, kept: tuple[int, ...], *, block: int = BLOCK) -> Architecture:
    """The known network `name` for 32 × 32 images: a share of its widths, in multiples of `block`, and only those of
    its strides that are `kept`."""
    known = load_architecture(name)
    layers = [_narrower(layer, width, block) for layer in known.layers]
    strided = [i for i, layer in enumerate(layers) if dict(layer.args).get("stride") == 2]
    for number, place in enumerate(strided):
        if number not in kept:
            layers[place] = layers[place].with_args(stride=1)
    label = f"{name}-x{width:g}-s{''.join(map(str, kept))}"
    return replace(known, name=label, layers=tuple(layers), resolution=SIDE, num_classes=CLASSES, genes={})


def _narrower(layer: Layer, width: float, block: int) -> Layer:
    changes = {
        key: max(block, block * round(int(value) * width / block))
        for key, value in layer.args
        if key in ("out", "hidden") and int(value) > 0
    }
    return layer.with_args(**changes)


def main() -> None:
    """Train what is not trained yet, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=sorted(NETWORKS), nargs="+")
    parser.add_argument("--last", action="store_true", help="the last training of the best family alone")
    parser.add_argument("--train", action="store_true", help="only train, and leave the report as it is")
    parser.add_argument("--report", action="store_true", help="write the report of what is there, and train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(__file__).with_name(f"training_cifar-{options.epochs}.json")
    if not options.report:
        if not options.last:
            _train_families(path, options)
        if options.last or not options.only:
            _train_last(path, options)
    if not options.train:
        _report(_kept(path), options.epochs)


def _train_families(path: Path, options: argparse.Namespace) -> None:
    data = _images()
    for seed in range(options.seeds):
        for family in options.only or NETWORKS:
            _once(path, f"{family} {seed}", network(family), data, epochs=options.epochs, seed=seed)


def _train_last(path: Path, options: argparse.Namespace) -> None:
    """The teacher, then the best family's network with it, on all images but those held out."""
    done = _kept(path)
    if all(f"{LAST} {best_family(done)} {seed}" in done for seed in range(options.seeds)):
        return
    if "teacher 0" in done and not (zoo_folder() / done["teacher 0"]["zoo"]).exists():
        # Its figures were kept, but not its weights: another takes its place, and what that one teaches.
        left = {key: one for key, one in done.items() if key != "teacher 0" and not key.startswith(f"{LAST} ")}
        write_bytes(path, json.dumps(left, indent=1).encode())
    data = _images(validation=False)
    _once(path, "teacher 0", narrowed(*TEACHER), data, epochs=options.epochs, seed=0)
    teacher, family = _kept(path)["teacher 0"]["zoo"], best_family(_kept(path))
    for seed in range(options.seeds):
        key = f"{LAST} {family} {seed}"
        _once(path, key, network(family), data, epochs=options.epochs, seed=seed, teacher=teacher)


def best_family(done: Mapping[str, Mapping[str, Any]]) -> str:
    """The family with the best mean accuracy on the validation images after its last epoch."""
    scores: dict[str, list[float]] = {}
    for key, one in done.items():
        family, _, _ = key.partition(" ")
        if family in NETWORKS:
            scores.setdefault(family, []).append(one["history"][-1]["accuracy"])
    return max(scores, key=lambda family: statistics.mean(scores[family]))


def _images(*, validation: bool = True) -> Prepared:
    opened = open_data(shared_data("cifar10/cifar10_15k.npz"))
    return prepare(opened, size=(SIDE, SIDE), validation=validation)


def _once(path: Path, key: str, architecture: Architecture, data: Prepared, **options: Any) -> None:
    """Train, and keep the outcome, unless it is kept."""
    if key not in _kept(path):
        one = _trained(architecture, data, **options)
        # Read again: another process may train another network.
        write_bytes(path, json.dumps({**_kept(path), key: one}, indent=1).encode())


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _trained(
    architecture: Architecture, data: Prepared, *, epochs: int, seed: int, teacher: str | None = None
) -> dict[str, Any]:
    """The outcome of one training, from its last checkpoint where it was stopped before."""
    request = TrainRequest(
        network=architecture, data=data, epochs=epochs, seed=seed, teacher=teacher, formats=("onnx", "litert")
    )
    for run in RunStore().records(kind="train"):
        inputs = run.inputs
        same = inputs["network"]["digest"] == architecture.digest and inputs["data"]["digest"] == data.digest
        same = same and inputs.get("images") == len(data.train) and (inputs["teacher"] is None) == (teacher is None)
        kept = resources.runs_folder() / run.id / FILE
        asked = (inputs["recipe"], inputs["epochs"], inputs["seed"]) == (load_recipe("small").as_json(), epochs, seed)
        if same and asked and run.status != "done" and kept.exists():
            request = replace(request, resume=run.id)
            break
    said = time.monotonic()

    def tell(step: Step) -> None:
        nonlocal said
        if time.monotonic() - said > 60:
            print(f"{architecture.name}, seed {seed}: {step.doing}: {step.note}", flush=True)
            said = time.monotonic()

    outcome = run_train(request, progress=tell)
    print(f"{architecture.name}, seed {seed}: {100 * outcome.accuracy:.2f} %", flush=True)
    entry = find_entry(outcome.zoo)
    training = entry.manifest["training"]
    return {
        **outcome.as_json(),
        "zoo": entry.name,
        "history": training["history"],
        "correct": training["correct"],
        "held_out": training["held_out"],
        "agreeing": _agreeing(entry, data, training["correct"]),
    }


def _report(done: Mapping[str, Mapping[str, Any]], epochs: int) -> None:
    families = [family for family in NETWORKS if f"{family} 0" in done]
    latency = _latencies(families)
    rows = []
    for family in families:
        ours = [one for key, one in done.items() if key.startswith(f"{family} ")]
        architecture, (ms, apart) = network(family), latency[family]
        chosen = statistics.mean(100 * one["history"][-1]["accuracy"] for one in ours)
        rows.append(
            (
                architecture.name, f"{architecture.macs / 1e6:.2f}", f"{architecture.params / 1e3:.0f}",
                f"{ms:.3f} ± {100 * apart:.1f} %", f"{chosen:.1f}", *_scores(ours), f"{ours[0]['images_per_s']:.0f}",
                _agreed(ours),
            )
        )  # fmt: skip
    header = (
        "network", "MACs M", "params k", "ms", "validation %", "held-out % by seed", "mean", "sd", "images/s",
        "files agree",
    )  # fmt: skip
    write_bytes(CURVES, _curves(done, families))
    text = f"""# Trained on CIFAR-10's part

{environment_text(f"python -m benchmarks.training_cifar --epochs {epochs}")}

Recipe `small`, {epochs} epochs, one thread; accuracy on the 4,000 test images, which decided nothing. *Validation*: the
mean over seeds on the 1,500 validation images. Latency: one thread of ONNX Runtime, interleaved, the median of {LOOKS}
looks of {BATCH_MS:g} ms of CPU time, with half the 90 % interval of that median. *Files agree*: on how many test
images, over all seeds, the ONNX and LiteRT files, read back and run one by one, say what the trained network says.
*Images/s*: of the training of the first seed, whatever ran beside it, so they do not compare.

{tabulate(rows, header, tablefmt="pipe")}

![validation accuracy by epoch]({CURVES.name})
{_last_text(done)}"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


def _last_text(done: Mapping[str, Mapping[str, Any]]) -> str:
    ours = [one for key, one in done.items() if key.startswith(f"{LAST} ")]
    if not ours:
        return ""
    taught = done["teacher 0"]
    row = (ours[0]["name"], *_scores(ours), f"{ours[0]['images_per_s']:.0f}", _agreed(ours))
    return f"""
## The last training

The network that is best on the validation images, trained as long on all 15,000 images that are not held out
(`nas train --all-images`), taught by {taught["name"]} (`--teacher`), which saw the same images and is right on
{100 * taught["accuracy"]["mean"]:.2f} % of the test images.

{tabulate([row], ("network", "held-out % by seed", "mean", "sd", "images/s", "files agree"), tablefmt="pipe")}
"""


def _scores(ours: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Held-out accuracies in percent, their mean, and their standard deviation."""
    scores = [100 * one["accuracy"]["mean"] for one in ours]
    noise = f"{statistics.stdev(scores):.2f}" if len(scores) > 1 else "-"
    return ", ".join(f"{score:.2f}" for score in scores), f"{statistics.mean(scores):.2f}", noise


def _agreed(ours: Sequence[Mapping[str, Any]]) -> str:
    counts = {name: sum(one["agreeing"][name] for one in ours) for name in ours[0]["agreeing"]}
    total = sum(one["held_out"] for one in ours)
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) + f" of {total:,}"


def _agreeing(entry: Entry, data: Prepared, correct: int) -> dict[str, int]:
    """On how many test images each file, read back, says what the trained network says, which is right on `correct`."""
    predict = predictor(load(entry.name).module.fuse(), Normalize(preprocessing_for(3)))
    trained = held_out(predict, data.test, CLASSES)
    if trained.correct != correct:
        raise SystemExit(f"{entry.name} must be right on {correct} images, but is on {trained.correct}.")
    files = held_out_of_files(entry, shared_data("cifar10/cifar10_15k.npz"))
    return {name: int((found.said == trained.said).sum()) for name, found in files.items()}


def _latencies(families: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Median ms of a run of each network, and half its 90 % interval as a share of it; the networks take turns."""
    image = np.zeros((1, 3, SIDE, SIDE), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        files = {family: export_onnx(build(network(family)), Path(folder) / f"{family}.onnx") for family in families}
        runners = {family: onnx_runner(path) for family, path in files.items()}
    looks: dict[str, list[float]] = {family: [] for family in families}
    for _ in range(LOOKS + 1):
        for name, run in runners.items():
            began, count = time.process_time(), 0
            while (spent := time.process_time() - began) * 1e3 < BATCH_MS:
                run(image)
                count += 1
            looks[name].append(1e3 * spent / count)
    found = {}
    for name, values in looks.items():
        kept = np.sort(values[1:])
        # Order statistics on both sides of the median: a sign test's 90 % interval.
        reach = round(1.645 * len(kept) ** 0.5 / 2)
        middle = len(kept) // 2
        low, median, high = kept[middle - reach], kept[middle], kept[middle + reach]
        found[name] = (float(median), float((high - low) / (2 * median)))
    return found


def _curves(done: Mapping[str, Mapping[str, Any]], families: list[str]) -> bytes:
    """Validation accuracy by epoch, a colour a family, a line a seed."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, family in enumerate(families):
        for key, one in done.items():
            if key.startswith(f"{family} "):
                points = [(epoch["number"], 100 * epoch["accuracy"]) for epoch in one["history"]]
                label = family if key.endswith(" 0") else None
                axes.plot(*zip(*points, strict=True), color=f"C{number}", label=label, linewidth=1)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy, %")
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


if __name__ == "__main__":
    main()
