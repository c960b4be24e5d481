import numpy as np
import pytest

from nas.latency.transfer.gaussian import (
    CONSTANT,
    Prior,
    fit_linear,
    joined,
    most_informing,
    most_telling,
    root_of,
    with_floor,
)

SURE = Prior(mean=np.log([0.2, 0.05]), deviation=np.full(2, 1e-6))
"""Amplitudes as good as given."""


def test_it_is_the_posterior_of_weights() -> None:
    """Against the normal equations of ridge regression, written in weights rather than in rows."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(9, 2))
    latency = 10.0 * (1.0 + features @ np.array([0.1, -0.2]) + rng.normal(0.0, 0.05, 9))
    found = fit_linear([features], latency, SURE, rounds=0)
    everything = np.column_stack([features, np.ones(9)])
    precision = everything.T @ everything / 0.05**2 + np.diag([1 / 0.2**2, 1 / 0.2**2, 1 / CONSTANT**2])
    target = latency / latency.mean() - 1.0
    assert found.typical_ms == pytest.approx(latency.mean())
    assert found.weights == pytest.approx(np.linalg.solve(precision, everything.T @ target / 0.05**2), abs=1e-6)
    assert found.covariance == pytest.approx(np.linalg.inv(precision), abs=1e-6)
    assert found.noise == pytest.approx(0.05, rel=1e-4)


def test_a_time_that_the_others_contradict_counts_less_and_stays_in_the_noise() -> None:
    features = np.linspace(-1.0, 1.0, 12)[:, None]
    latency = 5.0 * (1.0 + 0.2 * features[:, 0])
    latency[3] *= 3.0
    plain, robust = (fit_linear([features], latency, SURE, rounds=rounds) for rounds in (0, 2))
    true = 5.0 * 0.2
    off = [abs(fit.typical_ms * fit.weights[0] - true) for fit in (plain, robust)]
    assert off[1] < 0.7 * off[0]
    assert robust.noise > 1.5 * plain.noise


def test_a_root_gives_the_variance() -> None:
    covariance = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]])
    root = root_of(covariance)
    row = np.array([1.0, -2.0, 7.0])
    assert root.shape == (3, 2)
    assert ((row @ root) ** 2).sum() == pytest.approx(2.0 - 4 * 0.5 + 4 * 1.0)


def test_features_are_in_prior_deviations() -> None:
    found = joined([np.array([[1.0, 2.0]]), np.array([[3.0]])], np.log([0.1, 0.5, 0.01]))
    assert found == pytest.approx(np.array([[0.1, 0.2, 1.5, CONSTANT]]))


def test_what_tells_most_is_chosen() -> None:
    """The longest row first; then of the rest not the one beside it, but the one that stands apart."""
    features = np.array([[1.0, 0.0], [3.0, 0.0], [2.9, 0.1], [0.0, 2.0]])
    assert most_telling(features, 0.1, 2) == [1, 3]
    assert sorted(most_telling(features, 0.1, 9)) == [0, 1, 2, 3]


def test_what_tells_most_is_the_greatest_determinant_step_by_step() -> None:
    features, noise = np.random.default_rng(0).normal(size=(7, 3)), 0.3
    chosen: list[int] = []
    for _ in range(4):
        volume = {
            i: np.linalg.slogdet(np.eye(3) + features[[*chosen, i]].T @ features[[*chosen, i]] / noise**2)[1]
            for i in range(7)
            if i not in chosen
        }
        chosen.append(max(volume, key=volume.__getitem__))
    assert most_telling(features, noise, 4) == chosen


def test_what_is_chosen_leaves_the_points_asked_about_least_unsure() -> None:
    """Against the posterior variances of every single choice, and of every second one after the first."""
    rng = np.random.default_rng(5)
    features, about, noise = rng.normal(size=(7, 3)), rng.normal(size=(4, 3)), 0.3
    anywhere = np.ones(7, dtype=np.bool_)

    def unsure(rows: list[int]) -> float:
        precision = np.eye(3) + features[rows].T @ features[rows] / noise**2
        return float(np.trace(about @ np.linalg.inv(precision) @ about.T))

    found = most_informing(features, about, noise, [anywhere] * 3)
    for place in range(3):
        others = [row for row in range(7) if row not in found[:place]]
        assert found[place] == min(others, key=lambda row: unsure([*found[:place], row]))
    turns = [np.arange(7) == 2, np.arange(7) >= 4, np.arange(7) == 2]
    taken = most_informing(features, about, noise, turns)
    assert taken[0] == 2 and taken[1] >= 4 and taken[2] not in taken[:2]  # none of its turn is left: any
    assert sorted(most_informing(features, about, noise, [anywhere] * 20)) == list(range(7))


def test_the_likeliest_weights_above_a_floor_are_those_of_a_bounded_fit() -> None:
    """Whitened, the nearest weights with each entry at least a number are what clipping says."""
    found = with_floor(np.array([-1.0, 2.0]), np.eye(2), np.eye(2), np.array([0.5, 0.0]))
    assert found == pytest.approx([0.5, 2.0])
    # Of a covariance [[2, 1], [1, 1]] moving the first by 3/2 moves the second by its share, 3/2 · 1/2.
    root = np.linalg.cholesky(np.array([[2.0, 1.0], [1.0, 1.0]]))
    found = with_floor(np.array([-1.0, 2.0]), root, np.array([[1.0, 0.0]]), np.array([0.5]))
    assert found == pytest.approx([0.5, 2.75])


def test_weights_above_their_floor_stay_and_those_that_cannot_be_there_too() -> None:
    weights = np.array([1.0, 2.0])
    assert with_floor(weights, np.eye(2), np.eye(2), np.zeros(2)) is weights
    against = with_floor(weights, np.eye(2), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 2.0]))
    assert against is weights
