"""A real training: five families of about equal latency on CIFAR-10's part, three seeds each. Writes training_cifar.md.

    python -m benchmarks.training_cifar [--epochs 24] [--seeds 3] [--only FAMILY] [--report]

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
from nas.zoo import find_entry, held_out_of_files, load
from nas.zoo.check import onnx_runner
from nas.zoo.entry import Entry
from tests.shared_data import shared_data

SIDE, CLASSES = 32, 10
NETWORKS: Mapping[str, tuple[str, float, tuple[int, ...]]] = {
    "mnasnet": ("mnasnet-b1", 0.2, (2, 3, 4)),
    "mobilenetv3": ("mobilenetv3-large-minimalistic-1.0", 0.3, (2, 3, 4)),
    "efficientnet-lite": ("efficientnet-lite0", 0.15, (2, 3, 4)),
    "mobilenetv2": ("mobilenetv2-1.0", 0.15, (2, 3, 4)),
    "mobilenetv1": ("mobilenetv1-1.0", 0.25, (1, 2, 3)),
}
"""Family → a known network, the share of its widths, and which of its strides stay 2 (0 is the first)."""

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
    parser.add_argument("--report", action="store_true", help="write the report of what is there, and train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(__file__).with_name(f"training_cifar-{options.epochs}.json")
    done = _kept(path)
    data = prepare(open_data(shared_data("cifar10/cifar10_15k.npz")), size=(SIDE, SIDE))
    families = options.only or list(NETWORKS)
    for seed in range(options.seeds):
        for family in families:
            key = f"{family} {seed}"
            if key not in done and not options.report:
                one = _trained(network(family), data, options.epochs, seed)
                # Read again: another process may train another family.
                done = {**_kept(path), key: one}
                write_bytes(path, json.dumps(done, indent=1).encode())
    _report(done, options.epochs)


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _trained(architecture: Architecture, data: Prepared, epochs: int, seed: int) -> dict[str, Any]:
    """The outcome of one training, from its last checkpoint where it was stopped before."""
    request = TrainRequest(network=architecture, data=data, epochs=epochs, seed=seed, formats=("onnx", "litert"))
    for run in RunStore().records(kind="train"):
        inputs = run.inputs
        same = inputs["network"]["digest"] == architecture.digest and inputs["data"]["digest"] == data.digest
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
    families = [family for family in NETWORKS if any(key.startswith(f"{family} ") for key in done)]
    latency = _latencies(families)
    rows = []
    for family in families:
        ours = [one for key, one in done.items() if key.startswith(f"{family} ")]
        scores = [100 * one["accuracy"]["mean"] for one in ours]
        noise = statistics.stdev(scores) if len(scores) > 1 else float("nan")
        architecture = network(family)
        ms, apart = latency[family]
        rows.append(
            (
                architecture.name, f"{architecture.macs / 1e6:.2f}", f"{architecture.params / 1e3:.0f}",
                f"{ms:.3f} ± {100 * apart:.1f} %", ", ".join(f"{score:.2f}" for score in scores),
                f"{statistics.mean(scores):.2f}", f"{noise:.2f}", f"{ours[0]['images_per_s']:.0f}",
                _agreed(ours),
            )
        )  # fmt: skip
    header = (
        "network", "MACs M", "params k", "ms", "held-out % by seed", "mean", "sd", "images/s", "files agree",
    )  # fmt: skip
    write_bytes(CURVES, _curves(done, families))
    text = f"""# Trained on CIFAR-10's part

{environment_text(f"python -m benchmarks.training_cifar --epochs {epochs}")}

Recipe `small`, {epochs} epochs, one thread; accuracy on the 4,000 test images, which decided nothing. Latency: one
thread of ONNX Runtime, interleaved, the median of {LOOKS} looks of {BATCH_MS:g} ms of CPU time, with half the 90 %
interval of that median. *Files agree*: on how many test images, over all seeds, the ONNX and LiteRT files, read back
and run one by one, say what the trained network says.

{tabulate(rows, header, tablefmt="pipe")}

![validation accuracy by epoch]({CURVES.name})
"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


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
