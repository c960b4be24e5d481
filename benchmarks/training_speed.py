"""How fast the training loop is: beside a bare loop, and beside the machine's peak. Writes training_speed.md.

    python -m benchmarks.training_speed

One thread, the data of CIFAR-10 (`NAS_DATA`, or ../shared/data). The bare loop is forward, loss, backward and step on
one resident channels-last batch, with the same optimiser; both loops train networks of their own, turn by turn, and a
ratio is that of the medians of a turn's CPU time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tabulate import tabulate
from torch.nn import functional
from tqdm import tqdm

from benchmarks.environment import environment_text
from nas.data import Prepared, open_data, prepare
from nas.nets import build
from nas.space import Architecture, load_architecture
from nas.training import load_recipe
from nas.training.loop import Training
from nas.training.optimizers import make_optimizer, set_rates
from tests.shared_data import shared_data

NETWORKS = (
    "mobilenetv2-0.25@32", "mobilenetv3-small-0.75@32", "shufflenetv2-0.5@32", "efficientnet-lite0@32",
    "mobileone-s0@32", "repvgg-a0@32",
)  # fmt: skip
TURNS, STEPS = 12, 3
REPORT = Path(__file__).with_suffix(".md")


def main() -> None:
    """Time every network and write the report."""
    torch.set_num_threads(1)
    data = prepare(open_data(shared_data("cifar10/cifar10_15k.npz")), size=(32, 32))
    peak = peak_flops()
    rows = [_row(load_architecture(name), data, peak) for name in tqdm(NETWORKS)]
    header = ("network", "MACs M", "images/s", "of a bare loop", "data and augmentation", "of the peak")
    text = f"""# Speed of the training loop

{environment_text("python -m benchmarks.training_speed")}

Recipe `small`, batches of 64 images of CIFAR-10, 32 x 32, one thread, CPU time. *Of a bare loop*: the time of forward,
loss, backward and step on one resident channels-last batch over the time of a whole step of ours, of {TURNS}
interleaved turns of {STEPS} steps each. *Data and augmentation*: the share of our step that making its batch takes. *Of
the peak*: 3 x 2 x MACs (of the training form, all branches) x images/s over the {peak / 1e9:.0f} GFLOP/s that a matrix
product of 1,024 reaches on the same thread; three, since a backward pass costs two forward passes.

{tabulate(rows, header, tablefmt="pipe")}

At least 95 % of a bare loop, and at most 3 % for data and augmentation, are asked for.
"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


def _row(architecture: Architecture, data: Prepared, peak: float) -> tuple[str, ...]:
    network = architecture.adapted(num_classes=len(data.classes))
    recipe = load_recipe("small")
    training = Training(build(network), data, recipe)
    bare = bare_loop(network, training)

    def ours() -> None:
        training.train_step()
        training.step %= training.batches.steps_per_epoch

    times: dict[str, list[float]] = {"ours": [], "bare": [], "batch": []}
    turns = {"ours": ours, "bare": bare, "batch": lambda: training.feed.batch(training.epoch, training.step)}
    for turn in range(TURNS + 1):
        for name, step in turns.items():
            seconds = _seconds(step)
            if turn:  # the first warms up
                times[name].append(seconds)
    each = {name: statistics.median(values) for name, values in times.items()}
    speed = recipe.batch / each["ours"]
    return (
        architecture.name,
        f"{network.macs / 1e6:.1f}",
        f"{speed:.0f}",
        f"{100 * each['bare'] / each['ours']:.1f} %",
        f"{100 * each['batch'] / each['ours']:.2f} %",
        f"{100 * 6 * network.graph().training_macs * speed / peak:.0f} %",
    )


def bare_loop(network: Architecture, like: Training) -> Callable[[], None]:
    """Forward, loss, backward and step on one resident batch."""
    module = build(network).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    *layers, head = module.children()
    optimizer = make_optimizer(head, torch.nn.ModuleList(layers), like.recipe)
    set_rates(optimizer, lr=0.01, weight_decay=5e-4)
    _, batch = like.feed.batch(0, 0)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(module(batch.values), batch.labels)
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def peak_flops(size: int = 1024) -> float:
    """Floating-point operations a second of one thread, by a product of two square matrices: the best of ten."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / min(_seconds(lambda: torch.mm(a, b), steps=1) for _ in range(10))


def _seconds(step: Callable[[], object], steps: int = STEPS) -> float:
    """CPU seconds of one of `steps` steps."""
    began = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - began) / steps


if __name__ == "__main__":
    main()
