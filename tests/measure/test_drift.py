from __future__ import annotations

import numpy as np
import pytest

from nas.measure.drift import at_usual_speed, slowness, usual_ms


def test_the_usual_speed_is_that_of_the_median_batch() -> None:
    assert usual_ms([2.0, 9.0, 1.9, 2.1, 2.0]) == 2.0
    assert slowness([2.0, 3.0, 1.8], 2.0) == pytest.approx([0.0, 0.5, -0.1])


def test_times_are_brought_to_the_usual_speed_by_the_reference_beside_them() -> None:
    corrected, mean, error = at_usual_speed(
        np.array([[10.0, 1.0], [12.0, 1.2], [9.0, 0.9]]), np.array([2.0, 2.4, 1.8]), 2.0
    )
    assert corrected == pytest.approx(np.array([[10.0, 1.0]] * 3))
    assert mean == pytest.approx([10.0, 1.0])
    assert error == pytest.approx(0.0, abs=1e-12)


def test_the_error_is_what_the_processes_disagree_by() -> None:
    rng = np.random.default_rng(0)
    times = np.exp(0.02 * rng.standard_normal((8, 500)))
    _, _, error = at_usual_speed(times, np.ones(8), 1.0)
    assert error == pytest.approx(0.02 / 8**0.5, rel=0.1)
    assert at_usual_speed(times[:2], np.ones(2), 1.0)[2] == np.inf


def test_the_error_counts_that_the_mean_was_taken_from_the_same_few_processes() -> None:
    # Logarithms -h, 0 and h of equal weight: their variance is 2h²/3 over n, h² over n - 1; of a mean of three, h²/3.
    h = 0.03
    times = np.exp(np.array([[-h], [0.0], [h]]))
    _, _, error = at_usual_speed(times, np.ones(3), 1.0)
    assert error == pytest.approx(h / 3**0.5)


def test_the_error_counts_processes_by_their_weights() -> None:
    # The third process is slower by 0.05: its noise is the root of 0.015² + (0.3 · 0.05)², so it counts half. Weights
    # 0.4, 0.4, 0.2 are worth 1 / (0.16 + 0.16 + 0.04) = 2.78 processes.
    h = 0.03
    times = np.exp(np.array([[-h], [h], [0.0]])) * np.array([[1.0], [1.0], [1.05]])
    _, mean, error = at_usual_speed(times, np.array([1.0, 1.0, 1.05]), 1.0)
    assert mean == pytest.approx([1.0])
    effective = 1.0 / 0.36
    assert error == pytest.approx((0.8 * h**2 / (effective - 1.0)) ** 0.5)


def test_nothing_timed_has_no_error() -> None:
    assert at_usual_speed(np.zeros((3, 0)), np.ones(3), 1.0)[2] == np.inf


def test_a_process_far_from_the_usual_speed_counts_little() -> None:
    # Slowed by half, this network by less than the reference: corrected by that it seems faster than it is.
    times, reference = np.array([[10.0], [10.0], [12.0]]), np.array([1.0, 1.0, 1.5])
    assert at_usual_speed(times, reference, 1.0)[1] == pytest.approx([10.0], rel=0.01)


def test_without_a_usual_speed_times_stay_as_they_are() -> None:
    corrected, mean, _ = at_usual_speed(np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 2.0, 4.0]), None)
    assert corrected.tolist() == [[1.0], [2.0], [4.0]]
    assert mean == pytest.approx([2.0])
