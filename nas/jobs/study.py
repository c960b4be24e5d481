"""Studies of a device: small experiments on what its latency depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.graph import Graph
from nas.jobs import study_networks
from nas.jobs.measure import MAX_SPREAD
from nas.jobs.study_networks import Subject
from nas.latency import Device, DeviceHome, Estimate, load_latency
from nas.measure.batches import time_in_batches
from nas.measure.stopwatch import open_stopwatch
from nas.progress import OnProgress, counted, silent
from nas.runners.interval import measured
from nas.runners.timing import Timing

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a study compares, under which title, and in how many rounds by default."""

    title: str
    subjects: Callable[[], Iterator[Subject]]
    rounds: int = 10
    by_threads: bool = False


EXPERIMENTS: dict[str, Experiment] = {
    "correlation": Experiment(
        title="latency against MACs and parameters", subjects=study_networks.all_known, rounds=4
    ),
    "activations": Experiment(
        title="one 30-layer network, each activation", subjects=study_networks.activations
    ),
    "blocks": Experiment(
        title="one 30-layer network, SE and skip connections", subjects=study_networks.blocks, rounds=30
    ),
    "threads": Experiment(
        title="known networks by number of threads", subjects=study_networks.threaded, by_threads=True
    ),
    "attention": Experiment(
        title=f"{study_networks.ATTENTIVE} with its own and with separable self-attention",
        subjects=study_networks.attentions,
        rounds=5,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network of a study on the device; `ratio` is its latency over that of its base, where it has one."""

    name: str
    group: str
    params: int
    macs: int
    resolution: int
    threads: int
    latency: Estimate
    ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation of latency with a size, and its 90 % interval over networks drawn anew."""

    spearman: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study of `device`: `environment` and `rounds` are those of the measurement, empty and 0 where none took place.

    `scores` maps "macs" and "params" to their correlations, in the study of them.
    """

    kind: str
    title: str
    device: Device
    rows: tuple[Row, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 0
    scores: Mapping[str, Correlation] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where the latencies come from."""
        return self.rows[0].latency.source

    def as_json(self) -> dict[str, Any]:
        """The document of `nas study … --json`."""
        return {
            "study": self.kind,
            "title": self.title,
            "device": self.device.name,
            "source": self.source,
            "environment": dict(self.environment),
            "rounds": self.rounds,
            "rows": [
                {
                    "name": row.name, "group": row.group, "params": row.params, "macs": row.macs,
                    "resolution": row.resolution, "threads": row.threads, "latency": row.latency.as_json(),
                    "ratio": row.ratio,
                }
                for row in self.rows
            ],
            "scores": {
                size: {"spearman": found.spearman, "low": found.low, "high": found.high}
                for size, found in self.scores.items()
            },
            "warnings": list(self.warnings),
        }  # fmt: skip


def study(kind: str, home: DeviceHome, *, rounds: int | None = None, progress: OnProgress = silent) -> Study:
    """The study `kind` (one of `EXPERIMENTS`) of a device.

    On a device that is reached from here it is measured, in `rounds` rounds; on any other the device's latency model
    predicts it. A network that the device cannot run is left out with a warning. Raises `InputError` where the model
    cannot predict, as for numbers of threads, and where the first network cannot be timed.
    """
    experiment, device = EXPERIMENTS[kind], home.device
    check_study(kind, home, rounds)
    if device.is_timed:
        return _measured(kind, home, rounds or experiment.rounds, progress)
    model, subjects = load_latency(home), list(experiment.subjects())
    latencies = {(subject.name, device.threads): model.estimate(subject.graph) for subject in subjects}
    return _study(kind, device, subjects, latencies, warnings=_doubts(list(latencies.values())))


def check_study(kind: str, home: DeviceHome, rounds: int | None = None) -> None:
    """Raises `InputError` for a study that neither a stopwatch nor a model of the device can answer, and for `rounds`
    where nothing is timed."""
    if EXPERIMENTS[kind].by_threads and not home.device.is_timed:
        raise InputError(
            f"{home.file}: reach must say how to get to the device for a study of"
            f" {kind}, but got none, and no latency model knows of threads; name a device that is reached from here."
        )
    if rounds is not None and not home.device.is_timed:
        raise InputError(
            f"rounds are those of a device that is timed, but {home.name} is not reached from here, and is predicted;"
            " leave --rounds out."
        )


def _measured(kind: str, home: DeviceHome, rounds: int, progress: OnProgress) -> Study:
    experiment = EXPERIMENTS[kind]
    subjects = list(experiment.subjects())
    with open_stopwatch(home) as watch:
        environment = watch.runner.environment()
        timings, faults = time_in_batches(
            watch,
            {subject.name: partial(_graph, subject) for subject in subjects},
            rounds=rounds,
            threads=_thread_counts(environment) if experiment.by_threads else (home.device.threads,),
            progress=counted(f"timing the networks of {kind}", progress),
        )
    if experiment.by_threads:
        # Several threads have the wall clock alone; numbers of threads are compared by one clock.
        timings = {key: Timing(wall_ms=timing.wall_ms) for key, timing in timings.items()}
    latencies = {key: measured(timing) for key, timing in timings.items()}
    left_out = [f"{name} is left out: {fault.text}" for name, fault in faults.items()]
    for subject in subjects:
        if subject.name not in faults and subject.base in faults:
            left_out.append(f"{subject.name} is left out, as {subject.base} is, with which it is compared.")
            latencies = {key: latency for key, latency in latencies.items() if key[0] != subject.name}
    return _study(
        kind, home.device, subjects, latencies, environment=environment, rounds=rounds,
        warnings=(*left_out, *_strays(timings)),
    )  # fmt: skip


def _graph(subject: Subject) -> Graph:
    return subject.graph


def _thread_counts(environment: Mapping[str, str]) -> tuple[int, ...]:
    """1, 2, 4, … as far as the machine has cores, and all of these."""
    cores = int(environment.get("cores", 1))
    return (*(2**i for i in range(cores.bit_length()) if 2**i < cores), cores)


def _study(
    kind: str, device: Device, subjects: Sequence[Subject], latencies: Mapping[tuple[str, int], Estimate], **more: Any
) -> Study:
    """The record of a study from the latency of each (subject, threads)."""
    fewest = min(threads for _, threads in latencies)
    by_name = {subject.name: subject for subject in subjects}
    rows = []
    for (name, threads), latency in latencies.items():
        subject = by_name[name]
        base = latencies[subject.base, fewest].mean_ms if subject.base else None
        rows.append(
            Row(
                name=name,
                group=subject.group,
                params=subject.graph.params,
                macs=subject.graph.macs,
                resolution=subject.resolution,
                threads=threads,
                latency=latency,
                ratio=latency.mean_ms / base if base else None,
            )
        )
    scores = correlations(rows) if kind == "correlation" else {}
    title = EXPERIMENTS[kind].title
    return Study(kind=kind, title=title, device=device, rows=tuple(rows), scores=scores, **more)


def _strays(timings: Mapping[tuple[str, int], Timing]) -> tuple[str, ...]:
    """A warning where the runs of networks stray, as on a machine that is busy with something else."""
    worst = max(timings, key=lambda key: timings[key].spread)
    many = sum(timing.spread > MAX_SPREAD for timing in timings.values())
    if not many:
        return ()
    text = (
        f"in {many} of {len(timings)} timings the median run takes over {100 * MAX_SPREAD:.0f} % longer than the least"
        f" ({worst[0]}: {100 * timings[worst].spread:.0f} %): something else keeps the machine busy; what is shown"
        " leaves out the slowest quarter of the runs, and suffers less."
    )
    return (text,)


def _doubts(estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """A warning where predictions carry warnings, with the most frequent of them."""
    texts = Counter(text.partition("% of the time is in ")[2] or text for e in estimates for text in e.warnings)
    if not texts:
        return ()
    many = sum(bool(estimate.warnings) for estimate in estimates)
    often = "; ".join(text for text, _ in texts.most_common(2))
    return (f"{many} of {len(estimates)} predictions are doubted, most often for time in {often}; --json has all.",)


def correlations(rows: Sequence[Row]) -> dict[str, Correlation]:
    """Spearman's correlation of latency with MACs and with parameters; intervals by resampling networks, seed 0."""
    from scipy.stats import spearmanr

    latency = np.array([row.latency.mean_ms for row in rows])
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(rows), size=(_RESAMPLES, len(rows)))
    found = {}
    for size in ("macs", "params"):
        values = np.array([getattr(row, size) for row in rows])
        again = [float(spearmanr(values[draw], latency[draw]).statistic) for draw in drawn]
        low, high = np.quantile(again, (0.05, 0.95))
        own = float(spearmanr(values, latency).statistic)
        found[size] = Correlation(spearman=own, low=float(low), high=float(high))
    return found
