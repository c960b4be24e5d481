"""Inherited slices beside random ones, and fine-tuning beside scratch, on CIFAR-10's part. Writes inherit_cifar.md.

    python -m benchmarks.inherit_cifar [--epochs 24] [--fine-tuning 12] [--seeds 3]

Two parents, of which one is so narrow that it can spare little, learn classes 0 to 4. Ten children of each, shrunk at
random to 85 % of its MACs or less, take slices of it, those that matter most and random ones; the statistics
of their norms are taken anew, and nothing is trained. Then 2,000 images of classes 5 to 9 train the first child of the
wide parent from inherited weights, the same child from scratch, and the whole parent. It may be stopped and started
again: what is finished, and each epoch of a parent, is kept in runs/benchmarks. The data are
`cifar10/cifar10_15k.npz` of `NAS_DATA`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from tabulate import tabulate

from benchmarks.environment import environment_text
from benchmarks.training_cifar import SIDE, narrowed
from nas import resources
from nas.data import Prepared, Split, open_data, prepare
from nas.files import write_bytes
from nas.nets import GraphModule, build
from nas.space import Architecture
from nas.space.shrink import shrink_moves
from nas.training import load_recipe
from nas.training.checkpoint import read_checkpoint, write_checkpoint
from nas.training.inherit import inherit_weights, looked_at
from nas.training.loop import Training
from tests.shared_data import shared_data

PARENTS = {
    "wide": narrowed("mobilenetv2-1.0", 0.35, (1, 3, 4)),
    "narrow": narrowed("mobilenetv2-1.0", 0.15, (2, 3, 4)),
}
CHILDREN, SHARE, DRAWS = 10, 0.85, 5
PARENTS_CLASSES, OTHER_CLASSES, OTHER_IMAGES, NORM_IMAGES = range(5), range(5, 10), 2000, 1000
ARMS = ("inherited child", "child from scratch", "whole parent")
REPORT = Path(__file__).with_suffix(".md")


def of_classes(data: Prepared, classes: Sequence[int], images: int | None = None) -> Prepared:
    """The images of some classes alone, of which the first `images` train."""

    def chosen(split: Split, most: int | None = None) -> Split:
        places = np.flatnonzero(np.isin(split.labels, classes))[:most]
        labels = np.searchsorted(classes, split.labels[places])
        names = [split.names[i] for i in places.tolist()]
        return replace(split, images=split.images[places], labels=labels.astype(split.labels.dtype), names=tuple(names))

    names = tuple(data.classes[i] for i in classes)
    return replace(data, train=chosen(data.train, images), val=chosen(data.val), test=chosen(data.test), classes=names)


def children(parent: Architecture) -> list[Architecture]:
    """Networks that random narrowings of `parent` lead to."""
    found = []
    for seed in range(CHILDREN):
        rng, child = np.random.default_rng([41, seed]), parent
        while child.macs > SHARE * parent.macs:
            moves = [narrower for _, narrower in shrink_moves(child, 4)]
            child = moves[int(rng.integers(len(moves)))]
        found.append(child.named(f"child {seed}"))
    return found


def untrained_accuracy(module: GraphModule, data: Prepared) -> float:
    """In percent of the test images, once the statistics of norms are taken anew."""
    training = Training(module, data, load_recipe("small"), epochs=1)
    training.reestimate_norms(training.module, NORM_IMAGES)
    return 100 * training.score(data.test).accuracy


def curve(module: GraphModule, data: Prepared, epochs: int, seed: int) -> list[float]:
    """Validation accuracy in percent after each epoch, then the test accuracy of the result."""
    training = Training(module, data, load_recipe("small"), epochs=epochs, seed=seed)
    training.run(lambda one: None)
    training.module = training.result()
    return [*(100 * (one.accuracy or 0.0) for one in training.history), 100 * training.score(data.test).accuracy]


class Kept:
    """What is finished, in one file, so that a run goes on where it was stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def once(self, key: str, value: Any) -> None:
        """Compute `value()` unless `key` is there."""
        if key not in self.found:
            self.found[key] = value()
            write_bytes(self._path, json.dumps(self.found, indent=1).encode())
            print(key, self.found[key], flush=True)


