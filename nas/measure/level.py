"""How fast a device is now: the reference network and a few others, against what its table is for."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.latency import DeviceHome, LatencyModel
from nas.latency.day import (
    HALF,
    LEVELS_FILE,
    PROCESS,
    LevelSpread,
    Look,
    add_look,
    level_spread,
    likely_level,
    read_looks,
)  # fmt: skip
from nas.latency.published.cost_model import Floats, Ints
from nas.measure.build import reference_item
from nas.measure.check import usual_reference_ms
from nas.measure.drift import usual_ms
from nas.measure.plan import REFERENCE_NETWORK, Item, network_item
from nas.measure.stopwatch import Stopwatch
from nas.measure.store import REFERENCE, VERIFIED, StoredTiming
from nas.runners.protocol import FileFault
from nas.space import known_network

OTHERS = (
    "mobilenetv1-0.5", "mobilenetv2-1.0", "mobilenetv3-small-1.0", "mnasnet-b1", "fbnet-c", "efficientnet-lite0",
    "mobileone-s0", "repvit-m0.9", "squeezenet-1.1", "shufflenetv2-1.0",
)  # fmt: skip
"""Networks of other families, which are timed beside the reference: the table knows one better than another."""
ROUNDS, LEAST_PROCESSES, MOST_PROCESSES, WANTED_ERROR, MOST_SECONDS = 5, 3, 12, 0.008, 60.0
"""Processes are begun until the level is known so well, or so much time has passed: where others share a machine, its
speed changes by the second, and only time averages that."""
_REFERENCE_WORTH = 5
"""As how many others the reference counts: every batch of a build has it, most others one."""
_APART, _APART_WORTH = 0.02, 2.0
"""What networks' ratios to their table are usually apart (a deviation of the logarithm), and as how many ratios that
counts."""
_STRAY_WORTH = 4.0
"""As how many processes what a table says of them counts: three may agree by luck."""
_UNKNOWN = LevelSpread(process=PROCESS)
"""The spread of a table that says nothing of its own."""
_MEDIAN = 1.25
"""The standard error of a median over that of a mean."""

STEADY = 0.05
"""A reference that strays more than this between processes is warned of: something keeps the device busy."""
_TELLS = 0.1
"""One that strays more than this tells nothing of the device's speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A network's time now, and what it took for the table, at the device's usual speed then, in ms; where it
    `was_timed` for no table, what the table says."""

    network: str
    measured_ms: float
    table_ms: float
    was_timed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """A device at this time: the reference's time in each process, in ms, and the networks that the table knows.
    `usual` is what processes and days are apart by the table and the looks at the device before."""

    reference_ms: tuple[float, ...]
    compared: tuple[Compared, ...]
    usual: LevelSpread = _UNKNOWN

    @property
    def stray(self) -> float:
        """How far the reference strays from process to process: the deviation of the logarithm of its times, 0 of a
        single one."""
        return float(np.std(np.log(self.reference_ms), ddof=1)) if len(self.reference_ms) > 1 else 0.0

    @property
    def level(self) -> float | None:
        """How many times as long as by the table everything takes: the median over the networks that were timed for
        it, over all where none was; the reference counts as `_REFERENCE_WORTH` of these. None where the table knows
        none of them."""
        return float(np.exp(np.median(np.repeat(*self._ratios)))) if self.compared else None

    @property
    def error(self) -> float:
        """The standard error of the logarithm of `level`: by how far the networks' ratios are apart, and by how far the
        reference strays between processes."""
        logs, worth = self._ratios
        if not len(logs):
            return self.processes_error
        squares = _APART_WORTH * _APART**2 + float(((logs - np.median(np.repeat(logs, worth))) ** 2).sum())
        networks = _MEDIAN**2 * squares / (_APART_WORTH + len(logs) - 1.0) / float(worth.sum())
        return float(np.hypot(np.sqrt(networks), self.processes_error))

    @property
    def processes_error(self) -> float:
        """The part of `error` that further processes lessen."""
        known = len(self.reference_ms) - 1
        squares = _STRAY_WORTH * self.usual.process**2 + known * self.stray**2
        return math.sqrt(squares / (_STRAY_WORTH + known) / len(self.reference_ms))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 90 % interval of `level`; None where there is none."""
        level, spread = self.level, float(np.exp(HALF * self.error))
        return None if level is None else (level / spread, level * spread)

    @property
    def likely(self) -> tuple[float, float]:
        """The level that the device most likely has, and the deviation of its logarithm (`likely_level`): `level`, and
        its `error`, where nothing is known of days. Only where there is a level."""
        assert self.level is not None
        return likely_level(self.level, self.error, self.usual) if self.usual.day else (self.level, self.error)

    @property
    def _ratios(self) -> tuple[Floats, Ints]:
        """The logarithm of each network's time over that of the table, of those timed for it, of all where none was;
        and as how many each counts."""
        timed = [one for one in self.compared if one.was_timed] or self.compared
        worth = [_REFERENCE_WORTH if one.network == REFERENCE_NETWORK else 1 for one in timed]
        return np.log([one.measured_ms / one.table_ms for one in timed]), np.array(worth, dtype=np.int64)

    def as_json(self) -> dict[str, Any]:
        """The record."""
        return {
            "reference": {
                "network": REFERENCE_NETWORK,
                "mean_ms": float(np.mean(self.reference_ms)),
                "processes_ms": list(self.reference_ms),
                "stray": self.stray,
            },
            "level": self.level,
            "likely_level": None if self.level is None else self.likely[0],
            "level_interval": self.interval,
            "networks": [
                {
                    "network": one.network,
                    "measured_ms": one.measured_ms,
                    "table_ms": one.table_ms,
                    "was_timed": one.was_timed,
                }
                for one in self.compared
            ],
        }


