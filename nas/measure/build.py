"""Timing the networks of a plan, batch by batch, each stored the moment it is there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import InputError
from nas.measure.plan import REFERENCE_NETWORK, Item, network_item
from nas.measure.store import REFERENCE, NewTiming, TimingStore
from nas.runners.runner import RUNS_A_VISIT, Runner, Timing
from nas.runtimes import OWN, Runtime
from nas.space import known_network

ROUNDS = 12
BATCH = 10
"""Networks that are timed in one process, the reference apart."""
WIDE_SPREAD = 0.5
"""Runs whose median lies farther above the least one were disturbed: the network is timed again once."""
_WRITE_SECONDS, _START_SECONDS = 0.25, 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long timing takes, from one look at the reference network: ms a multiply-add."""

    ms_a_mac: float

    def seconds(self, items: Sequence[Item]) -> float:
        """What a batch of `items` will take."""
        runs = 2 + ROUNDS * (1 + RUNS_A_VISIT)
        timed = sum(item.macs + 2e7 for item in items) * self.ms_a_mac * runs / 1e3
        return _START_SECONDS + _WRITE_SECONDS * len(items) + timed


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Where a build is: networks timed so far, seconds spent of the budget, and the last batch's reference in ms."""

    networks: int
    spent_s: float
    budget_s: float
    reference_ms: float


def reference_item(runtime: Runtime = OWN) -> Item:
    """The network that is timed in every batch, by default without what a runtime adds to its segments."""
    return network_item(known_network(REFERENCE_NETWORK), REFERENCE, runtime)


def look(runner: Runner, folder: Path) -> Pace:
    """Time the reference once, a second or two, to know how long the rest will take."""
    (timing,) = time_items(runner, [reference_item()], folder, rounds=3)
    return Pace(ms_a_mac=timing.typical_ms / reference_item().macs)


def time_items(runner: Runner, items: Sequence[Item], folder: Path, *, rounds: int, seed: int = 0) -> list[Timing]:
    """Write the items to `folder`, time them in one process, and remove their files."""
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for position, item in enumerate(items):
            path = folder / f"network{position}{runner.suffix}"
            files.append(runner.write(item.graph(), path, seed=seed + position))
        return runner.time(files, rounds=rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def batches(items: Iterable[Item], done: set[str]) -> Iterator[list[Item]]:
    """The items that are not `done` in batches of `BATCH`; none twice, and not the reference, which joins them all."""
    waiting: list[Item] = []
    seen = {*done, reference_item().digest}
    for item in items:
        if item.digest in seen:
            continue
        seen.add(item.digest)
        waiting.append(item)
        if len(waiting) == BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def build(
    runner: Runner,
    store: TimingStore,
    items: Iterable[Item],
    folder: Path,
    *,
    runtime: Runtime,
    budget_s: float,
    pace: Pace,
    progress: Callable[[BuildProgress], None],
) -> None:
    """Time `items` of `runtime` in their order until all batches of the store have taken `budget_s`, or none is left.

    What the store has is not timed again. A batch is stored when it is done; killed in between, it is done again.
    """
    reference = reference_item(runtime)
    spent, count = store.seconds(), len(store.digests())
    ratio = 1.0
    for batch in batches(items, store.digests()):
        expected = pace.seconds([reference, *batch])
        if spent + ratio * expected > budget_s:
            return
        began = time.monotonic()
        timings = _undisturbed(runner, [reference, *batch], folder, seed=count)
        took = time.monotonic() - began
        new = [_new_timing(item, timing) for item, timing in zip([reference, *batch], timings, strict=True)]
        store.add_batch(new, seconds=took)
        spent, count = spent + took, count + len(batch)
        ratio += 0.3 * (took / expected - ratio)
        progress(BuildProgress(networks=count, spent_s=spent, budget_s=budget_s, reference_ms=timings[0].typical_ms))


def _undisturbed(runner: Runner, items: Sequence[Item], folder: Path, *, seed: int) -> list[Timing]:
    """The timings of `items`; where one strays much, the better of two tries of the whole batch."""
    timings = time_items(runner, items, folder, rounds=ROUNDS, seed=seed)
    if max(timing.spread for timing in timings) < WIDE_SPREAD:
        return timings
    again = time_items(runner, items, folder, rounds=ROUNDS, seed=seed)
    return [min(pair, key=lambda timing: timing.spread) for pair in zip(timings, again, strict=True)]


def _new_timing(item: Item, timing: Timing) -> NewTiming:
    return NewTiming(
        name=item.name,
        digest=item.digest,
        role=item.role,
        segments=item.segments,
        latency_ms=timing.typical_ms,
        spread=timing.spread,
        runs=len(timing.wall_ms),
    )


def check_budget(budget_s: float) -> None:
    """Raises `InputError` for a budget in which nothing can be built."""
    if budget_s < 10.0:
        raise InputError(f"budget must be at least 10 s, but got {budget_s:g} s; 20m is the default.")
