"""Holding predictions against a stopwatch: networks are timed in fresh processes, at the speed a table is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from nas.latency import Estimate, LatencyModel
from nas.latency.day import REFERENCE_MS
from nas.latency.published.cost_model import Floats
from nas.measure.build import new_timing, reference_item
from nas.measure.drift import at_usual_speed
from nas.measure.plan import Item
from nas.measure.stopwatch import Network, Stopwatch
from nas.measure.store import NewTiming
from nas.runners.protocol import FileFault
from nas.runners.timing import Timing

ROUNDS, TOGETHER = 16, 12
"""A network is timed in fresh processes, in so many rounds each, beside up to so many others."""
MOST_PROCESSES, WANTED_ERROR = 8, 0.008
"""Processes are started until the relative standard error of a mean over them is so small, or there are so many."""
_BAND, _SMALLEST_BAND = 1.1 / 0.9, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A network's frozen prediction, and what was measured, in ms: the mean over processes, at the speed that the
    machine usually had when the table was built (`nas.measure.drift`).

    `processes_ms` are the parts of that mean, `clock_ms` is the median of what the clock said, and `reference_ms` the
    reference network's mean time by that clock.
    """

    name: str
    digest: str
    macs: int
    predicted: Estimate
    measured_ms: float
    processes_ms: tuple[float, ...]
    clock_ms: float
    reference_ms: float

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted.mean_ms / self.measured_ms - 1.0

    @property
    def inside(self) -> bool:
        """Whether the measured time lies in the predicted interval."""
        return self.predicted.low_ms <= self.measured_ms <= self.predicted.high_ms

    def as_json(self) -> dict[str, Any]:
        """The record of one network."""
        return {
            "name": self.name,
            "digest": self.digest,
            "macs": self.macs,
            "predicted": self.predicted.as_json(),
            "measured_ms": self.measured_ms,
            "processes_ms": list(self.processes_ms),
            "clock_ms": self.clock_ms,
            "error": self.error,
            "inside": self.inside,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """The networks checked, and those that could not be timed (name → reason); `speed` is the reference network's mean
    time in these processes over its usual one when the table was built (None where that is not known)."""

    device: str
    space: str
    seed: int
    environment: Mapping[str, str]
    networks: tuple[Checked, ...]
    faults: Mapping[str, str]
    speed: float | None

    def as_json(self) -> dict[str, Any]:
        """Scores, and every network."""
        predicted = np.array([network.predicted.mean_ms for network in self.networks])
        measured = np.array([network.measured_ms for network in self.networks])
        macs = np.array([network.macs for network in self.networks], dtype=np.float64)
        clock = np.array([network.clock_ms for network in self.networks])
        return {
            "device": self.device,
            "space": self.space,
            "seed": self.seed,
            "environment": dict(self.environment),
            "count": len(self.networks),
            **_errors(predicted / measured - 1.0),
            "speed": self.speed,
            "by_the_clock": _errors(predicted / clock - 1.0),
            "inside_interval": float(np.mean([network.inside for network in self.networks])),
            "span": float(measured.max() / measured.min()),
            "spearman": {
                "all": {"predicted": _spearman(predicted, measured), "macs": _spearman(macs, measured)},
                "equal_macs": equal_macs_spearman(macs, predicted, measured),
            },
            "networks": [network.as_json() for network in self.networks],
            "faults": dict(self.faults),
        }


def _errors(errors: Floats) -> dict[str, float]:
    """Scores of relative errors (n,)."""
    absolute = np.abs(errors)
    return {
        "median_error": float(np.median(absolute)),
        "p90_error": float(np.quantile(absolute, 0.9)),
        "worst_error": float(absolute.max()),
        "within_5_percent": float((absolute <= 0.05).mean()),
        "within_10_percent": float((absolute <= 0.1).mean()),
        "bias": float(np.median(errors)),
    }


def _spearman(first: Floats, second: Floats) -> float | None:
    """The rank correlation; None where there is none: of a single network, or of values that are all the same."""
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)


