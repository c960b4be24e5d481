from __future__ import annotations

import numpy as np
import pytest

from nas.accuracy.features import NETWORK_FEATURES
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.model import QUICK_SLACK, load_accuracy
from nas.accuracy.prior import SCREEN_MARGIN, to_fraction, to_target
from nas.accuracy.published import fit_prior
from nas.accuracy.recipe import DEFAULT_RECIPE, Recipe
from tests.accuracy.tables import hyper, invented, small_prior


def _at(*values: float) -> Floats:
    """Features whose first one is `values`, in the unit of the rows."""
    features = np.zeros((len(values), len(NETWORK_FEATURES)))
    features[:, 0] = values
    return features


def test_targets_are_logarithms_of_the_error() -> None:
    assert to_target(np.array([75.0]))[0] == pytest.approx(-np.log(25))
    assert to_fraction(to_target(np.array([75.0])))[0] == pytest.approx(0.75)


def test_a_published_network_is_predicted_about_as_published() -> None:
    rows, prior = invented(), small_prior()
    mean, low, high = prior.predict_features(rows.features)
    assert np.all(low < mean)
    assert np.all(mean < high)
    assert np.abs(100 * mean - rows.top1).max() < 0.5


def test_the_interval_grows_with_the_distance_and_the_mean_reverts() -> None:
    prior = small_prior()
    mean, low, high = prior.predict_features(_at(0.9, 1.5, 3.0, 8.0, 50.0))
    targets = [to_target(100 * values) for values in (low, high)]
    width = targets[1] - targets[0]
    assert np.all(np.diff(width) >= 0)
    assert width[-1] > 3 * width[0]
    # Far away the rows differ in nothing: the mean is the same in every direction.
    other = prior.predict_features(_at(-50.0))[0]
    assert mean[-1] == pytest.approx(other[0])
    assert 0.6 < mean[-1] < 0.8


def test_longer_training_and_distillation_count_as_the_rows_say() -> None:
    # Distilled rows make a fifth fewer errors than their neighbours.
    rows = invented(24, recipes=(DEFAULT_RECIPE, Recipe(distilled=True)))
    top1 = np.where([r.distilled for r in rows.recipes], 100 - 0.8 * (100 - rows.top1), rows.top1)
    prior = fit_prior(type(rows)(**{**{n: getattr(rows, n) for n in rows.__slots__}, "top1": top1}), hyper=hyper())
    plain = prior.predict_features(_at(0.0))[0]
    taught = prior.predict_features(_at(0.0), recipe=Recipe(distilled=True))[0]
    assert (1 - taught[0]) / (1 - plain[0]) == pytest.approx(0.8, abs=0.03)


def test_a_difference_is_antisymmetric_and_narrower_than_its_ends() -> None:
    prior = small_prior()
    a, b = _at(0.1, 0.3)
    there, back = prior.difference(a, b), prior.difference(b, a)
    assert there[1] <= there[0] <= there[2]
    # The same gain in the logarithm of the error, read from either side.
    errors = [1 - m for m in prior.predict_features(np.stack((a, b)))[0]]
    assert there[0] == pytest.approx(errors[0] - errors[1])
    assert back[0] == pytest.approx(-there[0])
    assert (there[1] <= 0 <= there[2]) == (back[1] <= 0 <= back[2])
    same = prior.difference(a, a, same_family=True)
    assert same[0] == 0
    assert same[1] < 0 < same[2]
    apart = prior.difference(a, a)
    assert apart[2] - apart[1] > same[2] - same[1]


@pytest.mark.parametrize("away", [0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0])
def test_the_screen_is_never_above_the_prediction_and_little_below(away: float) -> None:
    """At the rows of the prior, where its variance is least, and so many standard deviations from them."""
    prior = load_accuracy("imagenet").prior
    rng = np.random.default_rng(0)
    rows = np.repeat(prior.rows.features, 4, axis=0)
    features = (rows + away * rng.normal(size=rows.shape)) * prior.spread + prior.centre
    mean, low, high = prior.predict_features(features)
    fast_mean, fast_low, fast_high = prior.screen(features.astype(np.float32))
    assert np.abs(fast_mean - mean).max() < SCREEN_MARGIN
    # Not only below by the luck of single precision.
    assert np.all(fast_low <= low - SCREEN_MARGIN / 2)
    assert np.all(fast_low >= low - QUICK_SLACK)
    assert np.all(fast_high >= high - SCREEN_MARGIN)


def test_many_differences_are_those_of_each() -> None:
    prior = small_prior()
    a, b = _at(0.1), _at(0.3, 0.1, 2.0)
    together = prior.differences(a[0], b)
    for i, other in enumerate(b):
        assert prior.difference(a[0], other) == pytest.approx([column[i] for column in together], rel=1e-9)
