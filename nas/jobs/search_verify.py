"""Closing the loop of a search: its answer is timed, and where the table was wrong it is corrected and searched again.

A round freezes the predictions of the answer and of its runners-up, times them in fresh processes, and compares. The
answer is accepted where it meets the target and its time lies in the predicted interval. Otherwise
what was timed joins the table's timings, the table is fitted again, and a new search's answer is timed afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas.errors import InputError, TargetError
from nas.jobs.lut_build import refit_table
from nas.jobs.network import Network
from nas.jobs.search_answer import SearchAnswer
from nas.latency import DeviceHome, LatencyModel, load_latency
from nas.latency.level import without_days
from nas.measure.check import Checked, check, usual_reference_ms
from nas.measure.plan import network_item
from nas.measure.stopwatch import open_stopwatch
from nas.measure.store import REFERENCE, VERIFIED, NewTiming, TimingStore
from nas.runners.find import find_runner
from nas.runners.protocol import FileFault
from nas.strategies import Goal

CEILING, FLOOR = 1.02, 0.9
"""An answer is accepted up to this multiple of the target (of what its reward allows at most), and from this one on
where something slower is better."""
MAX_ROUNDS, RUNNERS_UP = 4, 5

Search = Callable[[LatencyModel], SearchAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRound:
    """An answer and its runners-up as predicted and as measured then, the answer first; `fault` says why the answer was
    not accepted, empty where it was."""

    checked: tuple[Checked, ...]
    fault: str

    def as_json(self) -> dict[str, Any]:
        """The record of the round."""
        return {"networks": [network.as_json() for network in self.checked], "fault": self.fault}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All rounds, the last one first accepted or not; `measured` is the answer's."""

    rounds: tuple[VerifiedRound, ...]
    measured: Checked
    accepted: bool

    def as_json(self) -> dict[str, Any]:
        """The record "verification" of a search."""
        return {
            "accepted": self.accepted,
            "answer": self.measured.as_json(),
            "rounds": [part.as_json() for part in self.rounds],
        }


