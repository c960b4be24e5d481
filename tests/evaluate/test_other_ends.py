"""Networks for other classes and images: accuracy is that on ImageNet, everything else is their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.accuracy import load_accuracy
from nas.evaluate import Limits, Models, SpaceProblem
from nas.evaluate.shrinking import ChannelAdaptation
from nas.latency import load_latency
from nas.space import Codes, SearchSpace
from nas.space.architecture import make_layer
from tests.space.examples import ENDS, space_of


def _models() -> Models:
    return Models(load_latency("iphone12"), load_accuracy("imagenet"), Limits())


def _spaces() -> tuple[SearchSpace, SearchSpace]:
    """For ImageNet, and for 10 classes of images with four channels."""
    space = space_of(ENDS)
    return replace(space, num_classes=1000, in_channels=3), space


def _codes(space: SearchSpace) -> Codes:
    return space.sample_codes(60, np.random.default_rng(0))


def test_a_space_predicts_as_for_imagenet_and_costs_its_own() -> None:
    models, (space, other) = _models(), _spaces()
    codes = _codes(space)
    theirs, ours = (SpaceProblem(each, models, exact=True).evaluate(codes) for each in (space, other))
    assert ours.accuracy == pytest.approx(theirs.accuracy, rel=0, abs=1e-9)
    assert ours.score == pytest.approx(theirs.score, rel=0, abs=1e-9)
    # 10 of 1000 classes cost less, and the fourth channel never as much as they do.
    assert (ours.bounded_ms < theirs.bounded_ms).all()


def test_a_code_and_its_network_are_worth_the_same() -> None:
    models, (_, space) = _models(), _spaces()
    codes = _codes(space)
    networks = [space.decode(code) for code in codes]
    assert {(n.num_classes, n.in_channels) for n in networks} == {(10, 4)}
    assert {n.resolution for n in networks} == {64, (64, 96)}
    problem = SpaceProblem(space, models, exact=True)
    found, figures = problem.evaluate(codes), models.figures(networks)
    assert found.accuracy == pytest.approx(figures.accuracy.mean, rel=0, abs=1e-9)
    assert found.bounded_ms == pytest.approx(figures.latency_ms, rel=1e-9)
    assert problem.macs(codes).tolist() == [network.macs for network in networks]
    assert figures.params.tolist() == [network.params for network in networks]
    assert figures.accuracy.mean == pytest.approx(load_accuracy("imagenet").predict(networks), rel=0, abs=1e-9)
    assert figures.latency_ms == pytest.approx([models.latency.estimate(n).mean_ms for n in networks], rel=1e-9)


def test_a_shrunk_network_is_worth_what_it_is_alone() -> None:
    """A first layer that keeps the channels of the image, so that the second one reads them too, is shrunk as well."""
    models, (_, space) = _models(), _spaces()
    point = next(n for n in map(space.decode, _codes(space)) if n.layers[0].block == "mobileone")
    start = replace(point, layers=(make_layer("repvit", {"hidden": 96}), *point.layers))
    fixed_ms = models.latency.fixed_ms
    target_ms = fixed_ms + 0.8 * (models.figures([start]).latency_ms[0] - fixed_ms)
    adaptation = ChannelAdaptation(models)
    met = adaptation.shrink(start, target_ms=target_ms).met
    networks = [adaptation.network(shrunk.state, start) for shrunk in met]
    assert any(network.layers[0] != start.layers[0] for network in networks)
    figures, judged = models.figures(networks), models.figures([network.on_imagenet() for network in networks])
    assert [shrunk.score for shrunk in met] == pytest.approx(figures.score, rel=0, abs=1e-9)
    assert [shrunk.bounded_ms for shrunk in met] == pytest.approx(figures.bounded_ms, rel=1e-9)
    assert figures.accuracy.mean == pytest.approx(judged.accuracy.mean, rel=0, abs=1e-9)
    assert models.figures([start]).accuracy.mean == pytest.approx(
        load_accuracy("imagenet").predict([start]), rel=0, abs=1e-9
    )
