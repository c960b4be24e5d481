import numpy as np
import pytest

from nas.accuracy.frontier import Frontier


def test_a_frontier_is_made_of_networks_that_no_faster_one_equals() -> None:
    frontier = Frontier.of(np.array([4.0, 1.0, 2.0, 3.0, 1.0]), np.array([0.8, 0.5, 0.7, 0.7, 0.6]))
    assert np.exp(frontier.log_latency) == pytest.approx([1.0, 2.0, 4.0])
    assert frontier.target == pytest.approx(-np.log([0.4, 0.3, 0.2]))


def test_between_two_networks_it_is_straight_in_the_logarithms_of_latency_and_error() -> None:
    frontier = Frontier.of(np.array([1.0, 4.0]), np.array([0.6, 0.9]))
    # 2 ms is halfway from 1 to 4 ms; halfway from an error of 0.4 to one of 0.1 is √(0.4 · 0.1) = 0.2.
    assert frontier.at(np.array([1.0, 2.0, 4.0])) == pytest.approx(-np.log([0.4, 0.2, 0.1]))


def test_beyond_its_ends_it_is_level() -> None:
    frontier = Frontier.of(np.array([1.0, 4.0]), np.array([0.6, 0.9]))
    assert frontier.at(np.array([0.1, 9.0])) == pytest.approx(-np.log([0.4, 0.1]))


def test_a_network_just_out_of_reach_makes_no_step() -> None:
    frontier = Frontier.of(np.array([1.1, 1.503]), np.array([0.794, 0.812]))
    before, after = frontier.at(np.array([1.5, 1.503]))
    assert after - before == pytest.approx(np.log(0.206 / 0.188) * np.log(1.503 / 1.5) / np.log(1.503 / 1.1))