def usual_times(timings: Sequence[StoredTiming]) -> dict[str, float]:
    """What the networks of a build took in ms, by digest, brought to the device's usual speed then by the reference."""
    reference: dict[int, list[float]] = {}
    for timing in timings:
        if timing.role == REFERENCE:
            reference.setdefault(timing.batch, []).append(timing.latency_ms)
    beside = {batch: float(np.mean(times)) for batch, times in reference.items()}
    verified = {timing.batch for timing in timings if timing.role == VERIFIED}
    usual = usual_ms([ms for batch, ms in beside.items() if batch not in verified] or [np.nan])
    return {
        timing.digest: timing.latency_ms * usual / beside[timing.batch]
        for timing in timings
        if timing.role != REFERENCE and timing.batch in beside and timing.batch not in verified
    }


def keep_level(home: DeviceHome, model: LatencyModel, level: float | None, *, stray: float = 0.0) -> None:
    """Keep beside the table of a device how fast it was found: how wide an interval is that holds for any day comes of
    that. Nothing is kept where the table was not built here, and where the reference strayed too much to tell."""
    usual = usual_reference_ms(model)
    own = home.folder == home.own_folder
    if level is None or usual is None or not own or stray > _TELLS:
        return
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    add_look(home.folder, Look(time=time, level=level, reference_ms=usual))


def look_now(
    watch: Stopwatch,
    model: LatencyModel | None,
    before: Mapping[str, float] | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Now:
    """Time the reference in a few processes, beside other networks where there is a `model` to compare them with;
    `before` is what `usual_times` says of them.

    A network that the table or the runtime cannot take is left out. Raises `InputError` where the reference cannot be
    timed.
    """
    reference = reference_item(watch.home.runtime)
    items = [network_item(known_network(name), "check", watch.home.runtime) for name in OTHERS] if model else []
    references: list[float] = []
    times: list[list[float]] = [[] for _ in items]
    manifest = model.operators.manifest if model and model.operators else {}
    usual = level_spread(manifest, read_looks(watch.home.folder / LEVELS_FILE))
    usual = usual if usual.process else _UNKNOWN
    began = watch.now()
    while True:
        turn = len(references)
        progress(turn, MOST_PROCESSES)
        beside = watch.beside(reference.graph, [item.graph for item in items], rounds=ROUNDS, seed=1000 * turn)
        references.append(beside.reference_ms)
        for own, result in zip(times, beside.results, strict=True):
            if not isinstance(result, FileFault):
                own.append(result.typical_ms)
        compared = tuple(_compared(model, before or {}, references, items, times))
        now = Now(reference_ms=tuple(references), compared=compared, usual=usual)
        enough = now.processes_error <= WANTED_ERROR or watch.now() - began > MOST_SECONDS
        if (enough and len(references) >= LEAST_PROCESSES) or len(references) == MOST_PROCESSES:
            progress(MOST_PROCESSES, MOST_PROCESSES)
            return now


def _compared(
    model: LatencyModel | None,
    before: Mapping[str, float],
    references: list[float],
    items: list[Item],
    times: list[list[float]],
) -> list[Compared]:
    if model is None:
        return []
    found = []
    usual = usual_reference_ms(model)
    if usual is not None:
        found.append(Compared(network=REFERENCE_NETWORK, measured_ms=float(np.median(references)), table_ms=usual))
    for item, own in zip(items, times, strict=True):
        if not own:
            continue
        try:
            table_ms = before.get(item.digest) or model.estimate_segments(item.segments).mean_ms
            was_timed = item.digest in before
        except InputError:  # a table of rows alone, which lacks some of them
            continue
        found.append(
            Compared(network=item.name, measured_ms=float(np.median(own)), table_ms=table_ms, was_timed=was_timed)
        )
    return found
