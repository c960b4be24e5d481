"""What it is worth in training that a process keeps the memory which it frees. Writes freed_memory.md.

    python -m benchmarks.freed_memory

Training steps of known networks on images of 32 pixels, one thread, each time in a process of its own, with
`nas.training.memory` and without it, in turns; and the same with two such processes at once, as two workers train.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from benchmarks.environment import environment_text
from nas.nets import build
from nas.space import load_architecture
from nas.space.fitted import scaled
from nas.training.memory import keep_freed_memory

NETWORKS = (("mobilenetv1-1.0", 0.35), ("mobilenetv2-1.0", 0.25), ("repvit-m0.9", 0.25), ("mobileone-s0", 0.25))
TURNS, STEPS, BATCH = 5, 12, 64
REPORT = Path(__file__).with_suffix(".md")


def main() -> None:
    """Time every network and write the report; with arguments be one of the processes."""
    if sys.argv[1:]:
        print(json.dumps(_steps(sys.argv[1], float(sys.argv[2]), sys.argv[3] == "kept")))
        return
    rows = [_row(name, width, together) for together in (1, 2) for name, width in tqdm(NETWORKS)]
    header = ("network", "at once", "faults a step", "kept: faults", "ms a step", "kept: ms", "faster")
    REPORT.write_text(
        f"""# Memory that is freed in training

{environment_text("python -m benchmarks.freed_memory")}

A training step (forward, loss, backward) of {BATCH} images of 32 pixels, one thread: page faults, and the CPU time of a
process's median step, the least of {TURNS} processes. *At once*: so many processes, as that many workers train.

{tabulate(rows, header, "pipe", disable_numparse=True)}
""",
        encoding="utf-8",
    )


def _row(name: str, width: float, together: int) -> tuple[str, ...]:
    found: dict[str, list[dict[str, Any]]] = {"freed": [], "kept": []}
    for _ in range(TURNS):
        for how, own in found.items():
            command = [sys.executable, "-m", "benchmarks.freed_memory", name, str(width), how]
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(together)]
            own += [json.loads(process.communicate()[0]) for process in running]
    freed, kept = (min(one["ms"] for one in own) for own in found.values())
    faults = [f"{min(one['faults'] for one in own):,.0f}" for own in found.values()]
    return f"{name}-x{width}", str(together), *faults, f"{freed:.1f}", f"{kept:.1f}", f"{freed / kept:.2f}"


def _steps(name: str, width: float, keeps: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    if keeps:
        keep_freed_memory()
    network = scaled(load_architecture(name), width, 4, 32)
    module = nn.Module.to(build(network, seed=0).train(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(BATCH, *network.input_shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, network.num_classes, (BATCH,))
    times = []
    for number in range(STEPS + 3):
        if number == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        began = time.thread_time()
        functional.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        times.append(1e3 * (time.thread_time() - began))
    faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / STEPS
    return {"ms": sorted(times[3:])[STEPS // 2], "faults": faults}


if __name__ == "__main__":
    main()
