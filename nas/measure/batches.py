"""Timing many networks for a comparison: in batches that share a process, joined by a network that all of them hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nas.measure.drift import slowness, usual_ms
from nas.measure.stopwatch import Beside, Network, Stopwatch
from nas.runners.protocol import FileFault
from nas.runners.timing import Timing

BATCH = 16
"""Networks a batch, the common one included: what fits into memory, and is interleaved within seconds."""

Timings = dict[tuple[str, int], Timing]


def time_in_batches(
    watch: Stopwatch,
    networks: Mapping[str, Network],
    *,
    rounds: int,
    threads: Sequence[int],
    progress: Callable[[int, int], None],
) -> tuple[Timings, dict[str, FileFault]]:
    """The timing of each network, by name, with each number of threads; and what was not timed, and why.

    The first network is part of every batch: it is the reference (`nas.measure.drift`), and the times of a batch are
    brought to the usual speed by it. `progress(done, of)` is called before each batch. Raises `InputError` where the
    first network cannot be timed.
    """
    first, *others = networks
    found: list[tuple[list[str], dict[int, Beside]]] = []
    for start in range(0, max(len(others), 1), BATCH - 1):
        progress(start, len(networks))
        names = others[start : start + BATCH - 1]
        own = [networks[name] for name in names]
        found.append(
            (names, {n: watch.beside(networks[first], own, rounds=rounds, threads=n) for n in threads})
        )  # fmt: skip
    timings: Timings = {}
    faults: dict[str, FileFault] = {}
    for count in threads:
        reference = [batch[count].reference_ms for _, batch in found]
        for (names, batch), slow in zip(found, slowness(reference, usual_ms(reference)), strict=True):
            timings.setdefault((first, count), batch[count].reference[0].scaled(1.0 / (1.0 + slow)))
            for name, result in zip(names, batch[count].results, strict=True):
                if isinstance(result, FileFault):
                    faults[name] = result
                else:
                    timings[name, count] = result.scaled(1.0 / (1.0 + slow))
    return {key: timing for key, timing in timings.items() if key[0] not in faults}, faults
