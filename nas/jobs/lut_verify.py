"""Proving a measured table: fresh networks of a space are predicted first, then timed, and the two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from nas.errors import InputError
from nas.jobs.lut import load_latency
from nas.jobs.lut_build import device_runner, files_folder, measured_space, store_path
from nas.latency import Estimate
from nas.latency.cost_model import Floats
from nas.measure.build import reference_item, time_items
from nas.measure.plan import Item, network_item
from nas.measure.runner import Runner
from nas.measure.store import REFERENCE, TimingStore
from nas.space import Architecture

ROUNDS, PROCESSES, TOGETHER = 10, 3, 12
"""A network is timed in so many processes of its own, in so many rounds each, beside so many others."""
_BAND, _SMALLEST_BAND = 1.1 / 0.9, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A network's frozen prediction, and what was measured: the median over processes of the least time, in ms."""

    name: str
    digest: str
    macs: int
    predicted: Estimate
    measured_ms: float
    processes_ms: tuple[float, ...]

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
            "error": self.error,
            "inside": self.inside,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """The networks checked; `speed` is the reference network's time now over that of the table's batches (None where
    those are not there)."""

    device: str
    space: str
    seed: int
    environment: Mapping[str, str]
    networks: tuple[Checked, ...]
    speed: float | None

    def as_json(self) -> dict[str, Any]:
        """Scores, and every network."""
        errors = np.abs([network.error for network in self.networks])
        predicted = np.array([network.predicted.mean_ms for network in self.networks])
        measured = np.array([network.measured_ms for network in self.networks])
        macs = np.array([network.macs for network in self.networks], dtype=np.float64)
        return {
            "device": self.device,
            "space": self.space,
            "seed": self.seed,
            "environment": dict(self.environment),
            "count": len(self.networks),
            "median_error": float(np.median(errors)),
            "p90_error": float(np.quantile(errors, 0.9)),
            "worst_error": float(errors.max()),
            "within_5_percent": float((errors <= 0.05).mean()),
            "within_10_percent": float((errors <= 0.1).mean()),
            "bias": float(np.median([network.error for network in self.networks])),
            "inside_interval": float(np.mean([network.inside for network in self.networks])),
            "span": float(measured.max() / measured.min()),
            "spearman": {
                "all": {"predicted": _spearman(predicted, measured), "macs": _spearman(macs, measured)},
                "equal_macs": equal_macs_spearman(macs, predicted, measured),
            },
            "reference_speed": self.speed,
            "networks": [network.as_json() for network in self.networks],
        }


def _spearman(first: Floats, second: Floats) -> float:
    return float(spearmanr(first, second).statistic)


def equal_macs_spearman(macs: Floats, predicted: Floats, measured: Floats) -> dict[str, Any]:
    """Spearman's rank correlation with the measured times inside bands of MACs equal within ±10 %, averaged over the
    networks of bands of at least five; by prediction and by the MACs themselves."""
    order = np.argsort(macs, kind="stable")
    bands: list[list[int]] = []
    for i in order:
        if not bands or macs[i] > macs[bands[-1][0]] * _BAND:
            bands.append([])
        bands[-1].append(int(i))
    large = [band for band in bands if len(band) >= _SMALLEST_BAND]
    weights = np.array([len(band) for band in large], dtype=np.float64)

    def average(values: Floats) -> float | None:
        if not large:
            return None
        return float(np.average([_spearman(values[band], measured[band]) for band in large], weights=weights))

    return {
        "bands": len(large),
        "networks": int(weights.sum()),
        "predicted": average(predicted),
        "macs": average(macs),
    }


def verify_table(
    device: str,
    space_name: str,
    *,
    count: int = 60,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TableCheck:
    """Draw `count` networks of the space that no batch has timed, predict them, then time each in three processes.

    Raises `InputError` for a device that is not measured here or has no table, a count below 1, and a space whose
    networks were all timed.
    """
    if count < 1:
        raise InputError(f"the number of networks must be at least 1, but got {count}.")
    space, runner, model = measured_space(space_name), device_runner(device), load_latency(device)
    done, reference_ms = _timed_before(device, runner)
    drawn: dict[str, Architecture] = {}
    rng = np.random.default_rng(seed)
    for _ in range(100):
        if len(drawn) >= count:
            break
        drawn |= {n.digest: n for n in space.sample(count, rng) if n.digest not in done}
    networks = list(drawn.values())[:count]
    if not networks:
        raise InputError(
            f"{space.name} must have networks that were not timed for the table, to be checked, but has none; name"
            " another --space."
        )
    predicted = [model.estimate(network) for network in networks]
    checked, reference = _check(device, runner, networks, predicted, progress)
    return TableCheck(
        device=device,
        space=space.name,
        seed=seed,
        environment=dict(runner.environment()),
        networks=tuple(checked),
        speed=None if reference_ms is None else float(np.median(reference)) / reference_ms,
    )


def check_networks(device: str, networks: Sequence[Architecture], predicted: Sequence[Estimate]) -> list[Checked]:
    """Time `networks`, whose predictions are frozen, in `PROCESSES` fresh processes each."""
    return _check(device, device_runner(device), networks, predicted, lambda done, total: None)[0]


def _check(
    device: str,
    runner: Runner,
    networks: Sequence[Architecture],
    predicted: Sequence[Estimate],
    progress: Callable[[int, int], None],
) -> tuple[list[Checked], list[float]]:
    """The networks checked, and the reference network's time in each process."""
    items = [network_item(network, "check") for network in networks]
    times, reference = _measure(device, runner, items, progress)
    checked = [
        Checked(
            name=network.name,
            digest=network.digest,
            macs=network.macs,
            predicted=estimate,
            measured_ms=float(np.median(own)),
            processes_ms=tuple(own),
        )
        for network, estimate, own in zip(networks, predicted, times, strict=True)
    ]
    return checked, reference


def _measure(
    device: str, runner: Runner, items: Sequence[Item], progress: Callable[[int, int], None]
) -> tuple[list[list[float]], list[float]]:
    """For each item its least time in ms in each of `PROCESSES` processes, and the reference network's in every one."""
    times: list[list[float]] = [[] for _ in items]
    reference: list[float] = []
    portions = [range(start, min(start + TOGETHER, len(items))) for start in range(0, len(items), TOGETHER)]
    total, done = PROCESSES * len(portions), 0
    for turn in range(PROCESSES):
        for portion in portions:
            batch = [reference_item(), *(items[i] for i in portion)]
            found = time_items(runner, batch, files_folder(device), rounds=ROUNDS, seed=1000 * turn)
            reference.append(found[0].low_ms)
            for i, timing in zip(portion, found[1:], strict=True):
                times[i].append(timing.low_ms)
            done += 1
            progress(done, total)
    return times, reference


def _timed_before(device: str, runner: Runner) -> tuple[set[str], float | None]:
    """The digests that batches have timed, and the median of their reference times."""
    path = store_path(device)
    if not path.exists():
        return set(), None
    with TimingStore(path, runner.environment()) as store:
        timings = store.timings()
    reference = [timing.latency_ms for timing in timings if timing.role == REFERENCE]
    return {timing.digest for timing in timings}, float(np.median(reference)) if reference else None
