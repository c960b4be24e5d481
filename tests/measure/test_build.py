"""The loop of a build on a simulated device, by the device's own clock."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError, UnreachableError
from nas.latency import DeviceHome, device_home
from nas.measure.build import (
    BATCH,
    ROUNDS,
    BuildProgress,
    Pace,
    batches,
    build,
    check_budget,
    look,
    reference_item,
)
from nas.measure.plan import Item, space_items
from nas.measure.stopwatch import PATIENCE_S
from nas.measure.store import REFERENCE, StoredTiming, TimingStore
from nas.runners.protocol import RUNS_A_VISIT, TimingJob, TimingSession
from nas.runners.timing import Timing
from nas.runtimes import OWN
from tests.jobs.small import small_space
from tests.latency.timed.networks import true_ms
from tests.measure.devices import SimulatedRunner, simulate_clock_and_files, stopwatch


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """Networks of a small space."""
    patch = pytest.MonkeyPatch()
    patch.setattr("nas.measure.plan._POOL", 60)
    found = list(itertools.islice(space_items(small_space(), OWN), 55))
    patch.undo()
    return found


class Place:
    """A folder with a store, and what a build there told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        self.told: list[BuildProgress] = []

    def build(
        self, runner: SimulatedRunner, items: Sequence[Item], budget_s: float, *, home: DeviceHome | None = None
    ) -> list[StoredTiming]:
        """What the store holds after a build."""
        simulate_clock_and_files(self._patch, runner)
        with self.store(runner) as store, stopwatch(runner, self.folder / "files", home=home) as watch:
            build(watch, store, items, budget_s=budget_s, pace=look(watch), progress=self.told.append)
            return store.timings()

    def store(self, runner: SimulatedRunner) -> TimingStore:
        """The store, for timings of `runner`."""
        return TimingStore(self.folder / "timings.db", stopwatch(runner, self.folder).environment())

    def seconds(self, runner: SimulatedRunner) -> float:
        """What the store says that all batches took."""
        with self.store(runner) as store:
            return store.seconds()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_batches_leave_out_what_is_done_and_what_comes_again(items: list[Item]) -> None:
    done = {items[0].digest, items[30].digest}
    found = list(batches([*items, *items], done))
    assert [len(batch) for batch in found] == [BATCH] * 5 + [3]
    assert [item.digest for batch in found for item in batch] == [i.digest for i in items if i.digest not in done]
    assert list(batches(items, {item.digest for item in items})) == []


def test_the_reference_is_in_no_batch_though_the_space_has_it(place: Place, items: list[Item]) -> None:
    own = replace(reference_item(), role="space")
    found = place.build(SimulatedRunner(), [items[0], own, items[1]], 1e6)
    assert [timing.role for timing in found] == [REFERENCE, "space", "space"]


@pytest.mark.parametrize(("device", "copies"), [("local", True), ("local-litert", False)])
def test_the_reference_is_stored_with_the_segments_of_the_devices_runtime(
    place: Place, items: list[Item], device: str, copies: bool
) -> None:
    (reference, _) = place.build(SimulatedRunner(), items[:1], 1e6, home=device_home(device))
    kinds = {str(row[0]) for segment in reference.segments for row in segment.rows}
    assert "pw" in kinds and ("reorder" in kinds) == copies


def test_larger_networks_and_more_of_them_are_expected_to_take_longer(items: list[Item]) -> None:
    pace = Pace(ms_a_mac=1e-7)
    small, large = min(items, key=lambda item: item.macs), max(items, key=lambda item: item.macs)
    assert 0.0 < pace.seconds([small]) < pace.seconds([large]) < pace.seconds([large, small])
    assert pace.seconds([large]) < Pace(ms_a_mac=2e-7).seconds([large])


def test_a_look_learns_the_pace_from_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, runner = reference_item(), SimulatedRunner(noise=0.0)
    simulate_clock_and_files(monkeypatch, runner)
    pace = look(stopwatch(runner, tmp_path / "files"))
    assert pace.ms_a_mac * reference.macs == pytest.approx(true_ms([list(reference.segments)])[0])


def test_all_networks_are_timed_in_batches_with_the_reference(place: Place, items: list[Item]) -> None:
    found = place.build(SimulatedRunner(), items, budget_s=1e6)
    own = [timing for timing in found if timing.role != REFERENCE]
    assert [timing.digest for timing in own] == [item.digest for item in items]
    sizes = [sum(t.batch == number for t in found) for number in sorted({t.batch for t in found})]
    assert sizes == [BATCH + 1] * 5 + [6]
    assert sum(timing.role == REFERENCE for timing in found) == 6
    expected = true_ms([list(item.segments) for item in items])
    assert [timing.latency_ms for timing in own] == pytest.approx(expected, rel=0.01)
    assert all(isinstance(t.timing, Timing) and len(t.timing.wall_ms) == ROUNDS * RUNS_A_VISIT for t in found)
    assert [[s.key for s in t.segments] for t in own] == [[s.key for s in i.segments] for i in items]


