"""The parent of inherited weights as a rival: itself, or narrower where it is too slow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.accuracy import load_accuracy
from nas.accuracy.prior_model import PriorModel
from nas.jobs.data_parents import parent_forms
from nas.jobs.data_space import rivals
from nas.latency import load_latency
from nas.space import Architecture
from nas.space.fitted import placement_of
from nas.space.reading import parse_search_space
from tests.jobs.small import tiny_document

LATENCY = load_latency("pixel3-cpu")
SPACE = replace(parse_search_space(tiny_document(), "tiny"), num_classes=6)


@pytest.fixture
def prior() -> PriorModel:
    found = load_accuracy("imagenet")
    assert isinstance(found, PriorModel)
    return found


@pytest.fixture
def parent() -> Architecture:
    """The largest network of the space, for ten classes."""
    code = SPACE.canonical(np.array([[count - 1 for count in SPACE.cardinalities]]))[0]
    return SPACE.decode(code).named("parent@32").adapted(num_classes=10)


def test_a_parent_that_meets_the_target_is_itself(parent: Architecture, prior: PriorModel) -> None:
    own_ms = float(LATENCY.latency_ms([parent.adapted(num_classes=SPACE.num_classes)])[0])
    (form,) = parent_forms(parent, LATENCY, prior, 1.01 * own_ms, space=SPACE)
    assert (form.network.layers, form.network.name, form.width) == (parent.layers, "parent@32", 1.0)
    assert form.network.num_classes == SPACE.num_classes and form.latency_ms == pytest.approx(own_ms)


def test_one_that_is_slower_is_shrunk(parent: Architecture, prior: PriorModel) -> None:
    own_ms = float(LATENCY.latency_ms([parent])[0])
    (form,) = parent_forms(parent, LATENCY, prior, 0.9 * own_ms, space=SPACE)
    assert form.network.name == "parent@32-netadapt" and form.latency_ms <= 0.9 * own_ms
    own = parent.adapted(num_classes=SPACE.num_classes)
    assert form.network.params < own.params and len(form.network.layers) == len(own.layers)
    assert parent_forms(parent, LATENCY, prior, 0.001, space=SPACE) == []
    # Measured to take 1.1 times what is predicted, it is shrunk to that much less.
    slower = {placement_of(form): 1.1}
    (less,) = parent_forms(parent, LATENCY, prior, 0.9 * own_ms, space=SPACE, slower=slower)
    (same,) = parent_forms(parent, LATENCY, prior, 0.9 * own_ms / 1.1, space=SPACE)
    assert less.network == same.network and less.latency_ms == pytest.approx(1.1 * same.latency_ms)


def test_it_comes_before_its_widths_and_all_others(
    parent: Architecture, prior: PriorModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.jobs.data_space.family_members", list)
    own_ms = float(LATENCY.latency_ms([parent])[0])
    forms = rivals(LATENCY, 0.95 * own_ms, space=SPACE, count=3, parent=parent, accuracy=prior)
    assert forms[0].network.name == "parent@32-netadapt"
    assert all(form.network.name.startswith("parent-x") for form in forms[1:])
