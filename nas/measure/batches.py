"""Timing many networks: in batches that share a process, joined by a network that all of them hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nas.graph import Graph
from nas.runners.runner import Runner, Timing

BATCH = 16
"""Networks a batch, the common one included: what fits into memory, and is interleaved within seconds."""


def time_graphs(
    runner: Runner,
    graphs: Mapping[str, Graph],
    *,
    rounds: int,
    threads: Sequence[int] = (1,),
    progress: Callable[[int, int], None],
) -> dict[tuple[str, int], Timing]:
    """The timing of each network, by name (one that may name a file), with each number of threads; random weights.

    The first network is part of every batch. What it took there is how fast the device was then: the times of a batch
    are brought to those of the batch in which it was fastest. `progress(done, of)` is called before each batch.
    """
    first, *others = graphs
    found: list[dict[tuple[str, int], Timing]] = []
    for start in range(0, max(len(others), 1), BATCH - 1):
        progress(start, len(graphs))
        names = (first, *others[start : start + BATCH - 1])
        found.append(_time_batch(runner, {name: graphs[name] for name in names}, rounds, threads))
    joined: dict[tuple[str, int], Timing] = {}
    for count in threads:
        fastest = min(batch[first, count].typical_ms for batch in found)
        for batch in found:
            factor = fastest / batch[first, count].typical_ms
            joined |= {key: timing.scaled(factor) for key, timing in batch.items() if key[1] == count}
    return joined


def _time_batch(
    runner: Runner, graphs: Mapping[str, Graph], rounds: int, threads: Sequence[int]
) -> dict[tuple[str, int], Timing]:
    """The networks timed in one process for each number of threads."""
    found: dict[tuple[str, int], Timing] = {}
    with tempfile.TemporaryDirectory(prefix="nas-") as folder:
        files = [runner.write(graph, Path(folder) / f"{name}{runner.suffix}") for name, graph in graphs.items()]
        for count in threads:
            timings = runner.time(files, rounds=rounds, threads=count)
            found |= {(name, count): timing for name, timing in zip(graphs, timings, strict=True)}
    return found