def test_progress_is_told_after_every_batch(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner()
    place.build(runner, items[:25], budget_s=1e6)
    assert [state.networks for state in place.told] == [10, 20, 25]
    assert [state.spent_s for state in place.told] == sorted(state.spent_s for state in place.told)
    assert place.told[-1].spent_s == pytest.approx(place.seconds(runner))
    reference_ms = true_ms([list(reference_item().segments)])[0]
    assert place.told[0].reference_ms == pytest.approx(reference_ms, rel=0.01)


def test_the_budget_is_kept_and_used(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner()
    place.build(runner, items[:30], budget_s=1e6)
    batch_s = place.seconds(runner) / 3
    other = Place(place.folder / "other", place._patch)
    found = other.build(SimulatedRunner(), items, budget_s=3.5 * batch_s)
    assert 2 * BATCH <= sum(timing.role != REFERENCE for timing in found) <= 3 * BATCH
    assert other.seconds(runner) <= 3.5 * batch_s


def test_a_build_goes_on_where_it_was_stopped_and_counts_what_was_spent(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner()
    whole = Place(place.folder / "whole", place._patch)
    expected = [timing.digest for timing in whole.build(SimulatedRunner(), items, 1e6) if timing.role != REFERENCE]

    class Stop(Exception):
        pass

    def stop(state: BuildProgress) -> None:
        raise Stop

    place._patch.setattr(place, "told", type("Stopping", (), {"append": staticmethod(stop)})())
    for started in range(1, 4):
        with pytest.raises(Stop):
            place.build(runner, items, 1e6)
        with place.store(runner) as store:
            assert len(store.digests()) == started * BATCH
    spent = place.seconds(runner)
    place.told = []
    place.build(runner, items, spent)
    assert place.told == []
    found = place.build(runner, items, 1e6)
    assert [timing.digest for timing in found if timing.role != REFERENCE] == expected


def test_nothing_is_timed_where_all_is_done(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner()
    place.build(runner, items[:10], 1e6)
    before = runner.processes
    place.build(runner, items[:10], 1e6)
    assert runner.processes == before + 1  # the look


def test_a_disturbed_batch_is_timed_again_and_the_better_times_are_kept(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner(disturbed=(1,))  # 0 is the look
    found = place.build(runner, items[:10], 1e6)
    assert runner.processes == 3
    assert max(timing.timing.spread for timing in found) < 0.02


def test_a_batch_that_is_disturbed_twice_is_kept_with_its_spread(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner(disturbed=(1, 2))
    found = place.build(runner, items[:10], 1e6)
    assert runner.processes == 3
    assert len(found) == 11 and min(timing.timing.spread for timing in found) > 0.2


def test_a_network_that_cannot_be_timed_costs_no_other_its_timing(place: Place, items: list[Item]) -> None:
    bad = items[7]
    runner = SimulatedRunner(unable_ms=[float(true_ms([bad.graph().segments])[0])])
    found = place.build(runner, items[:20], 1e6)
    expected = [item.digest for item in items[:20] if item is not bad]
    assert [timing.digest for timing in found if timing.role != REFERENCE] == expected
    last = place.told[-1]
    assert last.networks == 19
    assert [name for name, _ in last.faults] == [bad.name]
    assert "must be a whole network for numbers" in last.faults[0][1]


def test_a_device_that_does_not_run_the_reference_ends_the_build(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner(unable_ms=[float(true_ms([reference_item().graph().segments])[0])])
    with pytest.raises(InputError, match="must be a whole network for numbers"):
        place.build(runner, items, 1e6)


def test_a_device_that_is_away_is_waited_for(place: Place, items: list[Item]) -> None:
    runner = SimulatedRunner(away=(1, 2))  # 0 is the look
    found = place.build(runner, items[:10], 1e6)
    assert len(found) == 11 and runner.now > sum(PATIENCE_S[:2]) > place.seconds(runner)  # no part of the budget
    away = SimulatedRunner(away=range(1, 100))
    other = Place(place.folder / "other", place._patch)
    with pytest.raises(UnreachableError):
        other.build(away, items[:10], 1e6)
    assert away.now > sum(PATIENCE_S)


def test_a_budget_in_which_nothing_can_be_built_is_refused() -> None:
    with pytest.raises(InputError, match="budget must be at least 10 s, but got 3 s"):
        check_budget(3.0)
    check_budget(1200.0)


class ByCalls(SimulatedRunner):
    """A device whose every round is a call of seven runs, and half a second beside them."""

    abilities = replace(SimulatedRunner.abilities, runs_a_round=7, beside_a_round_s=0.5)

    def time(self, job: TimingJob) -> TimingSession:
        before = self.now
        session = super().time(job)
        runs_s = sum(sum(timing.wall_ms) for timing in session.timings()) / 1e3
        self.now = before + 1.0 + 7 * runs_s + 0.5 * job.rounds * len(job.files)
        return session


@pytest.mark.parametrize("runner", [SimulatedRunner(), ByCalls()], ids=lambda runner: type(runner).__name__)
def test_what_a_batch_is_expected_to_take_is_about_what_it_takes(
    runner: SimulatedRunner, place: Place, items: list[Item]
) -> None:
    place.build(runner, items[:BATCH], 1e6)
    expected = look(stopwatch(runner, place.folder / "look")).seconds([reference_item(), *items[:BATCH]])
    assert place.seconds(runner) == pytest.approx(expected, rel=0.3)
