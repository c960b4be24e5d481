from __future__ import annotations

import numpy as np
import pytest

from nas.trials.records import State, Trial
from nas.trials.surrogate import Observed, observed


def _trial(number: int, code: int, *curve: tuple[int, float], state: State = "done", repeat: int = 0) -> Trial:
    return Trial(
        number=number, codes=(code, 0), digest=str(code), state=state, repeat=repeat, curve=curve, latency_ms=1.0
    )


def test_repeated_trials_are_one_row() -> None:
    trials = [_trial(0, 1, (0, 0.7)), _trial(1, 2, (0, 0.6)), _trial(2, 1, (0, 0.74), repeat=1)]

    found = observed([trials[2], trials[0], trials[1]], 2)

    assert found.codes.tolist() == [[1, 0], [2, 0]]
    assert found.accuracy == pytest.approx([0.72, 0.6])
    assert found.repeats.tolist() == [2, 1]
    assert found.scatter == pytest.approx(2 * 0.02**2)
    assert found.unsure.tolist() == [0.0, 0.0]


def test_what_failed_or_is_pending_says_nothing() -> None:
    trials = [_trial(0, 1, state="failed"), _trial(1, 2, state="pending"), _trial(2, 3, (5, 0.1), state="pending")]

    assert len(observed(trials, 2)) == 0
    assert observed([], 2).codes.shape == (0, 2)


def test_a_stopped_trial_is_continued_as_the_others_went_on() -> None:
    full = [_trial(0, 1, (1, 0.50), (9, 0.70)), _trial(1, 2, (1, 0.40), (9, 0.64))]

    found = observed([*full, _trial(2, 3, (1, 0.30), state="stopped")], 2)

    # They won 0.20 and 0.24; the variance of these two, and of one more gain of a point's spread.
    assert found.accuracy[2] == pytest.approx(0.30 + 0.22)
    assert found.unsure[2] == pytest.approx((2 * 0.02**2 + 0.01**2) / 3)


def test_a_stopped_trial_of_a_point_that_is_done_is_left_out() -> None:
    found = observed([_trial(0, 1, (1, 0.3), state="stopped"), _trial(1, 1, (1, 0.4), (9, 0.6))], 2)

    assert found.accuracy.tolist() == [0.6]


def _accuracies(*accuracies: float) -> Observed:
    return observed([_trial(i, i, (0, accuracy)) for i, accuracy in enumerate(accuracies)], 2)


def test_a_training_that_came_to_nothing_does_not_stretch_the_scale() -> None:
    good = np.linspace(0.70, 0.72, 9)

    found = _accuracies(*good, 0.1)

    # Ten numbers: the median is half-way between the fifth and the fourth of `good` from below.
    median = (good[3] + good[4]) / 2
    deviation = np.median(np.abs(np.array([*good, 0.1]) - median))
    assert found.accuracy[:9] == pytest.approx(good)
    assert found.accuracy[9] == pytest.approx(median - 8 * deviation)


def test_of_few_points_none_is_outlying() -> None:
    assert _accuracies(0.7, 0.71, 0.1).accuracy.tolist() == [0.7, 0.71, 0.1]


def test_of_many_points_the_best_those_repeated_and_some_of_the_rest_tell_most() -> None:
    trials = [_trial(i, i, (0, 0.5 + 0.001 * i)) for i in range(100)]
    trials.append(_trial(100, 7, (0, 0.507), repeat=1))
    found = observed(trials, 2)

    few = found.telling(20)

    assert set(range(90, 100)) <= set(few.tolist())
    assert {0, 7, 89} <= set(few.tolist())
    assert 20 <= len(few) <= 21
    assert found.select(few).codes.tolist() == found.codes[few].tolist()
    assert found.telling(100).tolist() == list(range(100))
