"""The search job on a small space with the shipped models; every answer is checked against a plain enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError, TargetError
from nas.evaluate import Limits, Models, SpaceProblem
from nas.jobs.search import free_search as search
from nas.jobs.search_answer import SearchAnswer
from nas.space import Architecture, known_network, known_networks
from nas.space.search_space import SearchSpace
from nas.strategies import Evolution, RandomSearch
from tests.jobs.small import small_space

FREE = Limits(max_novelty=None)
TARGET_MS = 0.9


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return small_space()


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(nas.load_latency("iphone12"), nas.load_accuracy("imagenet"), FREE, known=known_networks())


def run(space: SearchSpace, models: Models, target_ms: float = TARGET_MS, **options: object) -> SearchAnswer:
    arguments: dict[str, Any] = {"limits": models.limits, "starts": 0, "alike": 0.0, **options}
    return search(space, latency=models.latency, accuracy=models.accuracy, target_ms=target_ms, **arguments)


@pytest.fixture(scope="module")
def everything(space: SearchSpace, models: Models) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
    """All canonical codes with their latency and lower bound, by the compiled space's own figures."""
    codes = np.array(list(itertools.product(*(range(n) for n in space.cardinalities))))
    codes = np.unique(space.canonical(codes), axis=0)
    found = SpaceProblem(space, models, exact=True).evaluate(codes)
    return [tuple(code) for code in codes], found.bounded_ms, found.score


def test_small_space_is_what_the_tests_take_it_for(space: SearchSpace, everything: tuple) -> None:
    assert len(everything[0]) == space.size
    assert 1e3 < space.size < 1e5


def test_answer_is_the_exact_optimum(space: SearchSpace, models: Models, everything: tuple) -> None:
    codes, latency_ms, low = everything
    feasible = latency_ms <= TARGET_MS
    best = max(low[feasible])
    answer = run(space, models)
    assert answer.exact
    assert answer.best.latency.mean_ms <= TARGET_MS
    assert answer.before_shrinking == pytest.approx(best, abs=1e-9)
    evolved = run(space, models, strategy=Evolution(evaluations=20_000, population=64, offspring=512))
    assert evolved.before_shrinking == pytest.approx(best, abs=1e-9)
    assert evolved.evaluated < len(codes)


