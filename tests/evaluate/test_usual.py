from __future__ import annotations

import numpy as np
import pytest

from nas.evaluate.usual import UsualWidths


def test_usual_is_the_median_of_the_five_networks_nearest_in_milliseconds() -> None:
    """Seven networks in any order; in order of latency their widths are 1, 2, … 7, but for the third, which is 9."""
    latency_ms = np.array([64.0, 1.0, 16.0, 2.0, 32.0, 8.0, 4.0])
    width = np.array([7.0, 1.0, 5.0, 2.0, 6.0, 4.0, 9.0])
    usual = UsualWidths.of(latency_ms, width)
    # The five fastest are nearest up to 16.5 ms, midway between the 1 ms left and the 32 ms gained; those from 2 ms up
    # to 33, midway between 2 and 64. Medians of (1, 2, 9, 4, 5), of (2, 9, 4, 5, 6) and of (9, 4, 5, 6, 7).
    expected = {0.1: 4.0, 16.4: 4.0, 16.6: 5.0, 32.9: 5.0, 33.1: 6.0, 1000.0: 6.0}
    assert {at: float(usual.at(np.array([at]))[0]) for at in expected} == expected


def test_usual_agrees_with_sorting_by_distance() -> None:
    rng = np.random.default_rng(0)
    latency_ms, width = rng.lognormal(1.0, 1.0, 40), rng.lognormal(-1.0, 0.5, 40)
    at = rng.lognormal(1.0, 1.5, 500)
    nearest = np.argsort(np.abs(latency_ms - at[:, None]), axis=1)[:, :5]
    assert UsualWidths.of(latency_ms, width).at(at) == pytest.approx(np.median(width[nearest], axis=1))


def test_of_few_networks_all_are_near() -> None:
    usual = UsualWidths.of(np.array([3.0, 1.0]), np.array([0.4, 0.2]))
    assert usual.at(np.array([0.5, 2.0, 9.0])) == pytest.approx([0.3, 0.3, 0.3])


def test_ratio_is_the_width_in_usual_ones_and_nothing_where_none_has_a_width() -> None:
    at, width = np.array([1.0, 1.0]), np.array([0.15, 0.6])
    assert UsualWidths.of(np.ones(3), np.full(3, 0.3)).ratio(at, width) == pytest.approx([0.5, 2.0])
    assert UsualWidths.of(np.ones(3), np.zeros(3)).ratio(at, width).tolist() == [0.0, 0.0]
