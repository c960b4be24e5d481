from __future__ import annotations

import numpy as np
import pytest

from nas.accuracy.features import operator_sums
from nas.accuracy.model import load_accuracy
from nas.accuracy.novelty import SHAPE_FEATURES, Novelty, shape_features
from nas.space import known_networks
from tests.accuracy.tables import tiny


def test_the_unit_is_the_median_distance_to_the_nearest_other() -> None:
    # One column varies: 0, 1, 3, 7. Nearest others: 1, 1, 2, 4; their median is 1.5, in the column's deviations.
    observed = np.zeros((4, len(SHAPE_FEATURES)))
    observed[:, 2] = (0, 1, 3, 7)
    assert Novelty(observed=observed).unit == pytest.approx(1.5 / np.std([0, 1, 3, 7]))


def test_distance_is_in_units_from_the_nearest_observed_network() -> None:
    sums, side = operator_sums([tiny()], [32.0]), np.array([32.0])
    shape = shape_features(sums, side)
    observed = np.repeat(shape, 4, axis=0)
    # The tiny network itself would be at 10 in the column that varies.
    observed[:, 0] = shape[0, 0] - 10 + np.array([0, 1, 3, 7])
    assert Novelty(observed=observed).distance(sums, side)[0] == pytest.approx((10 - 7) / 1.5)


def test_an_observed_network_is_at_zero() -> None:
    networks = known_networks()[:5]
    sides = [n.side for n in networks]
    sums = operator_sums([n.graph().operators() for n in networks], sides)
    novelty = Novelty(observed=np.asarray(shape_features(sums, np.array(sides)), dtype=np.float64))
    assert novelty.distance(sums, np.array(sides)) == pytest.approx(0, abs=1e-5)


def test_the_shipped_unit_makes_one_the_median_between_published_networks() -> None:
    novelty = load_accuracy("imagenet").prior.novelty
    standard = (novelty.observed - novelty.observed.mean(axis=0)) / novelty.observed.std(axis=0)
    apart = np.sqrt(((standard[:, None] - standard[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert np.median(apart.min(axis=1)) == pytest.approx(novelty.unit, rel=1e-6)
