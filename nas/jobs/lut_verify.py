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
from nas.latency import Estimate, LatencyModel
from nas.latency.cost_model import Floats
from nas.measure.build import reference_item, time_items
from nas.measure.drift import slowness
from nas.measure.plan import Item, network_item
from nas.measure.runner import Runner
from nas.measure.store import TimingStore
from nas.space import Architecture

ROUNDS, PROCESSES, TOGETHER = 10, 3, 12
"""A network is timed in so many processes of its own, in so many rounds each, beside so many others."""
MOST_PROCESSES = 8
"""So often is a process started until `PROCESSES` of them ran undisturbed."""
_BAND, _SMALLEST_BAND = 1.1 / 0.9, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A network's frozen prediction, and what was measured: the median over processes of the least time, in ms.

    `reference_ms` is the reference network's mean time in these processes, None where that is not known.
    """

    name: str
    digest: str
    macs: int
    predicted: Estimate
    measured_ms: float
    processes_ms: tuple[float, ...]
    reference_ms: float | None = None

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
    """The networks checked; `speed` is the reference network's mean time in these processes over that in the
    undisturbed batches of the table (None where that is not known)."""

    device: str
    space: str
    seed: int
    environment: Mapping[str, str]
    networks: tuple[Checked, ...]
    speed: float | None

    def as_json(self) -> dict[str, Any]:
        """Scores, and every network."""
        predicted = np.array([network.predicted.mean_ms for network in self.networks])
        measured = np.array([network.measured_ms for network in self.networks])
        macs = np.array([network.macs for network in self.networks], dtype=np.float64)
        corrected = None if self.speed is None else _errors(predicted * self.speed / measured - 1.0)
        return {
            "device": self.device,
            "space": self.space,
            "seed": self.seed,
            "environment": dict(self.environment),
            "count": len(self.networks),
            **_errors(predicted / measured - 1.0),
            "speed": self.speed,
            "at_table_speed": corrected,
            "inside_interval": float(np.mean([network.inside for network in self.networks])),
            "span": float(measured.max() / measured.min()),
            "spearman": {
                "all": {"predicted": _spearman(predicted, measured), "macs": _spearman(macs, measured)},
                "equal_macs": equal_macs_spearman(macs, predicted, measured),
            },
            "networks": [network.as_json() for network in self.networks],
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
    done, undisturbed = _timed_before(device, runner), _undisturbed_ms(model)
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
    checked, reference = _check(device, runner, networks, predicted, undisturbed, progress)
    return TableCheck(
        device=device,
        space=space.name,
        seed=seed,
        environment=dict(runner.environment()),
        networks=tuple(checked),
        speed=_speed(model, reference),
    )


def check_networks(device: str, networks: Sequence[Architecture], predicted: Sequence[Estimate]) -> list[Checked]:
    """Time `networks`, whose predictions are frozen, in `PROCESSES` fresh processes each."""
    undisturbed = _undisturbed_ms(load_latency(device))
    return _check(device, device_runner(device), networks, predicted, undisturbed, lambda done, total: None)[0]


def _check(
    device: str,
    runner: Runner,
    networks: Sequence[Architecture],
    predicted: Sequence[Estimate],
    undisturbed: float | None,
    progress: Callable[[int, int], None],
) -> tuple[list[Checked], list[float]]:
    """The networks checked, and the reference network's time in each process."""
    items = [network_item(network, "check") for network in networks]
    times, reference = _measure(device, runner, items, undisturbed, progress)
    checked = [
        Checked(
            name=network.name,
            digest=network.digest,
            macs=network.macs,
            predicted=estimate,
            measured_ms=float(np.median(own)),
            processes_ms=tuple(own),
            reference_ms=float(np.mean(reference)),
        )
        for network, estimate, own in zip(networks, predicted, times, strict=True)
    ]
    return checked, reference


def _measure(
    device: str, runner: Runner, items: Sequence[Item], undisturbed: float | None, progress: Callable[[int, int], None]
) -> tuple[list[list[float]], list[float]]:
    """For each item its least time in ms in each of `PROCESSES` processes, and the reference network's in all of them.

    A process in which the reference was slower than `undisturbed` by more than the drift's tolerance is repeated, up to
    `MOST_PROCESSES` in all; where the machine never was undisturbed, the processes where it was least disturbed count.
    """
    portions = [range(start, min(start + TOGETHER, len(items))) for start in range(0, len(items), TOGETHER)]
    found: list[list[list[float]]] = [[] for _ in portions]
    total = PROCESSES * len(portions)
    for turn in range(MOST_PROCESSES):
        for portion, processes in zip(portions, found, strict=True):
            if _calm(processes, undisturbed) < PROCESSES:
                batch = [reference_item(), *(items[i] for i in portion)]
                timings = time_items(runner, batch, files_folder(device), rounds=ROUNDS, seed=1000 * turn)
                processes.append([timing.low_ms for timing in timings])
            progress(sum(min(_calm(own, undisturbed), PROCESSES) for own in found), total)
    calmest = [sorted(processes, key=lambda process: process[0])[:PROCESSES] for processes in found]
    reference = [process[0] for processes in calmest for process in processes]
    times = [
        [process[1 + place] for process in processes]
        for portion, processes in zip(portions, calmest, strict=True)
        for place in range(len(portion))
    ]
    return times, reference


def _calm(processes: Sequence[Sequence[float]], undisturbed: float | None) -> int:
    """In how many processes the reference, which comes first, was as fast as `undisturbed`; all, where that is None."""
    if undisturbed is None:
        return len(processes)
    return int((slowness([process[0] for process in processes], undisturbed) == 0.0).sum())


def _timed_before(device: str, runner: Runner) -> set[str]:
    """The digests that batches have timed."""
    path = store_path(device)
    if not path.exists():
        return set()
    with TimingStore(path, runner.environment()) as store:
        return {timing.digest for timing in store.timings()}


def _speed(model: LatencyModel, reference_ms: Sequence[float]) -> float | None:
    """The reference's mean time over that in the undisturbed batches of the table; None for a table of another make."""
    found = model.operators.manifest.get("calm_reference_ms") if model.operators else None
    return float(np.mean(reference_ms)) / found if isinstance(found, float) else None


def _undisturbed_ms(model: LatencyModel) -> float | None:
    """The reference's time on the undisturbed machine when the table was built; None for a table of another make."""
    found = model.operators.manifest.get("reference_ms") if model.operators else None
    return float(found) if isinstance(found, float) else None
