"""Descendants of every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas.space import Architecture
from nas.training.inherit import inherit_weights
from tests.training.inherit.descendants import descendant, made, parents, possible

PARENTS = parents()
# Where a shuffle sends the channels of one convolution to parts of others, narrower parts need not be parts of the
# wider.
SHUFFLED = ("shufflenetv1", "shufflenetv2")


@pytest.mark.parametrize("parent", PARENTS, ids=lambda one: one.family)
def test_a_network_inherits_all_of_itself(parent: Architecture) -> None:
    module = made(parent)
    found = inherit_weights(parent, module, seed=9)
    assert found.inherited == found.total == parent.training_params
    assert not found.anew and not found.unused
    for own, its in zip(found.module.state_dict().values(), module.state_dict().values(), strict=True):
        assert torch.equal(own, its)


def check_descendants(parent: Architecture, seeds: range, *, drawn: bool = False) -> None:
    """With slices that matter, or `drawn` ones, which are sooner there."""
    module = made(parent)
    for seed in seeds:
        child, origin = descendant(parent, np.random.default_rng(seed))
        found = inherit_weights(child, module, draw=np.random.default_rng(seed) if drawn else None)
        count = possible(found.module, module, origin)
        assert found.total == child.training_params
        assert found.inherited + sum(one.numbers for one in found.anew) == found.total
        if parent.family in SHUFFLED:
            assert 0.9 * count <= found.inherited <= count
        else:
            assert found.inherited == count
        with torch.no_grad():
            assert found.module.eval()(torch.zeros(1, *child.input_shape)).shape == (1, child.num_classes)


@pytest.mark.parametrize("parent", PARENTS, ids=lambda one: one.family)
def test_two_descendants_inherit_what_overlaps(parent: Architecture) -> None:
    check_descendants(parent, range(2))


@pytest.mark.slow
@pytest.mark.parametrize("parent", PARENTS, ids=lambda one: one.family)
def test_ten_descendants_inherit_what_overlaps(parent: Architecture) -> None:
    check_descendants(parent, range(100, 110), drawn=True)
