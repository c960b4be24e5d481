"""What the derivative of depthwise convolutions on small maps is worth in training. Writes small_maps.md.

    python -m benchmarks.small_maps

Known networks on images of 32 pixels, in the channels-last form that they are trained in, one thread: a step (forward,
loss, backward) with `nas.nets.small_maps` and with torch's own derivative, in turns, the least CPU time of each.
"""

from __future__ import annotations

import time
from pathlib import Path
from unittest.mock import patch

import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from benchmarks.environment import environment_text
from nas.nets import build
from nas.nets.small_maps import is_small
from nas.space import Architecture, load_architecture
from nas.space.fitted import scaled

FITTED = (
    ("mobilenetv1-1.0", 0.35), ("mobilenetv2-1.0", 0.25), ("mnasnet-b1", 0.25), ("fbnet-c", 0.25),
    ("efficientnet-lite0", 0.25), ("mobileone-s0", 0.25), ("repvit-m0.9", 0.25), ("shufflenetv2-1.0", 0.5),
)  # fmt: skip
"""Known networks and widths, with strides for 32 pixels (four: last maps of two pixels a side)."""

WHOLE = ("mobilenetv2-0.25@32", "efficientnet-lite0@32")
"""With all their strides: last maps of one pixel."""

TURNS, BATCH = 12, 64
USED = "nas.nets.layers.is_small"
REPORT = Path(__file__).with_suffix(".md")


def main() -> None:
    """Time every network and write the report."""
    torch.set_num_threads(1)
    networks = [scaled(load_architecture(name), width, 4, 32) for name, width in FITTED]
    networks += [load_architecture(name) for name in WHOLE]
    rows = [_row(network) for network in tqdm(networks)]
    REPORT.write_text(
        f"""# Depthwise convolutions on small maps

{environment_text("python -m benchmarks.small_maps")}

A training step (forward, loss, backward) of {BATCH} images of 32 pixels, one thread, the least CPU time of {TURNS}
turns. *Small*: depthwise layers whose map is smaller than their kernel, or has up to 64 pixels under a kernel of 5×5 or
more. For these `nas.nets.small_maps` has a derivative of its own; the other column is torch's. Rows without such layers
show how far the ratio strays.

{tabulate(rows, ("network", "MACs M", "small", "torch's ms", "ours ms", "faster"), "pipe", disable_numparse=True)}
""",
        encoding="utf-8",
    )


def _row(network: Architecture) -> tuple[str, ...]:
    module = nn.Module.to(build(network, seed=0).train(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(BATCH, *network.input_shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, network.num_classes, (BATCH,))
    small = 0

    def counted(x: Tensor, weight: Tensor) -> bool:
        nonlocal small
        found = is_small(x, weight)
        small += found
        return found

    def step() -> None:
        functional.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]

    with patch(USED, counted):
        step()
    count = small
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for own, derivative in zip(times, (lambda x, weight: False, is_small), strict=True):
            with patch(USED, derivative):
                began = time.thread_time()
                step()
                own.append(time.thread_time() - began)
    theirs, ours = (1e3 * min(own) for own in times)
    return (
        network.name, f"{network.macs / 1e6:.1f}", str(count), f"{theirs:.1f}", f"{ours:.1f}", f"{theirs / ours:.2f}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