def equal_macs_spearman(macs: Floats, predicted: Floats, measured: Floats) -> dict[str, Any]:
    """Spearman's rank correlation with the measured times inside bands of MACs equal within ±10 %, averaged over the
    networks of bands of at least five; by prediction and by the MACs themselves, None where no band has a rank
    correlation."""
    order = np.argsort(macs, kind="stable")
    bands: list[list[int]] = []
    for i in order:
        if not bands or macs[i] > macs[bands[-1][0]] * _BAND:
            bands.append([])
        bands[-1].append(int(i))
    large = [band for band in bands if len(band) >= _SMALLEST_BAND]

    def average(values: Floats) -> float | None:
        ranked = {i: _spearman(values[band], measured[band]) for i, band in enumerate(large)}
        found = {i: own for i, own in ranked.items() if own is not None}
        return float(np.average(list(found.values()), weights=[len(large[i]) for i in found])) if found else None

    return {
        "bands": len(large),
        "networks": sum(map(len, large)),
        "predicted": average(predicted),
        "macs": average(macs),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The networks timed in one process, by position, and the reference before and behind them."""

    reference: tuple[Timing, ...]
    timings: Mapping[int, Timing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Networks timed in several processes. n of them, at the positions `timed`, ran in all; the others have faults.

    In ms: what the clock said of them, shape (processes, n), and of the reference (processes,); and at the usual speed
    their times (processes, n) and the means of these (n,).
    """

    processes: tuple[Process, ...]
    faults: Mapping[int, FileFault]
    timed: tuple[int, ...]
    clock_ms: Floats
    reference_ms: Floats
    corrected_ms: Floats
    mean_ms: Floats


def time_repeatedly(watch: Stopwatch, networks: Sequence[Network], usual: float | None) -> Repeated:
    """Time `networks` between two of the reference, in fresh processes, until their means are known well enough.

    `usual` is the reference's time in ms at the speed that is asked for, None for any. A network that has a fault in
    one process is in no later one. Raises `InputError` where the reference cannot be timed.
    """
    processes: list[Process] = []
    faults: dict[int, FileFault] = {}
    for turn in range(MOST_PROCESSES):
        asked = [i for i in range(len(networks)) if i not in faults]
        beside = watch.beside(
            reference_item().graph, [networks[i] for i in asked], rounds=ROUNDS, seed=1000 * turn, behind=True
        )
        results = dict(zip(asked, beside.results, strict=True))
        faults |= {i: result for i, result in results.items() if isinstance(result, FileFault)}
        timings = {i: result for i, result in results.items() if isinstance(result, Timing)}
        processes.append(Process(reference=beside.reference, timings=timings))
        clock = np.array([[process.timings[i].typical_ms for i in timings] for process in processes])
        reference = np.array([np.mean([own.typical_ms for own in process.reference]) for process in processes])
        corrected, mean, error = at_usual_speed(clock, reference, usual)
        if error <= WANTED_ERROR or not timings:
            break
    return Repeated(
        processes=tuple(processes),
        faults=faults,
        timed=tuple(timings),
        clock_ms=clock,
        reference_ms=reference,
        corrected_ms=corrected,
        mean_ms=mean,
    )


def check(
    watch: Stopwatch,
    items: Sequence[Item],
    predicted: Sequence[Estimate],
    usual: float | None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Checked | FileFault], list[list[NewTiming]]]:
    """`items` timed, whose predictions are frozen, up to `TOGETHER` of them in the same processes.

    Gives what came of each, in order, and all that was timed, a list a process, as a store takes it.
    """
    found: list[Checked | FileFault] = []
    batches: list[list[NewTiming]] = []
    reference = reference_item(watch.home.runtime)
    for start in range(0, len(items), TOGETHER):
        progress(start, len(items))
        portion = items[start : start + TOGETHER]
        repeated = time_repeatedly(watch, [item.graph for item in portion], usual)
        found += _checked(portion, predicted[start : start + TOGETHER], repeated)
        batches += [_as_batch(reference, portion, process) for process in repeated.processes]
    progress(len(items), len(items))
    return found, batches


def _checked(items: Sequence[Item], predicted: Sequence[Estimate], found: Repeated) -> list[Checked | FileFault]:
    """What came of each of `items`."""
    results: dict[int, Checked | FileFault] = dict(found.faults)
    for column, i in enumerate(found.timed):
        results[i] = Checked(
            name=items[i].name,
            digest=items[i].digest,
            macs=items[i].macs,
            predicted=predicted[i],
            measured_ms=float(found.mean_ms[column]),
            processes_ms=tuple(found.corrected_ms[:, column].tolist()),
            clock_ms=float(np.median(found.clock_ms[:, column])),
            reference_ms=float(found.reference_ms.mean()),
        )
    return [results[i] for i in range(len(items))]


def _as_batch(reference: Item, items: Sequence[Item], process: Process) -> list[NewTiming]:
    own = [new_timing(items[i], timing) for i, timing in process.timings.items()]
    first, *last = (new_timing(reference, timing) for timing in process.reference)
    return [first, *own, *last]


def usual_reference_ms(model: LatencyModel) -> float | None:
    """The reference's time when the table was built, on the machine as it usually was; None for other tables."""
    found = model.operators.manifest.get(REFERENCE_MS) if model.operators else None
    return float(found) if isinstance(found, float) else None
