from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from nas.trials.surrogate import process as module
from nas.trials.surrogate.process import PRIORS, Amplitudes, Process, Rows, fitted

LOGS = {"trend": 0.2, "genes": -0.3, "rest": -0.5, "length": 0.7, "own": -1.5, "noise": -1.0}


def _rows(count: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(genes=rng.normal(0, 0.6, (count, 4)), costs=rng.normal(0, 1, (count, 2)))


def _covariance(a: Rows, b: Rows) -> NDArray[np.float64]:
    """The formula, point by point."""
    found = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            genes, costs = a.genes[i] - b.genes[j], a.costs[i] - b.costs[j]
            r = np.sqrt(5.0 * (genes @ genes + costs @ costs)) / np.exp(0.7)
            found[i, j] = (
                4.0
                + np.exp(0.4) * float(a.costs[i] @ b.costs[j])
                + np.exp(-0.6) * float(a.genes[i] @ b.genes[j])
                + np.exp(-1.0) * (1 + r + r * r / 3) * np.exp(-r)
            )
    return found


def test_the_posterior_is_that_of_the_formula() -> None:
    seen, new = _rows(7), _rows(3, seed=1)
    values, noise = np.linspace(-1, 1, 7), np.full(7, 0.04)
    process = Process(amplitudes=Amplitudes(logs=LOGS), rows=seen, values=values, noise=noise)
    own = np.exp(-3.0)
    inverse = np.linalg.inv(_covariance(seen, seen) + np.diag(noise + own + 1e-8))
    across = _covariance(new, seen)
    expected = _covariance(new, new) + own * np.eye(3) - across @ inverse @ across.T

    mean, deviation = process.believed(new, np.full(3, -1))
    together, covariance = process.together(new, np.full(3, -1))

    assert mean == pytest.approx(across @ inverse @ values)
    assert together == pytest.approx(mean)
    assert covariance == pytest.approx(expected, abs=1e-9)
    assert deviation == pytest.approx(np.sqrt(np.diag(expected)))


def test_what_is_a_points_own_comes_back_and_noise_does_not() -> None:
    seen, values = _rows(6), np.array([0.5, -0.5, 1.0, 0.0, 0.3, -1.2])
    sure = Process(amplitudes=Amplitudes(logs=LOGS), rows=seen, values=values, noise=np.zeros(6))
    unsure = Process(amplitudes=Amplitudes(logs=LOGS), rows=seen, values=values, noise=np.full(6, 0.5))

    mean, deviation = sure.believed(seen, np.arange(6))
    shrunk, wide = unsure.believed(seen, np.arange(6))

    assert mean == pytest.approx(values, abs=1e-5)
    assert deviation == pytest.approx(np.zeros(6), abs=1e-3)
    assert np.abs(shrunk - values).max() > 0.05
    assert (wide > 0.1).all()
    # A point that looks like one that was seen, but is another one, has its own remainder.
    assert (sure.believed(seen, np.full(6, -1))[1] > 0.2).all()


def test_supposing_keeps_the_mean_and_lessens_the_deviation() -> None:
    process = Process(
        amplitudes=Amplitudes(logs=LOGS), rows=_rows(8), values=np.sin(np.arange(8.0)), noise=np.full(8, 0.01)
    )
    more, elsewhere = _rows(2, seed=2), _rows(20, seed=3)
    before, wide = process.believed(elsewhere, np.full(20, -1))

    after, narrow = process.supposing(more).believed(elsewhere, np.full(20, -1))

    assert after == pytest.approx(before, abs=1e-6)
    assert (narrow <= wide + 1e-9).all()
    assert (narrow < wide - 1e-3).any()


@pytest.mark.parametrize("noisy", [True, False])
def test_the_slope_of_the_likelihood_is_that_of_differences(noisy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []

    def stay(loss: Any, start: NDArray[np.float64], **_: Any) -> _Found:
        losses.append((loss, start))
        return _Found(start)

    monkeypatch.setattr(module, "minimize", stay)
    rng = np.random.default_rng(4)
    repeats = np.array([1, 3, 1, 2, 1, 1, 1, 1, 1, 1])
    fitted(_rows(10), rng.normal(0, 1, 10), repeats, np.zeros(10), scatter=0.7, noisy=noisy)
    ((loss, start),) = losses
    at = start + rng.normal(0, 0.3, len(start))

    slope = loss(at)[1]

    assert slope == pytest.approx(approx_fprime(at, lambda logs: loss(logs)[0], 1e-6), rel=1e-3, abs=1e-4)


class _Found:
    def __init__(self, x: NDArray[np.float64]) -> None:
        self.x = x


def test_repeats_tell_noise_from_what_is_a_points_own() -> None:
    # 60 points of value N(0, 0.3²) around nothing else, evaluated four times each with noise of 0.6.
    rng = np.random.default_rng(5)
    rows = Rows(genes=np.zeros((60, 1)), costs=np.zeros((60, 1)))
    every = rng.normal(0, 0.3, (60, 1)) + rng.normal(0, 0.6, (60, 4))
    means = np.asarray(every.mean(axis=1), dtype=np.float64)

    found = fitted(
        rows,
        means,
        np.full(60, 4),
        np.zeros(60),
        scatter=float(((every - means[:, None]) ** 2).sum()),
        noisy=True,
    )

    # 180 degrees of freedom: a deviation is known to about 5 %.
    assert np.exp(found.logs["noise"]) == pytest.approx(0.6, rel=0.15)
    assert np.exp(found.logs["own"]) == pytest.approx(0.3, rel=0.4)


def test_few_points_leave_the_amplitudes_near_their_priors() -> None:
    found = fitted(_rows(3), np.array([-1.0, 0.0, 1.0]), np.ones(3, dtype=np.int64), np.zeros(3), scatter=0, noisy=True)

    for name, (mean, deviation) in PRIORS.items():
        assert abs(found.logs[name] - mean) < 2 * deviation


def test_no_noise_has_no_amplitude() -> None:
    fit = partial(fitted, _rows(5), np.linspace(0.0, 4.0, 5), np.ones(5, dtype=np.int64), np.zeros(5), scatter=0.0)

    assert "noise" not in fit(noisy=False).logs
    assert "noise" in fit(noisy=True).logs