def verified_search(
    home: DeviceHome, latency: LatencyModel, search: Search, *, progress: Callable[[str], None]
) -> tuple[SearchAnswer, Verification]:
    """The answer of `search` for a latency model, timed on the device; up to four rounds.

    Where no round's answer is accepted, the answer is the best of all networks that were timed and met the target.
    Raises `InputError` for a device that is not measured here or an answer that it cannot run, and `TargetError` where
    nothing that was timed met the target.
    """
    find_runner(home)
    rounds: list[VerifiedRound] = []
    found: dict[str, tuple[SearchAnswer, Network, Checked]] = {}
    for number in range(1, MAX_ROUNDS + 1):
        answer = search(latency)
        networks = [answer.best, *_runners_up(answer)]
        progress(f"timing the answer and {len(networks) - 1} runners-up")
        timed = _timed(home, networks)
        fault = _fault(answer, timed.answer)
        rounds.append(VerifiedRound(checked=tuple(one for _, one in timed.checked), fault=fault))
        if not fault:
            return answer, Verification(rounds=tuple(rounds), measured=timed.answer, accepted=True)
        for network, one in timed.checked:
            found.setdefault(one.digest, (answer, network, one))
        if not home.timings.exists():
            break
        if number < MAX_ROUNDS:
            progress("correcting the table")
            _correct(home, timed)
            home = home.reread()
            latency = load_latency(home)
    return _best_timed(found, rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """The answer of a round and the runners-up that could be timed, the answer first, and what a store takes of it:
    where it was timed, and a list of timings a process."""

    checked: tuple[tuple[Network, Checked], ...]
    environment: dict[str, str]
    batches: list[list[NewTiming]]

    @property
    def answer(self) -> Checked:
        return self.checked[0][1]


def _timed(home: DeviceHome, networks: Sequence[Network]) -> _Timed:
    """Time `networks`, whose predictions are frozen, in fresh processes.

    Raises `InputError` where the first cannot be timed.
    """
    items = [network_item(network.architecture, VERIFIED, home.runtime) for network in networks]
    model = load_latency(home)
    predicted = [without_days(network.latency, model) for network in networks]
    usual = usual_reference_ms(model)
    with open_stopwatch(home) as watch:
        environment = watch.environment()
        found, batches = check(watch, items, predicted, usual)
    if isinstance(found[0], FileFault):
        raise found[0].error()
    pairs = zip(networks, found, strict=True)
    checked = tuple((network, one) for network, one in pairs if isinstance(one, Checked))
    return _Timed(checked=checked, environment=environment, batches=batches)


def _runners_up(answer: SearchAnswer) -> list[Network]:
    """The networks of the front that are closest to the target, on either side."""
    others = [n for n in answer.front if n.architecture.digest != answer.best.architecture.digest]
    others.sort(key=lambda network: abs(np.log(network.latency.mean_ms / answer.required_ms)))
    return others[:RUNNERS_UP]


def _fault(answer: SearchAnswer, checked: Checked) -> str:
    """Why the answer is not accepted; empty where it is."""
    target = answer.required_ms
    if checked.measured_ms > CEILING * _limit_ms(answer):
        most = CEILING * answer.reward.reach
        return f"measured at {checked.measured_ms:.3f} ms, above {most:.3g} times the target"
    if not checked.inside:
        return (
            f"measured at {checked.measured_ms:.3f} ms, outside the predicted interval"
            f" [{checked.predicted.low_ms:.3f}, {checked.predicted.high_ms:.3f}]"
        )
    if checked.measured_ms < FLOOR * target and checked.predicted.mean_ms >= FLOOR * target:
        return f"measured at {checked.measured_ms:.3f} ms, faster than predicted and below {FLOOR:g} times the target"
    return ""


def _correct(home: DeviceHome, timed: _Timed) -> None:
    """Add what was timed to the timings of the device, and fit its table again."""
    with TimingStore(home.timings, timed.environment) as store:
        done = store.digests()
        for batch in timed.batches:
            new = [timing for timing in batch if timing.digest not in done]
            if any(timing.role != REFERENCE for timing in new):
                store.add_batch(new, seconds=0.0)  # no part of what a build may spend
    refit_table(home)


def _best_timed(
    found: dict[str, tuple[SearchAnswer, Network, Checked]], rounds: Sequence[VerifiedRound]
) -> tuple[SearchAnswer, Verification]:
    """The timed network that met the target for which the reward of the bound is best, as the answer."""
    met = [item for item in found.values() if item[2].measured_ms <= CEILING * _limit_ms(item[0])]
    if not met:
        answer, network, one = min(found.values(), key=lambda item: item[2].measured_ms)
        raise TargetError(
            f"a network of {answer.space} must be timed at no more than {answer.required_ms:g} ms, but the fastest of"
            f" {len(found)} that were predicted to be takes {one.measured_ms:.3f} ms ({network.name}); build the table"
            f" again, for this space: `nas lut build --device {answer.device} --space {answer.space} --restart`."
        )
    answer, network, one = max(met, key=lambda item: (_worth(*item), -item[2].measured_ms))
    note = (
        f"The table's predictions strayed: after {len(rounds)} rounds the answer is the best of {len(found)} networks"
        " that were timed, by its measured time."
    )
    named = network.architecture.named(f"{answer.space}-{answer.required_ms:g}ms-{network.architecture.digest[:8]}")
    best = replace(network, name=named.name, architecture=named)
    chosen = replace(answer, best=best, notes=(*answer.notes, note))
    return chosen, Verification(rounds=tuple(rounds), measured=one, accepted=False)


def _limit_ms(answer: SearchAnswer) -> float:
    """The most milliseconds that an answer may have by the search's reward."""
    return Goal(target_ms=answer.required_ms, reward=answer.reward).limit_ms


def _worth(answer: SearchAnswer, network: Network, one: Checked) -> float:
    """The reward of the bound at the measured latency; what is above the limit within the ceiling counts as at it."""
    measured_ms = min(one.measured_ms, _limit_ms(answer))
    return float(answer.reward.reward(network.accuracy.low, measured_ms, answer.required_ms))


def check_reach(home: DeviceHome) -> None:
    """Raises `InputError` for a device whose answers cannot be timed."""
    try:
        find_runner(home)
    except InputError as error:
        raise InputError(f"--verify times the answer on the device. {error}") from error