def test_same_seed_same_answer(space: SearchSpace, models: Models) -> None:
    digests = {
        run(space, models, strategy=RandomSearch(evaluations=500), seed=7, starts=1).best.architecture.digest
        for _ in range(2)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("target_ms", [0.65, 0.9])
def test_a_known_network_that_ranks_above_the_answer_is_named(
    space: SearchSpace, models: Models, target_ms: float
) -> None:
    answer = run(space, models, target_ms=target_ms)
    better = [
        b for b in answer.baselines if b.latency.mean_ms <= target_ms and b.accuracy.low > answer.best.accuracy.low
    ]
    notes = [note for note in answer.notes if "ranks above the answer" in note]
    assert len(notes) == bool(better)
    if better:
        assert max(better, key=lambda b: b.accuracy.low).name in notes[0]


def test_shrinking_keeps_the_target_and_does_not_lose(space: SearchSpace, models: Models) -> None:
    alone, shrunk = run(space, models), run(space, models, starts=2)
    assert shrunk.best.latency.mean_ms <= TARGET_MS
    assert shrunk.best.accuracy.low >= alone.best.accuracy.low
    assert shrunk.after_shrinking is not None


def test_front_is_mutually_non_dominated(space: SearchSpace, models: Models) -> None:
    front = run(space, models).front
    points = [(n.latency.mean_ms, n.accuracy.mean) for n in front]
    assert points == sorted(points)
    assert all(top1 < better for (_, top1), (_, better) in itertools.pairwise(points))


def test_limits_hold(space: SearchSpace, models: Models) -> None:
    free = run(space, models, starts=1).best
    tight = Models(models.latency, models.accuracy, Limits(max_novelty=None, max_params=free.params - 1))
    answer = run(space, tight, starts=1)
    assert answer.best.params < free.params
    assert answer.best.accuracy.low <= free.accuracy.low
    assert all(network.params < free.params for network in answer.front)


def test_confidence_keeps_a_quantile_under_the_target(space: SearchSpace, models: Models) -> None:
    sure = Models(models.latency, models.accuracy, Limits(max_novelty=None, confidence=0.95))
    best = run(space, sure).best
    # The upper end of the central 90 % interval is the one-sided 95 % quantile.
    assert best.latency.high_ms <= TARGET_MS


def test_a_known_network_is_recommended_only_where_it_is_as_sure_as_asked(models: Models) -> None:
    """Better ones meet 1.1 ms on average; so surely that one in a thousand does not, only faster ones do."""
    poor = small_space(
        resolution=[224],
        stages=[{"stride": 2, "depth": [1], "width": [8], "kinds": ["mbconv"], "kernel": [3], "expansion": [1]}] * 4,
    )
    named = {}
    for confidence in (None, 0.999):
        limits = Limits(max_novelty=None, confidence=confidence)
        answer = run(poor, Models(models.latency, models.accuracy, limits), target_ms=1.1)
        note = next(note for note in answer.notes if "take it" in note)
        named[confidence] = next(b for b in answer.baselines if f"network {b.name}," in note).latency
    # The 0.999 quantile of a lognormal lies 3.0902 deviations from its median, the interval's end 1.6449.
    quantiles = {key: one.mean_ms * (one.high_ms / one.mean_ms) ** (3.0902 / 1.6449) for key, one in named.items()}
    assert named[None].mean_ms <= 1.1 < quantiles[None]
    assert quantiles[0.999] <= 1.1


def test_the_answer_is_as_sure_as_asked(space: SearchSpace, models: Models) -> None:
    """With every strategy and NetAdapt: at 0.7 the quantile lies 0.5244 deviations above the mean of the logarithm."""
    for options in ({}, {"strategy": RandomSearch(evaluations=5000)}, {"starts": 2}):
        limits = Limits(max_novelty=None, confidence=0.7)
        best = run(space, Models(models.latency, models.accuracy, limits), **options).best.latency
        quantile = best.mean_ms * (best.high_ms / best.mean_ms) ** (0.52440 / 1.64485)
        assert 0.95 * TARGET_MS < quantile <= TARGET_MS * (1 + 1e-5)
        assert best.high_ms > TARGET_MS


def test_novelty_keeps_answers_near_published_networks(space: SearchSpace, models: Models) -> None:
    near = run(space, Models(models.latency, models.accuracy, Limits(max_novelty=1.0))).best
    far = run(space, models).best
    assert near.novelty < far.novelty
    assert near.novelty <= 1.05 or near.accuracy.low <= far.accuracy.low


def test_an_answer_is_shown_as_believed_and_known_networks_as_they_are(space: SearchSpace, models: Models) -> None:
    answer = run(space, models)
    figures = models.figures([answer.best.architecture])
    assert answer.best.accuracy.low == pytest.approx(figures.believed.low[0], rel=1e-9)
    assert answer.best.accuracy.low < figures.accuracy.low[0]
    known = models.figures([b.architecture for b in answer.baselines])
    assert [b.accuracy.mean for b in answer.baselines] == pytest.approx(known.accuracy.mean.tolist())


def test_gain_is_over_the_known_network_with_the_best_mean_that_meets_the_target(
    space: SearchSpace, models: Models
) -> None:
    answer = run(space, models)
    feasible = [b for b in answer.baselines if b.latency.mean_ms <= TARGET_MS]
    over = max(feasible, key=lambda b: b.accuracy.mean)
    gain, best = answer.gain, answer.best
    assert gain is not None
    assert gain.over == over.name
    assert gain.mean == pytest.approx(best.accuracy.mean - over.accuracy.mean)
    assert gain.ms == pytest.approx(best.latency.mean_ms - over.latency.mean_ms)
    assert gain.low < gain.mean < gain.high
    assert gain.told_apart is not (gain.low <= 0.0 <= gain.high)
    assert gain.told_apart is not over.indistinguishable
    assert answer.as_json()["gain"] == gain.as_json()


def test_a_target_that_nothing_meets_names_the_fastest_network(
    space: SearchSpace, models: Models, everything: tuple
) -> None:
    fastest = min(everything[1])
    with pytest.raises(TargetError, match=rf"takes {fastest:.3g} ms"):
        run(space, models, target_ms=0.01)


@pytest.mark.parametrize("target_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_target_must_be_positive_and_finite(space: SearchSpace, models: Models, target_ms: float) -> None:
    with pytest.raises(InputError, match="positive and finite"):
        run(space, models, target_ms=target_ms)


def test_unknown_strategy_shows_the_nearest(space: SearchSpace, models: Models) -> None:
    with pytest.raises(InputError, match="evolution"):
        run(space, models, strategy="evolutoin")


def test_a_known_network_that_is_the_best_point_of_the_space_is_called_by_its_name(models: Models) -> None:
    answer = run(_only_mobileone(), models, target_ms=1.0)
    assert answer.best.name == "mobileone-s1"
    # 1 ms is met by better known networks, which are no points of the space: the gain is a loss, and no claim.
    assert answer.gain is not None
    over = next(b for b in answer.baselines if b.name == answer.gain.over)
    assert answer.gain.mean == pytest.approx(answer.best.accuracy.mean - over.accuracy.mean)
    assert any("known network mobileone-s1" in note for note in answer.notes)


def _only_mobileone() -> SearchSpace:
    """MobileOne-S1 is its only point."""
    stages = [
        {"stride": 2, "depth": [depth], "width": [width], "kinds": ["mobileone"]}
        for depth, width in zip((2, 8, 10, 1), (96, 192, 512, 1280), strict=True)
    ]
    return small_space(resolution=[224], stages=stages, stems=[[{"block": "mobileone_stem", "out": 64}]])


@pytest.mark.parametrize("change", [{"confidence": 0.99}, {"max_params": 4_000_000}, {"max_macs": 500_000_000}])
def test_a_known_network_is_no_answer_where_it_is_not_feasible(models: Models, change: dict[str, Any]) -> None:
    """It has 4.8 million parameters and 825 million multiply-adds, and meets its mean latency, but not for sure."""
    target_ms = 1.01 * models.latency.estimate(known_network("mobileone-s1").graph()).mean_ms
    assert run(_only_mobileone(), models, target_ms=target_ms).best.name == "mobileone-s1"
    with pytest.raises(TargetError):
        run(_only_mobileone(), models, target_ms=target_ms, limits=Limits(**change))


def test_a_better_known_network_outside_the_space_is_named(models: Models) -> None:
    poor = small_space(
        resolution=[224],
        stages=[{"stride": 2, "depth": [1], "width": [8], "kinds": ["mbconv"], "kernel": [3], "expansion": [1]}] * 4,
    )
    answer = run(poor, models, target_ms=1.0)
    assert answer.best.name not in {network.name for network in answer.baselines}
    note = next(note for note in answer.notes if "no point of small" in note)
    assert "repvit" in note


def test_answer_round_trips_through_its_file(space: SearchSpace, models: Models, tmp_path: object) -> None:
    network = run(space, models).best.architecture
    from nas.documents import parse_yaml
    from nas.space import parse_architecture

    again: Architecture = parse_architecture(parse_yaml(network.to_yaml(), name="answer"), "answer")
    assert again.digest == network.digest


def test_an_answer_for_other_images_is_told_to_be_judged_on_imagenet(models: Models) -> None:
    space = small_space(num_classes=10, in_channels=1, resolution=[[192, 256]])
    answer = run(space, models, strategy=RandomSearch(evaluations=200))
    best, known = answer.best, answer.baselines[0]
    assert best.architecture.input_shape == (1, 192, 256)
    assert best.architecture.graph().output_shape == (10,)
    assert best.params == best.architecture.graph().params
    on_imagenet = best.architecture.on_imagenet()
    assert best.accuracy.mean == pytest.approx(models.accuracy.estimate([on_imagenet])[0].mean, abs=1e-9)
    assert best.accuracy.data == "imagenet"
    assert any("same layers on ImageNet" in note for note in answer.notes)
    # Known networks are put beside it for the same classes and channels.
    theirs = known_network(known.name).adapted(num_classes=10, in_channels=1)
    assert (known.architecture.digest, known.params) == (theirs.digest, theirs.graph().params)
    assert not any(
        "ImageNet" in note for note in run(small_space(), models, strategy=RandomSearch(evaluations=200)).notes
    )
