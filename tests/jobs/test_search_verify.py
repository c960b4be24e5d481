"""The loop of a verified search on a simulated device; what is timed is scripted where a fault must come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nas.accuracy import AccuracyEstimate
from nas.errors import InputError, TargetError
from nas.evaluate import Limits
from nas.jobs import search_verify
from nas.jobs.lut_build import TableRequest, build_table
from nas.jobs.network import Network
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.search_verify import CEILING, FLOOR, MAX_ROUNDS, Verification, check_reach, verified_search
from nas.latency import Estimate, LatencyModel, device_home, load_latency
from nas.latency.level import without_days
from nas.measure.build import new_timing, reference_item
from nas.measure.check import ROUNDS, Checked
from nas.measure.fit import Observations
from nas.measure.plan import Item
from nas.measure.stopwatch import Stopwatch, open_stopwatch
from nas.measure.store import VERIFIED, NewTiming, StoredTiming, TimingStore
from nas.runners.protocol import FileFault
from nas.runners.timing import Timing
from nas.space import Architecture
from nas.strategies import Reward
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document, small_space
from tests.measure.devices import SimulatedRunner

Factor = Callable[[int, Architecture], float]
"""Round (from 1) and network → what is measured, as a multiple of what was predicted."""


@cache
def networks() -> tuple[Architecture, ...]:
    """What the searches of these tests choose from."""
    return tuple(small_space().sample(60, np.random.default_rng(11)))


def accuracy(network: Architecture) -> AccuracyEstimate:
    """The larger, the better."""
    mean = 0.5 + 0.04 * float(np.log10(network.macs))
    return AccuracyEstimate(mean=mean, low=mean - 0.01, high=mean + 0.01, recipe="none", source="the tests")


class Search:
    """Looks at all of `networks`; keeps what it answered, and the models that it was given."""

    def __init__(self, target_ms: float) -> None:
        self.target_ms = target_ms
        self.answers: list[SearchAnswer] = []
        self.models: list[LatencyModel] = []

    def __call__(self, model: LatencyModel) -> SearchAnswer:
        found = [self._network(network, model.estimate(network)) for network in networks()]
        found.sort(key=lambda network: network.latency.mean_ms)
        feasible = [network for network in found if network.latency.mean_ms <= self.target_ms]
        answer = SearchAnswer(
            space="small", space_size=60, device="local", target_ms=self.target_ms, reward=Reward(), seed=0,
            limits=Limits(), evaluated=60, exact=True, best=max(feasible, key=lambda network: network.accuracy.low),
            before_shrinking=None, after_shrinking=None, front=tuple(found), baselines=(),
        )  # fmt: skip
        self.models.append(model)
        self.answers.append(answer)
        return answer

    @staticmethod
    def _network(network: Architecture, latency: Estimate) -> Network:
        return Network(
            name=network.name, architecture=network, params=network.params, macs=network.macs, latency=latency,
            accuracy=accuracy(network), reward=0.0, novelty=0.0,
        )  # fmt: skip


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedRunner:
    """A simulated device with a table of the space `small`."""
    found = SimulatedRunner()
    simulate(monkeypatch, tmp_path, found)
    write_space(tmp_path, small_document())
    build_table(TableRequest(home=device_home("local"), space="small", budget_s=60.0), progress=lambda state: None)
    return found


@pytest.fixture
def target_ms(runner: SimulatedRunner) -> float:
    """A target that half of the networks meet, a trace above what one of them takes."""
    times = np.sort(load_latency("local").latency_ms(networks()))
    return 1.001 * float(times[len(times) // 2])


def script(monkeypatch: pytest.MonkeyPatch, factor: Factor) -> None:
    """From now on a network takes `factor` times what is predicted of it, in three processes; nan: it cannot be run."""
    count = 0

    def check(
        watch: Stopwatch, items: Sequence[Item], predicted: Sequence[Estimate], usual: float | None
    ) -> tuple[list[Checked | FileFault], list[list[NewTiming]]]:
        nonlocal count
        count += 1
        found: list[Checked | FileFault] = []
        beside = new_timing(reference_item(), Timing(wall_ms=(usual or 1.0,)))
        batches = [[beside, beside] for _ in range(3)]
        own = {network.digest: network for network in networks()}
        for item, estimate in zip(items, predicted, strict=True):
            ms = factor(count, own[item.digest]) * estimate.mean_ms
            if np.isnan(ms):
                found.append(FileFault(path=Path(item.name), text=f"{item.name} must run, but does not."))
                continue
            parts = (0.999 * ms, ms, ms / 0.999)
            found.append(
                Checked(
                    name=item.name, digest=item.digest, macs=item.macs, predicted=estimate, measured_ms=ms,
                    processes_ms=parts, clock_ms=ms, reference_ms=1.0,
                )
            )  # fmt: skip
            for batch, part in zip(batches, parts, strict=True):
                batch.insert(1, new_timing(item, Timing(wall_ms=(part,))))
        return found, batches

    monkeypatch.setattr(search_verify, "check", check)


def verified(search: Search) -> tuple[SearchAnswer, Verification]:
    return verified_search(device_home("local"), load_latency("local"), search, progress=lambda doing: None)


def stored() -> list[StoredTiming]:
    home = device_home("local")
    with TimingStore(home.timings, open_stopwatch(home).environment()) as store:
        return store.timings()


def verified_digests() -> list[str]:
    return [timing.digest for timing in stored() if timing.role == VERIFIED]


def test_an_answer_that_is_as_predicted_is_accepted_at_once(target_ms: float, runner: SimulatedRunner) -> None:
    before = load_latency("local")
    search = Search(target_ms)
    answer, found = verified(search)
    assert found.accepted and len(found.rounds) == 1 and found.rounds[0].fault == ""
    assert answer is search.answers[0]
    assert found.measured.digest == answer.best.architecture.digest
    assert FLOOR * target_ms <= found.measured.measured_ms <= CEILING * target_ms
    assert verified_digests() == []
    assert load_latency("local").latency_ms(networks()).tolist() == before.latency_ms(networks()).tolist()
    record = found.as_json()
    assert json.loads(json.dumps(record)) == record


def test_the_answer_comes_with_the_networks_of_the_front_that_are_nearest_the_target(
    target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lambda number, network: 1.0)
    search = Search(target_ms)
    answer, found = verified(search)
    (part,) = found.rounds
    checked = [one.digest for one in part.checked]
    assert checked[0] == answer.best.architecture.digest and len(set(checked)) == 1 + search_verify.RUNNERS_UP
    others = [n for n in answer.front if n.architecture.digest != checked[0]]
    distance = {n.architecture.digest: abs(np.log(n.latency.mean_ms / target_ms)) for n in others}
    assert max(distance[digest] for digest in checked[1:]) <= min(
        value for digest, value in distance.items() if digest not in checked
    )
    assert part.checked[0].predicted == without_days(answer.best.latency, load_latency("local"))


def test_where_the_table_was_wrong_it_is_corrected_and_the_next_answer_is_timed_afresh(
    target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lambda number, network: 1.3 if number == 1 else 1.0)
    search = Search(target_ms)
    answer, found = verified(search)
    assert found.accepted and len(found.rounds) == 2
    assert "above 1.02 times the target" in found.rounds[0].fault
    assert answer is search.answers[1]
    # What was timed belongs to the table now, and the second search was given that table.
    assert sorted(verified_digests()) == sorted(3 * [one.digest for one in found.rounds[0].checked])
    wrong = search.answers[0].best.architecture
    first, second = (model.latency_ms([wrong])[0] for model in search.models)
    assert second > first
    assert load_latency("local").latency_ms([wrong])[0] == second


def test_what_was_verified_is_kept_run_by_run_and_counts_as_the_mean_of_its_processes(
    target_ms: float, runner: SimulatedRunner
) -> None:
    runner.noise = 0.0
    wrong = Search(target_ms)

    def search(model: LatencyModel) -> SearchAnswer:
        """The first answer is promised at half of what it takes."""
        answer = wrong(model)
        if len(wrong.answers) > 1:
            return answer
        latency = answer.best.latency
        half = replace(latency, **{name: getattr(latency, name) / 2.0 for name in ("mean_ms", "low_ms", "high_ms")})
        return replace(answer, best=replace(answer.best, latency=half))

    _, found = verified_search(device_home("local"), load_latency("local"), search, progress=lambda doing: None)
    measured = {one.digest: one.measured_ms for one in found.rounds[0].checked}
    timings = stored()
    kept = [timing for timing in timings if timing.digest in measured]
    assert {timing.digest for timing in kept} == measured.keys() and {timing.role for timing in kept} == {VERIFIED}
    assert all(isinstance(timing.timing, Timing) and len(timing.timing.wall_ms) == ROUNDS for timing in kept)
    verified = {one.segments: one.latency_ms for one in Observations.of(timings).each if one.role == VERIFIED}
    for timing in kept:
        assert verified[timing.segments] == pytest.approx(measured[timing.digest], rel=1e-9)


def test_a_runner_up_that_cannot_be_run_is_left_out_and_an_answer_is_told(
    target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(target_ms)
    script(monkeypatch, lambda number, network: 1.0 if network.digest == _first(search) else float("nan"))
    _, found = verified(search)
    assert found.accepted and [one.digest for one in found.rounds[0].checked] == [_first(search)]
    script(monkeypatch, lambda number, network: float("nan"))
    with pytest.raises(InputError, match="must run, but does not"):
        verified(Search(target_ms))


def test_answers_are_timed_with_the_threads_of_the_device(
    target_ms: float, runner: SimulatedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = device_home("local").file
    place.write_text(place.read_text("utf-8").replace("threads: 1", "threads: 4"), encoding="utf-8")
    device_home("local").timings.unlink()  # those of one thread
    runner.jobs.clear()
    verified(Search(target_ms))
    assert {job.threads for job in runner.jobs} == {4}


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1.2, "above 1.02 times the target"), (0.93, "outside the predicted interval"), (0.6, "outside")],
)
def test_why_an_answer_is_not_accepted(
    factor: float, words: str, target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lambda number, network: factor if number == 1 else 1.0)
    _, found = verified(Search(target_ms))
    assert words in found.rounds[0].fault


def test_an_answer_is_refused_above_the_target_and_where_it_wastes_it(target_ms: float) -> None:
    answer = Search(target_ms)(load_latency("local"))
    mean_ms = answer.best.latency.mean_ms
    latency = replace(answer.best.latency, low_ms=mean_ms / 2.0, high_ms=mean_ms * 2.0)

    def fault(measured_ms: float) -> str:
        return search_verify._fault(answer, _checked(latency, measured_ms))

    assert fault(1.019 * target_ms) == ""
    assert "above" in fault(1.03 * target_ms)
    assert "faster than predicted and below 0.9" in fault(0.85 * target_ms)
    assert fault(0.91 * target_ms) == ""


def _checked(latency: Estimate, measured_ms: float) -> Checked:
    return Checked(
        name="n", digest="d", macs=1, predicted=latency, measured_ms=measured_ms, processes_ms=(measured_ms,),
        clock_ms=measured_ms, reference_ms=1.0,
    )  # fmt: skip


def test_an_answer_that_was_predicted_to_be_much_faster_may_be_so(target_ms: float) -> None:
    answer = replace(Search(target_ms)(load_latency("local")), target_ms=2.0 * target_ms)
    latency = answer.best.latency
    assert search_verify._fault(answer, _checked(latency, latency.mean_ms)) == ""


def test_where_no_round_is_accepted_the_best_network_that_met_the_target_is_the_answer(
    target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is answered is too slow, whatever else is timed meets the target where it was predicted to.
    search = Search(target_ms)

    def factor(number: int, network: Architecture) -> float:
        return 1.5 if network.digest == search.answers[-1].best.architecture.digest else 1.0

    script(monkeypatch, factor)
    answer, found = verified(search)
    assert not found.accepted and len(found.rounds) == MAX_ROUNDS
    assert all(part.fault for part in found.rounds)
    timed = {one.digest: one for part in reversed(found.rounds) for one in part.checked}
    met = {digest for digest, one in timed.items() if one.measured_ms <= CEILING * target_ms}
    best = max((n for n in networks() if n.digest in met), key=lambda n: accuracy(n).low)
    assert answer.best.architecture.digest == best.digest == found.measured.digest
    assert found.measured.measured_ms <= CEILING * target_ms
    assert "best of" in answer.notes[-1] and f"after {MAX_ROUNDS} rounds" in answer.notes[-1]
    assert answer.best.name == answer.best.architecture.name


def test_where_nothing_meets_the_target_the_fastest_is_named(target_ms: float, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, lambda number, network: 4.0)
    with pytest.raises(TargetError, match=r"must be timed at no more than .* but the fastest of .*`nas lut build"):
        verified(Search(target_ms))
    # What more than one round timed is stored once, in its three processes.
    digests = verified_digests()
    assert digests and len(digests) == 3 * len(set(digests))


def test_a_table_without_timings_is_verified_in_one_round(target_ms: float, monkeypatch: pytest.MonkeyPatch) -> None:
    device_home("local").timings.unlink()
    search = Search(target_ms)
    script(monkeypatch, lambda number, network: 1.5 if network.digest == _first(search) else 1.0)
    _, found = verified(search)
    assert not found.accepted and len(found.rounds) == len(search.answers) == 1
    assert not device_home("local").timings.exists()


def _first(search: Search) -> str:
    return search.answers[0].best.architecture.digest


def test_devices_that_are_not_reached_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--verify times the answer on the device\. .*reach must be local, ssh, adb or ios"
    ):
        check_reach(device_home("iphone12"))
    check_reach(device_home("local"))


class SoftSearch(Search):
    """By a reward that pays for latencies up to 1.3 times the target."""

    def __call__(self, model: LatencyModel) -> SearchAnswer:
        return replace(super().__call__(model), reward=Reward.parse("soft"))


@pytest.mark.parametrize(
    ("search", "factor", "fault"),
    [
        (Search, 1.15, "above 1.02 times the target"),
        (SoftSearch, 1.15, "outside the predicted interval"),
        (SoftSearch, 2.0, "above 1.33 times the target"),
    ],
)
def test_an_answer_may_be_timed_as_far_above_the_target_as_its_reward_pays(
    search: type[Search], factor: float, fault: str, target_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lambda number, network: factor if number == 1 else 1.0)
    _, found = verified(search(target_ms))
    assert fault in found.rounds[0].fault
