from __future__ import annotations

import math

import numpy as np
import pytest

from nas.training.heldout import HeldOut, held_out, wilson
from tests.training.examples import data


def test_wilsons_interval() -> None:
    # The ends are the shares p for which the count seen lies z standard deviations from n p.
    low, high = wilson(70, 100)
    for end in (low, high):
        assert abs(0.7 - end) == pytest.approx(1.6448536 * math.sqrt(end * (1 - end) / 100))
    assert wilson(0, 20)[0] == 0 and wilson(20, 20)[1] == 1 and wilson(0, 0) == (0, 1)


def test_every_image_is_counted_once() -> None:
    split = data(test=53).test
    found = held_out(lambda pixels: np.zeros(len(pixels), np.int64), split, 3, batch=10)
    assert found.count == 53 and found.correct == int((split.labels == 0).sum())
    assert found.confusion[:, 0].tolist() == np.bincount(split.labels, minlength=3).tolist()
    assert found.as_json()["mean"] == pytest.approx(found.correct / 53)


def test_nothing_is_known_without_images() -> None:
    nothing = HeldOut(labels=np.zeros(0, np.int64), said=np.zeros(0, np.int64), classes=2)
    assert nothing.confusion.tolist() == [[0, 0], [0, 0]]
    assert math.isnan(nothing.accuracy) and nothing.interval == (0, 1)
