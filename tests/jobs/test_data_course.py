from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nas.errors import InputError
from nas.jobs.data_answer import Cost
from nas.jobs.data_course import Budget, Course, epoch_seconds
from nas.jobs.data_plan import _in_rungs, _rung_epochs
from nas.trials.records import OwnRung, Trial


def trial(seconds: float, *epochs: int, reused: bool = False) -> Trial:
    curve = tuple((number, 0.5) for number in epochs)
    return Trial(
        number=0, codes=(0,), digest="0", state="stopped", curve=curve, latency_ms=1.0, seconds=seconds, reused=reused
    )  # fmt: skip


def paid(*rungs: tuple[int, float, float], before: int = 0) -> Trial:
    """A trial with so many rungs that another search paid for, and these of its own: epochs, seconds, when it ended."""
    own = tuple(OwnRung(*rung) for rung in rungs)
    curve = (*((number + 1, 0.4) for number in range(before)), *((rung.epochs, 0.5) for rung in own))
    return replace(trial(1000.0), curve=curve, own=own, reused=before > 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(24, (2, 8)), (30, (3, 10)), (12, (1, 4)), (3, (1,)), (1, (1,)), (100, (9, 34))]
)
def test_rungs_are_a_twelfth_and_a_third(epochs: int, rungs: tuple[int, ...]) -> None:
    assert Course(epochs=epochs).rungs == rungs


def test_full_trainings_are_counted() -> None:
    # Two finalists of each part once, and two more seeds of the best of each.
    assert Course(epochs=24).full_trainings == 4 + 4
    assert Course(epochs=24, seeds=1, finalists=1).full_trainings == 2
    with pytest.raises(InputError, match="at least 1"):
        Course(epochs=0)


def test_seeds_go_first_then_finalists_then_epochs() -> None:
    course = Course(epochs=10)  # 80 epochs
    assert course.within(80.0, 1.0) == (course, None)
    fewer, said = course.within(79.0, 1.0)
    assert (fewer.seeds, fewer.finalists, fewer.epochs) == (2, 2, 10) and said is not None
    assert "10 epochs, 2 seeds and 2 finalists" in said
    fewer, _ = course.within(59.0, 1.0)
    assert (fewer.seeds, fewer.finalists, fewer.epochs) == (1, 2, 10)
    fewer, _ = course.within(39.0, 1.0)
    assert (fewer.seeds, fewer.finalists, fewer.epochs) == (1, 1, 10)
    fewer, _ = course.within(13.0, 1.0)
    assert (fewer.seeds, fewer.finalists, fewer.epochs) == (1, 1, 6)
    assert course.within(0.0, 1.0)[0].epochs == 1


def test_finals_are_done_in_two_goes() -> None:
    # Four finalists, then two more seeds of two of them: four workers do neither half sooner than one training takes.
    course = Course(epochs=10)
    assert [course.in_a_row(workers) for workers in (1, 2, 3, 4, 16)] == [8, 4, 4, 2, 2]
    assert course.within(20.0, 1.0, 16) == (course, None)
    fewer, _ = course.within(19.0, 1.0, 16)
    assert (fewer.seeds, fewer.finalists, fewer.epochs) == (1, 2, 10)


def test_the_seconds_of_an_epoch() -> None:
    # Ten epochs in 30 seconds, two in 6; one that was paid for took what it took.
    assert epoch_seconds([trial(30.0, 2, 8), trial(6.0, 2, reused=True)]) == 3.0
    assert epoch_seconds([]) is None and epoch_seconds([trial(0.0)]) is None


def test_time_is_kept_for_the_finalists() -> None:
    clock = Clock()
    budget = Budget(1000.0, workers=2, clock=clock)
    course, trials = Course(epochs=10), [trial(20.0, 2, 8)]
    # 80 epochs of two seconds by two workers are 80 s; of the other 920 known networks have 40 %.
    clock.now += 0.4 * 920 - 1
    assert not budget.is_up(course, trials, known=True)
    clock.now += 2
    assert budget.is_up(course, trials, known=True) and not budget.is_up(course, trials, known=False)
    clock.now = 100 + 919
    assert not budget.is_up(course, trials, known=False)
    clock.now += 2
    assert budget.is_up(course, trials, known=False)
    assert budget.course(course, trials)[1] is not None
    # No more than 60 % are kept, however long full trainings would take.
    assert not Budget(1000.0, workers=2, clock=clock).is_up(Course(epochs=10_000), trials, known=False)


def test_more_is_kept_where_finals_train_more_of_a_network() -> None:
    clock = Clock()
    budget = Budget(1000.0, full=1.5, clock=clock)
    clock.now += 1000 - 8 * 10 * 2 * 1.5 - 1
    assert not budget.is_up(Course(epochs=10), [trial(20.0, 10)], known=False)
    clock.now += 2
    assert budget.is_up(Course(epochs=10), [trial(20.0, 10)], known=False)


def test_an_earlier_start_has_spent_the_time_in_which_anything_was_trained() -> None:
    clock = Clock()
    budget = Budget(100.0, clock=clock)
    # From 0 to 20, by two at once, and from 50 to 60; what another search had paid for is none of it.
    budget.begin([paid((2, 15.0, 15.0), (8, 10.0, 60.0)), paid((2, 12.0, 20.0), before=1), trial(500.0, 2)])
    assert budget.left == 70.0
    assert Budget(None, clock=clock).left == math.inf
    assert not Budget(None, clock=clock).is_up(Course(epochs=1), [], known=True)


def test_a_trial_costs_the_rungs_that_it_paid_for_itself() -> None:
    cost = Cost.of([paid((8, 600.0, 1000.0), before=1), paid((2, 30.0, 40.0)), trial(500.0, 2, reused=True)])
    assert (cost.trainings, cost.epochs, cost.seconds, cost.reused) == (2, 10, 630.0, 2)


def test_epochs_in_rungs() -> None:
    # Nine networks: nine times 2 epochs, then three, or one of each of five kinds, times 8.
    assert _in_rungs(9, (2, 8), 1) == 18 + 24
    assert _in_rungs(9, (2, 8), 5) == 18 + 40
    assert _in_rungs(0, (2, 8), 0) == 0


def test_rungs_of_one_network_come_one_after_the_other() -> None:
    course = Course(epochs=24)  # rungs of 2 and 8
    epochs = {"known": 12, "searched": 52, "final": 192}
    assert [_rung_epochs(epochs, course, workers) for workers in (1, 2, 8)] == [64, 10 + 26, 10 + 10]
    assert _rung_epochs({**epochs, "known": 0}, course, 8) == 10
