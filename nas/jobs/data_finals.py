"""Who is trained fully: the best of each part that meet the target, by a stopwatch where the device is reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.errors import InputError, TargetError, UnreachableError
from nas.jobs.data_answer import PARTS, Finalist, Part
from nas.latency import DeviceHome, Estimate, LatencyModel
from nas.measure.build import reference_item
from nas.measure.check import usual_reference_ms
from nas.measure.drift import CALM
from nas.measure.stopwatch import Stopwatch
from nas.progress import OnProgress, Step
from nas.runners.find import find_runner
from nas.runners.interval import measured
from nas.runners.timing import Timing
from nas.space import Architecture
from nas.space.architecture import parse_architecture

FINALISTS = 2
"""So many of each part are trained fully."""

TIMED, ROUNDS = 8, 60
"""So many of each part are timed at first, in so many interleaved rounds: whoever is predicted to meet the target may
not, and the next takes its place."""

SESSION_MS, MOST_ROUNDS, WORKED = 30_000.0, 3000, ("local", "ssh")
"""Where a round costs no more than its runs, there are as many as take this long: small networks differ by less than
what sixty rounds say."""

CEILING = 1.02
"""A measured latency may lie so far above the target: two sessions differ by as much. A predicted one may lie so far
above a known finalist's: nobody knows it as closely."""

WELL_BELOW = 0.9
"""Known finalists that take less than this share of the target could be wider, and nothing need be as fast as they: of
what searched ones take, where all take less than was predicted, since the device is faster today than its table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network that may become a finalist; `family` is its family, or its kind of block."""

    part: Part
    family: str
    network: Architecture


class Times:
    """Latencies of candidates: measured in one session where `home` is reached, else predicted by `model`.

    What is measured is brought to the speed that the table is for, by the reference network beside it, as a search that
    verifies its answer does: on a slow day nothing would meet the target otherwise. `level` is how many times as long
    the reference took in the last session; None where there was none, or the table does not know it.
    """

    def __init__(self, model: LatencyModel, home: DeviceHome | None, progress: OnProgress) -> None:
        self._model, self._progress = model, progress
        self._home = home if home is not None and home.device.is_timed else None
        self._usual_ms = usual_reference_ms(model)
        self.level: float | None = None

    @property
    def are_measured(self) -> bool:
        """Whether a stopwatch is asked."""
        return self._home is not None

    @property
    def are_cheap(self) -> bool:
        """Whether to time a network costs little more than its runs."""
        return self._home is not None and self._home.device.reach in WORKED

    def of(self, networks: Sequence[Architecture]) -> list[Estimate | None]:
        """The latency of each, None for one that the device does not run. All are timed in one session, in turns; a
        device that is not there is not waited for: then they are predicted."""
        if self._home is not None:
            self._progress(Step(doing="timing networks on the device", note=f"{len(networks)} networks"))
            try:
                with Stopwatch(self._home, find_runner(self._home), patience_s=()) as watch:
                    return self._timed(watch, networks)
            except UnreachableError:
                self._home = None
        return [self._model.estimate(network) for network in networks]

    def _timed(self, watch: Stopwatch, networks: Sequence[Architecture]) -> list[Estimate | None]:
        graphs, rounds = [network.graph for network in networks], self._rounds(networks)
        if self._usual_ms is None:
            results = watch.time(graphs, rounds=rounds).results
        else:
            session = watch.beside(reference_item().graph, graphs, rounds=rounds)
            self.level = session.reference_ms / self._usual_ms
            results = session.results
        by = 1.0 / (self.level or 1.0)
        return [measured(one.scaled(by)) if isinstance(one, Timing) else None for one in results]

    def _rounds(self, networks: Sequence[Architecture]) -> int:
        if not self.are_cheap:
            return ROUNDS
        settling_ms = self._home.device.settle_ms * (1 + len(networks)) if self._home else 0.0
        round_ms = settling_ms + 2 * (float(self._model.latency_ms(networks).sum()) + (self._usual_ms or 0.0))
        return int(np.clip(SESSION_MS / round_ms, ROUNDS, MOST_ROUNDS))


