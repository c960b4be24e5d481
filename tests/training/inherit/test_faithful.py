"""Which channels are kept where images tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nas.nets import GraphModule
from nas.space import Architecture
from nas.space.architecture import make_layer
from nas.training.inherit import faithful, inherit_weights, looked_at
from nas.training.inherit.channels import channels_of
from nas.training.inherit.faithful import FEWEST, MOST, improved, logit_costs
from nas.training.inherit.importance import Order
from tests.training.examples import data
from tests.training.inherit.descendants import SIDE, descendant, made, parents
from tests.training.inherit.test_weights import network, state


def images(count: int, *, channels: int = 3, side: int = 16) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(3))


def test_what_a_classifier_would_miss_is_exact() -> None:
    """Behind the last convolution all is linear: without channel c each logit lacks its weight times how far the pooled
    channel is from its mean."""
    layers = (make_layer("conv", {"out": 6, "stride": 2}), make_layer("head", {}))
    parent = made(replace(network(), layers=layers))
    given = images(400)
    channels = channels_of(parent.definition)
    classifier = len(parent.definition.nodes) - 1
    (by_logits,), (by_classes,) = logit_costs(parent, channels, [channels.sides[classifier, "in"].tolist()], given)
    pooled: list[Tensor] = []
    read = parent.eval().layer(classifier)
    assert read is not None
    watch = read.register_forward_pre_hook(lambda _, values: pooled.append(values[0].double()))
    with torch.no_grad():
        share = parent(given).double().softmax(1)
    watch.remove()
    strays = pooled[0] - pooled[0].mean(0)
    weight = state(parent)["layer02_head.classifier.weight"].double()
    changes = strays[:, None, :] * weight  # images, classes, channels
    centred = changes - changes.mean(1, keepdim=True)
    expected = torch.einsum("nkc,nkd->cd", centred, centred).numpy() * 8
    assert by_logits == pytest.approx(expected, rel=0.1, abs=0.1 * float(np.diag(expected).mean()))
    own = changes - (share[:, :, None] * changes).sum(1, keepdim=True)
    fisher = torch.einsum("nk,nkc,nkd->cd", share, own, own).numpy() * 8
    assert by_classes == pytest.approx(fisher, rel=0.1, abs=0.1 * float(np.diag(fisher).mean()))


def test_the_best_order_is_changed_within_its_groups_as_long_as_that_helps() -> None:
    """What is asked for is an order of two groups; the cost is how many pairs are the wrong way round."""
    groups, wanted = [list(range(1, 16, 2)), list(range(2, 16, 2))], np.arange(16) * 5 % 16
    asked: list[float] = []

    def cost(order: Order) -> float:
        pairs = [(one, other) for group in groups for one in group for other in group if wanted[one] < wanted[other]]
        asked.append(float(sum(order[one] >= order[other] for one, other in pairs)))
        return asked[-1]

    worst = -wanted.astype(np.float64)
    found = improved([worst], groups, cost)
    assert len(asked) == 1 + faithful.RANDOM + faithful.CHANGES
    assert cost(found) == min(asked) < min(asked[: 1 + faithful.RANDOM])
    assert np.array_equal(found, improved([worst], groups, cost))


def unlike(child: GraphModule, parent: GraphModule, given: Tensor) -> float:
    torch.optim.swa_utils.update_bn([given], child)
    with torch.no_grad():
        said, own = (one.eval()(given).log_softmax(1) for one in (parent, child))
    return float(functional.kl_div(own, said, log_target=True, reduction="batchmean"))


def test_the_child_says_more_nearly_what_its_parent_says() -> None:
    given, better = images(64), 0
    for seed in range(4):
        torch.manual_seed(seed)
        parent, child = made(network(hidden=16, out=8)), network(hidden=10, out=6)
        drawn = [inherit_weights(child, parent, draw=np.random.default_rng(i)).module for i in range(5)]
        own = unlike(inherit_weights(child, parent, images=given).module, parent, given)
        blind = unlike(inherit_weights(child, parent).module, parent, given)
        assert own <= blind and own < np.mean([unlike(one, parent, given) for one in drawn])
        better += own < blind
    assert better


def test_other_classes_are_chosen_for_as_the_parents_own() -> None:
    parent, child, given = made(network(hidden=16)), network(hidden=9), images(32)
    same = state(inherit_weights(child, parent, images=given).module)
    other = inherit_weights(child.adapted(num_classes=11), parent, images=given)
    renewed = inherit_weights(child, parent, images=given, new_classes=True)
    for found in (other, renewed):
        assert [one.reason for one in found.anew] == ["the classes are others"]
        for name, value in state(found.module).items():
            assert "classifier" in name or torch.equal(value, same[name]), name


@pytest.mark.parametrize("side", [16, 24])
def test_images_are_brought_to_the_size_of_each_network(side: int) -> None:
    parent = made(network(hidden=16))
    found = inherit_weights(replace(network(hidden=9), resolution=32), parent, images=images(8, side=side))
    assert found.share == 1


def test_images_of_other_channels_tell_nothing() -> None:
    parent, child = made(network(hidden=16)), network(hidden=9).adapted(in_channels=1)
    blind, seen = inherit_weights(child, parent), inherit_weights(child, parent, images=images(8, channels=1))
    assert all(
        torch.equal(one, other)
        for one, other in zip(state(blind.module).values(), state(seen.module).values(), strict=True)
    )


@pytest.mark.parametrize("parent", parents(), ids=lambda one: one.family)
def test_every_family(parent: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faithful, "CHANGES", 1)
    monkeypatch.setattr(faithful, "RANDOM", 1)
    child, _ = descendant(parent, np.random.default_rng(7))
    weights = made(parent)
    found = inherit_weights(child, weights, images=images(4, side=SIDE))
    assert found.share == inherit_weights(child, weights).share


def test_a_few_images_are_looked_at_and_always_the_same() -> None:
    split = data(600, test=10, seed=1).train
    found = looked_at(split)
    assert found.shape == (MOST, 3, *split.images.shape[1:3])
    assert torch.equal(found, looked_at(split)) and FEWEST < MOST
    few = replace(split, images=split.images[:5], labels=split.labels[:5], names=split.names[:5])
    assert len(looked_at(few)) == 5
