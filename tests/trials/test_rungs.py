from __future__ import annotations

import math

from nas.trials.records import State, Trial
from nas.trials.rungs import best_of_its_kind, last_promoted, promoted

RUNGS = (1, 3, 9)


def trial(number: int, *accuracies: float, state: State = "stopped", latency_ms: float = 1.0) -> Trial:
    return Trial(
        number=number,
        codes=(number,),
        digest=str(number),
        state=state,
        curve=tuple(zip(RUNGS, accuracies, strict=False)),
        latency_ms=latency_ms,
    )


def worth(one: Trial, accuracy: float) -> float:
    return accuracy if one.latency_ms <= 1.0 else -math.inf


def test_nobody_goes_on_before_there_are_three() -> None:
    assert promoted([trial(0, 0.5), trial(1, 0.6)], RUNGS, worth) is None


def test_the_best_of_three_goes_on_once() -> None:
    trials = [trial(0, 0.5), trial(1, 0.7), trial(2, 0.6)]
    found = promoted(trials, RUNGS, worth)
    assert found is not None and found.number == 1
    for climbed in (trial(1, 0.7, state="pending"), trial(1, 0.7, 0.8), trial(1, 0.7, state="failed")):
        assert promoted([trials[0], climbed, trials[2]], RUNGS, worth) is None


def test_a_late_better_one_goes_on_as_well() -> None:
    trials = [trial(0, 0.5), trial(1, 0.7, 0.8), trial(2, 0.6), trial(3, 0.9)]
    found = promoted(trials, RUNGS, worth)
    assert found is not None and found.number == 3
    trials[3] = trial(3, 0.65)
    assert promoted(trials, RUNGS, worth) is None  # one of four may go on, and has
    found = promoted([*trials, trial(4, 0.1), trial(5, 0.2)], RUNGS, worth)
    assert found is not None and found.number == 3


def test_the_highest_rung_comes_first() -> None:
    trials = [trial(n, 0.7, 0.7 + n / 100) for n in range(3)] + [trial(n, 0.9) for n in range(3, 9)]
    found = promoted(trials, RUNGS, worth)
    assert found is not None and found.number == 2


def test_what_may_be_no_answer_stays() -> None:
    trials = [trial(0, 0.9, latency_ms=2.0), trial(1, 0.7), trial(2, 0.6)]
    found = promoted(trials, RUNGS, worth)
    assert found is not None and found.number == 1
    assert promoted([trial(n, 0.5, latency_ms=2.0) for n in range(3)], RUNGS, worth) is None


def test_in_the_end_the_best_of_the_farthest_goes_on_until_one_is_through() -> None:
    trials = [trial(0, 0.9), trial(1, 0.5, 0.6), trial(2, 0.5, 0.7)]
    found = last_promoted(trials, worth)
    assert found is not None and found.number == 2
    assert last_promoted([trials[0], trial(2, 0.5, 0.7, state="pending")], worth) is None
    assert last_promoted([trials[0], trial(2, 0.5, 0.7, 0.8, state="done")], worth) is None
    assert last_promoted([trial(0, state="failed")], worth) is None


def odd_or_even(codes: tuple[int, ...]) -> str:
    return "even" if codes[0] % 2 == 0 else "odd"


def test_the_best_of_each_kind_goes_on_to_the_second_rung() -> None:
    trials = [trial(0, 0.9, 0.95), trial(1, 0.5), trial(2, 0.8), trial(3, 0.6)]
    found = best_of_its_kind(trials, RUNGS, worth, odd_or_even)
    # Of the even ones the best has gone on; of the odd ones it is trial 3.
    assert found is not None and found.number == 3
    trials[3] = trial(3, 0.6, 0.65)
    assert best_of_its_kind(trials, RUNGS, worth, odd_or_even) is None


def test_a_kind_is_judged_when_all_of_it_is_there() -> None:
    trials = [trial(0, 0.9), trial(1, state="pending")]
    assert best_of_its_kind(trials, RUNGS, worth, odd_or_even) is None
    assert best_of_its_kind([trial(1, 0.5, latency_ms=2.0)], RUNGS, worth, odd_or_even) is None
