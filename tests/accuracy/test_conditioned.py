from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from nas.accuracy import AccuracyModel, load_accuracy
from nas.accuracy.conditioned import (
    ConditionedPrior,
    TrialHyperparameters,
    TrialRows,
    negative_log_likelihood,
)
from nas.accuracy.gaussian_process import CONSTANT_VARIANCE, Floats
from nas.accuracy.prior import Prior
from nas.errors import InputError
from nas.space import known_network
from nas.testing.accuracy import AccuracyModelConformance

_HYPER = TrialHyperparameters(scale=0.8, amplitude=0.05, length=1.5, noise=0.02)


class TestConditioned(AccuracyModelConformance):
    @pytest.fixture
    def model(self) -> AccuracyModel:
        names = ("mobilenetv2-1.0", "mobileone-s0", "repvit-m0.9", "mobilenetv2-1.0")
        return load_accuracy("imagenet").conditioned([known_network(name) for name in names], [0.9, 0.88, 0.95, 0.91])


def _random(seed: int, count: int, prior: Prior) -> tuple[Floats, Floats, Floats]:
    """Features near published networks, details, and accuracies."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(prior.rows), count, replace=False)
    features = prior.rows.features[rows] + rng.normal(0, 0.1, (count, prior.rows.features.shape[1]))
    return features, rng.normal(size=(count, 3)), rng.uniform(0.5, 0.8, count)


def test_without_a_trial_it_is_the_prior() -> None:
    model = load_accuracy("imagenet")
    assert model.conditioned([], []) is model


@pytest.mark.parametrize("accuracies", [[0.5], [0.5, 1.2], [0.5, float("nan")]])
def test_accuracies_are_one_fraction_a_network(accuracies: list[float]) -> None:
    networks = [known_network("mobilenetv2-1.0"), known_network("mobileone-s0")]
    with pytest.raises(InputError, match="one accuracy in"):
        load_accuracy("imagenet").conditioned(networks, accuracies)


def test_the_posterior_is_that_of_the_joint_normal_distribution() -> None:
    """Trials and new networks written down as one covariance by the formula, and conditioned by the textbook."""
    prior = load_accuracy("imagenet").prior
    features, details, accuracies = _random(0, 9, prior)
    posterior, seen, new = prior.posterior(), slice(0, 6), slice(6, 9)
    mean = np.array([posterior.mean(posterior.basis(one[None, :]))[0] for one in features])
    published = posterior.covariance(features)
    joint = np.zeros((9, 9))
    for i in range(9):
        for j in range(9):
            distance = np.sqrt(3 * np.mean((details[i] - details[j]) ** 2)) / 1.5
            special = 0.05**2 * (1 + distance) * np.exp(-distance)
            joint[i, j] = 0.8**2 * published[i, j] + special + CONSTANT_VARIANCE
    centre = mean[seen].mean()
    level = centre + 0.8 * (mean - centre)
    targets = -np.log(100 * (1 - accuracies[seen]))
    gain = joint[new, seen] @ np.linalg.inv(joint[seen, seen] + 0.02**2 * np.eye(6))
    process = ConditionedPrior(prior, features[seen], details[seen], accuracies[seen], hyper=_HYPER)
    found, variance = process.predict(features[new], details[new])
    assert found == pytest.approx(level[new] + gain @ (targets - level[seen]), rel=1e-8)
    expected = joint[new, new] - gain @ joint[seen, new]
    assert process.covariance(features[new], details[new]) == pytest.approx(expected, abs=1e-9)
    assert variance == pytest.approx(np.diag(expected), abs=1e-9)


@pytest.mark.parametrize("again", [0.0, 5.0])
def test_the_gradient_is_the_slope_of_the_likelihood(again: float) -> None:
    prior = load_accuracy("imagenet").prior
    features, details, accuracies = _random(1, 12, prior)
    rows = TrialRows(
        features=features,
        details=details,
        covariance=prior.posterior().covariance(features),
        squared=((details[:, None] - details) ** 2).mean(axis=2),
        mean=np.linspace(-0.2, 0.2, 12),
        targets=accuracies - accuracies.mean(),
        repeats=np.full(12, 1.0 + again / 12),
        unsure=np.linspace(0.0, 1e-4, 12),
        scatter=1e-3 * again,
    )
    vector = _HYPER.log_vector()
    slope = approx_fprime(vector, lambda v: negative_log_likelihood(v, rows, again)[0], 1e-6)
    assert negative_log_likelihood(vector, rows, again)[1] == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_a_mean_of_repeats_says_what_the_repeats_say() -> None:
    """Three trainings of each of four networks, as twelve rows and as four: the same likelihood of the noise but for a
    constant, so the same posterior; in the unit of targets the scatter is stretched by one factor for all networks,
    which is why their accuracies are near one another here."""
    prior = load_accuracy("imagenet").prior
    features, details, _ = _random(2, 6, prior)
    rng = np.random.default_rng(0)
    single = 0.7 + np.array([0.0, 0.001, 0.002, 0.003])[:, None] + rng.normal(0, 0.002, (4, 3))
    mean = single.mean(axis=1)
    row = np.repeat(np.arange(4), 3)
    apart = ConditionedPrior(prior, features[row], details[row], single.reshape(-1))
    together = ConditionedPrior(
        prior,
        features[:4],
        details[:4],
        mean,
        repeats=np.full(4, 3),
        scatter=float(((single - mean[:, None]) ** 2).sum()),
    )
    assert together.hyper.log_vector() == pytest.approx(apart.hyper.log_vector(), abs=0.02)
    for found, expected in zip(together.predict(features, details), apart.predict(features, details), strict=True):
        assert found == pytest.approx(expected, rel=0.02)


def test_what_is_supposed_leaves_the_mean_and_narrows_the_rest() -> None:
    prior = load_accuracy("imagenet").prior
    features, details, accuracies = _random(3, 9, prior)
    before = ConditionedPrior(prior, features[:5], details[:5], accuracies[:5])
    after = before.supposing(features[5:7], details[5:7])
    (mean, variance), (same, less) = before.predict(features, details), after.predict(features, details)
    assert same == pytest.approx(mean, abs=1e-9)
    assert (less <= variance + 1e-12).all()
    assert (less[5:7] < 0.5 * variance[5:7]).all()
    again = ConditionedPrior(prior, features[:5], details[:5], accuracies[:5], hyper=before.hyper).predict(
        features, details
    )
    assert again[0] == pytest.approx(mean, abs=1e-12)


def test_another_data_set_is_learnt_as_an_offset_and_a_scale() -> None:
    """Accuracies made of the prior's own means: half the spread in the target, errors a third: both come back."""
    model = load_accuracy("imagenet")
    names = (
        "mobilenetv1-1.0", "mobilenetv2-1.0", "mobilenetv3-large-1.0", "repvit-m1.0", "repvit-m2.3", "mobileone-s1",
        "mobileone-s4", "squeezenet-1.1", "shufflenetv2-1.0", "mobilenetv2-1.4", "efficientnet-lite0", "ghostnet-1.0",
    )  # fmt: skip
    networks = [known_network(name) for name in names]
    targets = -np.log(100 * (1 - model.predict(networks)))
    reached = 1 - np.exp(-(targets.mean() + 0.6 * (targets - targets.mean()))) / 100 / 3
    known = list(range(0, len(names), 2))
    after = model.conditioned([networks[i] for i in known], reached[known].tolist())
    others = list(range(1, len(names), 2))
    found = after.estimate([networks[i] for i in others])
    assert [one.mean for one in found] == pytest.approx(reached[others], abs=0.01)
    assert {one.recipe for one in found} == {"as the 6 trials"}
    assert all(one.low < reached[i] < one.high for one, i in zip(found, others, strict=True))


def test_more_trials_of_one_network_narrow_its_interval_to_the_noise_of_a_training() -> None:
    model, network = load_accuracy("imagenet"), known_network("mobilenetv2-1.0")
    rng = np.random.default_rng(0)
    widths = []
    for count in (1, 40):
        found = model.conditioned([network] * count, (0.6 + rng.normal(0, 0.004, count)).tolist()).estimate([network])[
            0
        ]
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]
    # A standard deviation of 0.4 points: a central 90 % interval of 1.3, with a margin for what 40 trials do not know.
    assert 0.010 < widths[1] < 0.018


def test_an_accuracy_of_one_is_finite() -> None:
    process = load_accuracy("imagenet").conditioned([known_network("mobilenetv2-1.0")], [1.0])
    assert all(
        np.isfinite(one) for one in list(asdict(process.estimate([known_network("mobileone-s0")])[0]).values())[:3]
    )