def choose(searched: Sequence[Candidate], known: Sequence[Candidate], times: Times, limit_ms: float) -> list[Finalist]:
    """The finalists: of each part, best first, the first `FINALISTS` that meet the limit; known ones of different
    families, and searched ones that are as fast as the best known one, one of them as fast as all known ones, since
    another may turn out to be the best: who wins has won at the same latency. Where all are slower than that they may
    be. More are timed, of the part that lacks some, until there are as many or none is left. Raises `TargetError` where
    no searched one meets the limit."""
    ceiling = limit_ms * CEILING if times.are_measured else limit_ms
    left = {"searched": list(searched), "known": list(known)}
    chosen: dict[str, list[Finalist]] = {"searched": [], "known": []}
    lacking = list(left)
    while lacking:
        turn = [one for part in lacking for one in left[part][:TIMED]]
        left |= {part: left[part][TIMED:] for part in lacking}
        latencies = times.of([one.network for one in turn]) if turn else []
        for one, latency in zip(turn, latencies, strict=True):
            own = chosen[one.part]
            is_another = one.part == "searched" or (
                len(own) < FINALISTS and one.family not in [other.family for other in own]
            )
            if latency is not None and latency.mean_ms <= ceiling and is_another:
                own.append(Finalist(part=one.part, family=one.family, network=one.network, latency=latency))
        used = min(limit_ms, max((one.latency.mean_ms for one in chosen["searched"]), default=limit_ms))
        rivals = [one for one in chosen["known"] if one.latency.mean_ms >= WELL_BELOW * used]
        as_fast = _as_fast(chosen["searched"], rivals, times.are_measured)
        enough = {"searched": bool(as_fast), "known": len(chosen["known"]) == FINALISTS}
        lacking = [part for part, candidates in left.items() if candidates and not enough[part]]
    if not chosen["searched"]:
        raise TargetError(
            f"a network that was found must take at most {limit_ms:g} ms, but each of {len(searched)} takes longer on"
            " the device than was predicted; build its table for this space (`nas lut build --space`), or ask for a"
            " target that is lower by as much."
        )
    found = (_as_fast(chosen["searched"], rivals[:1], times.are_measured) or chosen["searched"])[:FINALISTS]
    if as_fast and not any(one in as_fast for one in found):
        found[FINALISTS - 1 :] = as_fast[:1]
    return [*found, *chosen["known"]]


def fair_to(rival: Finalist | None, searched: Sequence[Finalist], measured: bool) -> list[Finalist]:
    """The `searched` that are as fast as a known one, as far as latencies are known: `measured` in one session, or not.
    All where it leaves so much of what they take that nothing need be as fast, and where none is."""
    used = max((one.latency.mean_ms for one in searched), default=0.0)
    rivals = [] if rival is None or rival.latency.mean_ms < WELL_BELOW * used else [rival]
    return _as_fast(searched, rivals, measured) or list(searched)


def _as_fast(searched: Sequence[Finalist], rivals: Sequence[Finalist], measured: bool) -> list[Finalist]:
    limit_ms = min((one.latency.mean_ms for one in rivals), default=math.inf)
    return [one for one in searched if one.latency.mean_ms <= (1.0 if measured else CEILING) * limit_ms]


def slack_note(finalists: Sequence[Finalist], limit_ms: float) -> str | None:
    """What is said where the known finalists were measured far below the limit and the searched ones: they were fitted
    to it by prediction, and wider forms of them would have met it too."""
    most = {part: [one.latency.mean_ms for one in finalists if one.part == part] for part in PARTS}
    taken, used = max(most["known"], default=limit_ms), min(limit_ms, max(most["searched"], default=limit_ms))
    if taken >= WELL_BELOW * used:
        return None
    return (
        f"The known networks that were fitted to the target of {limit_ms:.3g} ms take {taken:.3g} ms, the searched ones"
        f" {used:.3g} ms: wider known ones would meet it too, and do better. Build the device's table for this space,"
        " or for longer (`nas lut build --space`), and search again."
    )


def level_note(level: float | None) -> str | None:
    """What is said where the device was slower or faster than usual when finalists were timed."""
    if level is None or abs(level - 1.0) <= CALM:
        return None
    return (
        f"When finalists were timed the device took {level:.2f} times as long as when its table was built, by the"
        " reference network; measured latencies are brought to the speed that it had then."
    )


def read_finalist(document: Mapping[str, Any]) -> Finalist:
    """What `Finalist.as_json` wrote. Raises `InputError` for another document."""
    try:
        latency = dict(document["latency"])
        return Finalist(
            part="known" if document["part"] == "known" else "searched",
            family=str(document["family"]),
            network=parse_architecture(document["architecture"], "a finalist"),
            latency=Estimate(**{**latency, "warnings": tuple(latency["warnings"])}),
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"a recorded finalist must have its network and latency, but: {error}; search anew."
        ) from error