def main() -> None:
    """Do what is not done yet, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--fine-tuning", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = resources.runs_folder() / "benchmarks"
    kept = Kept(folder / f"inherit_cifar-{options.epochs}-{options.fine_tuning}.json")
    data = prepare(open_data(shared_data("cifar10/cifar10_15k.npz")), size=(SIDE, SIDE))
    own, others = of_classes(data, PARENTS_CLASSES), of_classes(data, OTHER_CLASSES, OTHER_IMAGES)
    for name, untrained in PARENTS.items():
        architecture = untrained.adapted(num_classes=len(PARENTS_CLASSES))
        parent = _parent(
            architecture, own, options.epochs, folder / f"inherit_cifar-{name}-{options.epochs}.safetensors"
        )
        _sliced(kept, name, architecture, parent, own)
        if name == "wide":
            _fine_tuned(kept, architecture, parent, others, options)
    _report(kept.found, options)


def _sliced(kept: Kept, name: str, architecture: Architecture, parent: GraphModule, own: Prepared) -> None:
    kept.once(f"{name} parent", lambda: untrained_accuracy(build_with(architecture, parent), own))
    for child in children(architecture):
        kept.once(f"{name} {child.name}", lambda child=child: _compared(child, parent, own))


def _fine_tuned(
    kept: Kept, architecture: Architecture, parent: GraphModule, others: Prepared, options: argparse.Namespace
) -> None:
    first = children(architecture)[0]
    for seed in range(options.seeds):
        starts = {
            ARMS[0]: lambda seed=seed: inherit_weights(first, parent, new_classes=True, seed=seed).module,
            ARMS[1]: lambda seed=seed: build(first, seed=seed),
            ARMS[2]: lambda seed=seed: inherit_weights(architecture, parent, new_classes=True, seed=seed).module,
        }
        for arm, start in starts.items():
            kept.once(
                f"{arm} {seed}",
                lambda start=start, seed=seed: curve(start(), others, options.fine_tuning, seed),
            )


def build_with(architecture: Architecture, weights: GraphModule) -> GraphModule:
    """A copy of a network."""
    module = build(architecture)
    module.load_state_dict(weights.state_dict())
    return module


def _parent(architecture: Architecture, data: Prepared, epochs: int, path: Path) -> GraphModule:
    """The trained parent; read back where it was trained before."""
    module = build(architecture)
    if not path.exists():
        training = Training(module, data, load_recipe("small"), epochs=epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = path.with_suffix(".checkpoint")
        if checkpoint.exists():
            training.restore(read_checkpoint(checkpoint))
        training.run(lambda one: write_checkpoint(checkpoint, one.state({"parent": architecture.digest})))
        weights = {name: value.contiguous() for name, value in training.result().state_dict().items()}
        write_bytes(path, save(weights))
    module.load_state_dict(load_file(path))
    return module


def _compared(child: Architecture, parent: GraphModule, data: Prepared) -> dict[str, Any]:
    """The child's accuracy with slices that matter, and with several draws of random ones."""
    chosen = inherit_weights(child, parent, images=looked_at(data.train))
    drawn = [inherit_weights(child, parent, draw=np.random.default_rng(1000 + i)).module for i in range(DRAWS)]
    return {
        "macs": child.macs,
        "share": chosen.share,
        "chosen": untrained_accuracy(chosen.module, data),
        "random": [untrained_accuracy(module, data) for module in drawn],
    }


def _report(found: Mapping[str, Any], options: argparse.Namespace) -> None:
    parts = []
    for name, untrained in PARENTS.items():
        parent = untrained.adapted(num_classes=len(PARENTS_CLASSES))
        rows, wins = [], 0
        for child in children(parent):
            one = found[f"{name} {child.name}"]
            mean = statistics.mean(one["random"])
            wins += one["chosen"] > mean
            share = f"{100 * one['macs'] / parent.macs:.0f} %"
            rows.append((child.name, share, one["chosen"], mean, max(one["random"])))
        header = ("child", "MACs", "chosen %", f"random, mean of {DRAWS} %", "best of them %")
        parts.append(
            f"""The {name} parent, {parent.name}, is right on {found[f"{name} parent"]:.1f} % of the test images of its
classes. The chosen slices are better than the mean of random ones in {wins} of {CHILDREN}.

{tabulate(rows, header, "pipe", ".1f")}"""
        )
    curves = []
    for arm in ARMS:
        ours = [found[f"{arm} {seed}"] for seed in range(options.seeds)]
        by_epoch = [statistics.mean(values) for values in zip(*ours, strict=True)]
        spread = statistics.stdev([one[-1] for one in ours]) if len(ours) > 1 else float("nan")
        marks = [by_epoch[i] for i in (0, len(by_epoch) // 4, len(by_epoch) // 2, len(by_epoch) - 2)]
        curves.append((arm, *marks, by_epoch[-1], spread))
    stages = ("begins as", "epoch 1 %", "a quarter %", "half %", "last epoch %", "test %", "sd")
    command = f"python -m benchmarks.inherit_cifar --epochs {options.epochs} --fine-tuning {options.fine_tuning}"
    text = f"""# Inherited weights on CIFAR-10's part

{environment_text(command)}

Two parents were trained on classes 0 to 4 for {options.epochs} epochs. Their children are not trained; the statistics
of their norms are of {NORM_IMAGES:,} training images. How channels are chosen was settled on other children of these
parents, by validation images. Two earlier rules had met the wide parent's children here: what the readers of noise
would miss (commit 3ef4503: better in 3 of the first 5), and the best of seven judgements on images, without changes
(commit 16e3e26: 9 of 10).

{(2 * chr(10)).join(parts)}

Then {OTHER_IMAGES:,} images of classes 5 to 9 train the first child of the wide parent for {options.fine_tuning} epochs
by the recipe `small`, {options.seeds} seeds: validation accuracy along the way, then test accuracy with its standard
deviation over seeds.

{tabulate(curves, stages, "pipe", ".1f")}
"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
