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
from nas.latency.published.cost_model import Floats
from nas.measure.build import reference_item, time_items
from nas.measure.drift import at_usual_speed
from nas.measure.plan import network_item
from nas.measure.store import TimingStore
from nas.runners.runner import Runner, Timing
from nas.runtimes import OWN
from nas.space import Architecture

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
    """The networks checked; `speed` is the reference network's mean time in these processes over its usual one when the
    table was built (None where that is not known)."""

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
    """Draw `count` networks of the space that no batch has timed, predict them, then time each in fresh processes.

    Raises `InputError` for a device that is not measured here or has no table, a count below 1, and a space whose
    networks were all timed.
    """
    if count < 1:
        raise InputError(f"the number of networks must be at least 1, but got {count}.")
    space, runner, model = measured_space(space_name), device_runner(device), load_latency(device)
    done, usual = _timed_before(device, runner), usual_reference_ms(model)
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
    checked = _check(device, runner, networks, predicted, usual, progress)
    return TableCheck(
        device=device,
        space=space.name,
        seed=seed,
        environment=dict(runner.environment()),
        networks=tuple(checked),
        speed=None if usual is None else float(np.mean([network.reference_ms for network in checked])) / usual,
    )


def check_networks(device: str, networks: Sequence[Architecture], predicted: Sequence[Estimate]) -> list[Checked]:
    """Time `networks`, whose predictions are frozen, in fresh processes."""
    usual = usual_reference_ms(load_latency(device))
    return _check(device, device_runner(device), networks, predicted, usual, lambda done, total: None)


def _check(
    device: str,
    runner: Runner,
    networks: Sequence[Architecture],
    predicted: Sequence[Estimate],
    usual: float | None,
    progress: Callable[[int, int], None],
) -> list[Checked]:
    """The networks checked, up to `TOGETHER` of them in the same processes."""
    found: list[Checked] = []
    for start in range(0, len(networks), TOGETHER):
        progress(start, len(networks))
        portion = slice(start, start + TOGETHER)
        found.extend(_check_portion(device, runner, networks[portion], predicted[portion], usual))
    progress(len(networks), len(networks))
    return found


def _check_portion(
    device: str, runner: Runner, networks: Sequence[Architecture], predicted: Sequence[Estimate], usual: float | None
) -> list[Checked]:
    items = [network_item(network, "check", OWN) for network in networks]

    def process(turn: int) -> list[Timing]:
        batch = [reference_item(), *items, reference_item()]
        return time_items(runner, batch, files_folder(device), rounds=ROUNDS, seed=1000 * turn)

    clock, reference, corrected, mean = timed_in_processes(process, usual)
    return [
        Checked(
            name=network.name,
            digest=network.digest,
            macs=network.macs,
            predicted=estimate,
            measured_ms=float(mean[i]),
            processes_ms=tuple(corrected[:, i].tolist()),
            clock_ms=float(np.median(clock[:, i])),
            reference_ms=float(reference.mean()),
        )
        for i, (network, estimate) in enumerate(zip(networks, predicted, strict=True))
    ]


def timed_in_processes(
    process: Callable[[int], Sequence[Timing]], usual: float | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Start processes until their mean is known well enough. Each gives the timings of n networks between two of the
    reference network. `usual` is the reference's time at the speed that is asked for, None for any.

    Gives what the clock said (processes, n) and said of the reference (processes,), and at the usual speed the times
    (processes, n) and their means (n,), all in ms.
    """
    clock: list[list[float]] = []
    reference: list[float] = []
    for turn in range(MOST_PROCESSES):
        first, *own, last = (timing.typical_ms for timing in process(turn))
        clock.append(own)
        reference.append((first + last) / 2.0)
        corrected, mean, error = at_usual_speed(np.array(clock), np.array(reference), usual)
        if error <= WANTED_ERROR:
            break
    return np.array(clock), np.array(reference), corrected, mean


def _timed_before(device: str, runner: Runner) -> set[str]:
    """The digests that batches have timed."""
    path = store_path(device)
    if not path.exists():
        return set()
    with TimingStore(path, runner.environment()) as store:
        return {timing.digest for timing in store.timings()}


def usual_reference_ms(model: LatencyModel) -> float | None:
    """The reference's time when the table was built, on the machine as it usually was; None for other tables."""
    found = model.operators.manifest.get("reference_ms") if model.operators else None
    return float(found) if isinstance(found, float) else None
