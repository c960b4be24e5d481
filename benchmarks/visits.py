"""How much slower a network is when others have run than in a loop of its own. Writes visits.md.

    python -m benchmarks.visits

One process of ONNX Runtime visits the networks in turn, as `nas.runners.worker` does, but runs each of them forty times
in a visit. Nothing else should run on the machine.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas.nets.untrained import write_untrained
from nas.space import known_network

NETWORKS = (
    "shufflenetv2-0.5", "mobilenetv1-0.25", "mobilenetv2-0.35", "mnasnet-small", "mobilenetv3-small-1.0",
    "shufflenetv2-1.0", "mobilenetv1-0.5", "mobileone-s0", "squeezenet-1.1", "mobilenetv3-large-1.0",
    "mobilenetv2-1.0", "efficientnet-lite0",
)  # fmt: skip
VISITS, RUNS, STEADY = 20, 40, 25
"""The runs of a visit from `STEADY` on are as fast as the network will be."""
REPORT = Path(__file__).with_suffix(".md")
_TEXT = """\
# A visit and a loop

{environment}

{count} networks in one process of ONNX Runtime, one thread, the thread's clock: {visits} times in turn, {runs} runs in
a visit. *Steady* is the median of the runs from number {steady} on, over all visits; the others are how much longer
than that a run took (medians over the visits): the first one, the second, which is the one that a table is of, and the
first that begins when so many milliseconds of the visit have passed.

{table}

After another network has run, a network is slower than in a loop of its own for some ten milliseconds, by a quarter of
a millisecond a run or so: hardly for a large one, much for a small one. A table is of an application that does other
work between two runs; a loop is faster for networks of less than three milliseconds (another_day.md, network by
network).

Tried besides, and not kept: visits that begin with 15 ms of runs that do not count. A plain loop and such times of 32
networks of public libraries were apart by 1.9 % (root of the mean square, levels removed) instead of 7. But what a
network takes in a loop strays by 3 % (deviation) from process to process instead of 0.9, and a table of twenty minutes
predicted networks left out with a median error of 3.0 % instead of 1.7, built in an hour, though, when the machine
strayed more (batches 4.6 % apart instead of 3.0).
"""
Floats = NDArray[np.float64]


def runs(paths: list[Path]) -> Floats:
    """Milliseconds of every run, shape (networks, VISITS, RUNS)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in paths]
    feeds = [
        {value.name: np.random.default_rng(0).standard_normal(value.shape).astype(np.float32)}
        for session in sessions
        for value in session.get_inputs()
    ]
    found = np.zeros((len(paths), VISITS, RUNS))
    for visit in range(VISITS):
        for network, (session, feed) in enumerate(zip(sessions, feeds, strict=True)):
            for number in range(RUNS):
                began = time.thread_time_ns()
                session.run(None, feed)
                found[network, visit, number] = (time.thread_time_ns() - began) / 1e6
    return found


def later(visits: Floats, ms: float) -> float:
    """The median over `visits` (VISITS, RUNS) of the first run that begins after `ms` of its visit."""
    begins = np.cumsum(visits, axis=1) - visits
    first = np.minimum((begins >= ms).argmax(axis=1), RUNS - 1)
    return float(np.median(visits[np.arange(len(visits)), first]))


def main() -> None:
    """Time the networks, and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            write_untrained(known_network(name).graph(), Path(folder) / f"{number}.onnx")
            for number, name in enumerate(NETWORKS)
        ]
        times = runs(paths)
    rows = []
    for name, visits in zip(NETWORKS, times, strict=True):
        steady = float(np.median(visits[:, STEADY:]))
        longer = [np.median(visits[:, 0]), np.median(visits[:, 1]), *(later(visits, ms) for ms in (5.0, 10.0, 15.0))]
        rows.append((name, f"{steady:.2f}", *(f"{100 * (ms / steady - 1):+.0f} %" for ms in longer)))
    header = ("network", "steady ms", "first", "second", "after 5 ms", "after 10 ms", "after 15 ms")
    text = _TEXT.format(
        environment=environment_text("python -m benchmarks.visits"), count=len(NETWORKS), visits=VISITS, runs=RUNS,
        steady=STEADY + 1, table=tabulate(rows, header, "github", disable_numparse=True),
    )  # fmt: skip
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
