"""Timing the networks of a plan, batch by batch, each stored the moment it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nas.errors import InputError
from nas.measure.plan import REFERENCE_NETWORK, Item, network_item
from nas.measure.stopwatch import Beside, Stopwatch
from nas.measure.store import REFERENCE, NewTiming, TimingStore
from nas.runners.protocol import RUNS_A_VISIT, WARM_UP, FileFault
from nas.runners.timing import Timing
from nas.runtimes import OWN, Runtime
from nas.space import known_network

ROUNDS = 12
BATCH = 10
"""Networks that are timed in one process, the reference apart."""
WIDE_SPREAD = 0.5
"""Runs whose median lies farther above the least one were disturbed: the network is timed again once."""
_WRITE_SECONDS, _START_SECONDS = 0.25, 1.2
_Result = TypeVar("_Result", Timing, Timing | FileFault)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long timing takes: ms a multiply-add, from one look at the reference network, and what the runner takes to a
    round (`nas.runners.protocol.Abilities`). How long a device needs to cool nobody knows beforehand."""

    ms_a_mac: float
    runs_a_round: int = 1 + RUNS_A_VISIT
    beside_a_round_s: float = 0.0

    def seconds(self, items: Sequence[Item]) -> float:
        """What a batch of `items` will take, the reference where it is one of them."""
        runs = WARM_UP + ROUNDS * self.runs_a_round
        timed = sum(item.macs + 2e7 for item in items) * self.ms_a_mac * runs / 1e3
        beside = _WRITE_SECONDS + ROUNDS * self.beside_a_round_s
        return _START_SECONDS + beside * len(items) + timed


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Where a build is: networks timed so far, seconds spent of the budget, the last batch's reference in ms, and what
    could not be timed (name and reason) since the start."""

    networks: int
    spent_s: float
    budget_s: float
    reference_ms: float
    faults: tuple[tuple[str, str], ...] = ()


def reference_item(runtime: Runtime = OWN) -> Item:
    """The network that is timed in every batch, by default without what a runtime adds to its segments."""
    return network_item(known_network(REFERENCE_NETWORK), REFERENCE, runtime)


def look(watch: Stopwatch) -> Pace:
    """Time the reference once, a second or two, to know how long the rest will take."""
    reference = reference_item()
    (timing,) = watch.time([reference.graph], rounds=3).timings()
    able = watch.runner.abilities
    return Pace(
        ms_a_mac=timing.typical_ms / reference.macs,
        runs_a_round=able.runs_a_round,
        beside_a_round_s=able.beside_a_round_s + watch.home.device.settle_ms / 1e3,
    )


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
    watch: Stopwatch,
    store: TimingStore,
    items: Iterable[Item],
    *,
    budget_s: float,
    pace: Pace,
    progress: Callable[[BuildProgress], None],
) -> None:
    """Time `items` in their order until all batches of the store have taken `budget_s`, or none is left.

    What the store has is not timed again. A batch is stored when it is done; killed in between, it is done again. A
    network that cannot be timed is told of, and left out.
    """
    reference = reference_item(watch.home.runtime)
    spent, count = store.seconds(), len(store.digests())
    ratio = 1.0
    faults: list[tuple[str, str]] = []
    for batch in batches(items, store.digests()):
        expected = pace.seconds([reference, *batch])
        if spent + ratio * expected > budget_s:
            return
        began = watch.now()
        found = _undisturbed(watch, reference, batch, seed=count)
        took = watch.now() - began
        new = [new_timing(reference, found.reference[0])]
        for item, result in zip(batch, found.results, strict=True):
            if isinstance(result, FileFault):
                faults.append((item.name, result.text))
            else:
                new.append(new_timing(item, result))
        store.add_batch(new, seconds=took, state=found.environment)
        spent, count = spent + took, count + len(new) - 1
        ratio += 0.3 * (took / expected - ratio)
        progress(
            BuildProgress(
                networks=count,
                spent_s=spent,
                budget_s=budget_s,
                reference_ms=found.reference_ms,
                faults=tuple(faults),
            )
        )


def _undisturbed(watch: Stopwatch, reference: Item, items: Sequence[Item], *, seed: int) -> Beside:
    """`items` beside `reference`; where a timing strays much, the better of two tries of each."""

    def timed() -> Beside:
        return watch.beside(reference.graph, [item.graph for item in items], rounds=ROUNDS, seed=seed)

    first = timed()
    own = [result for result in first.results if isinstance(result, Timing)]
    if max(timing.spread for timing in (*first.reference, *own)) < WIDE_SPREAD:
        return first
    again = timed()
    return replace(
        first,
        reference=tuple(map(_calmer, first.reference, again.reference)),
        results=tuple(map(_calmer, first.results, again.results)),
    )


def _calmer(first: _Result, again: _Result) -> _Result:
    """The one that strays less; a timing rather than a fault."""
    if isinstance(first, FileFault) or isinstance(again, FileFault):
        return again if isinstance(first, FileFault) else first
    return min(first, again, key=lambda timing: timing.spread)


def new_timing(item: Item, timing: Timing) -> NewTiming:
    """What the store is given of `item`."""
    return NewTiming(name=item.name, digest=item.digest, role=item.role, segments=item.segments, timing=timing)


def check_budget(budget_s: float) -> None:
    """Raises `InputError` for a budget in which nothing can be built."""
    if budget_s < 10.0:
        raise InputError(f"budget must be at least 10 s, but got {budget_s:g} s; 20m is the default.")
