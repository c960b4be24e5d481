"""NetAdapt from one network: the rounds lead from it to the answer, and any distance is covered."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import nas
from nas.errors import InputError, TargetError
from nas.evaluate import Limits
from nas.jobs.adapt import adapt
from nas.jobs.adaptation import Adaptation
from nas.latency import LatencyModel
from nas.space import Architecture, known_network
from nas.space.shrink import width_changes
from tests.evaluate.hand import HandAccuracy

FREE = Limits(max_novelty=None)


@pytest.fixture(scope="module")
def start() -> Architecture:
    """The first layers of a known network, and its head."""
    whole = known_network("mobilenetv2-0.5@128")
    return replace(whole, name="short", layers=(*whole.layers[:7], whole.layers[-1]))


@pytest.fixture(scope="module")
def latency() -> LatencyModel:
    return nas.load_latency("pixel3-cpu")


@pytest.fixture(scope="module")
def half(start: Architecture, latency: LatencyModel) -> Adaptation:
    return adapted(start, latency, 0.5 * latency.estimate(start).mean_ms)


def adapted(start: Architecture, latency: LatencyModel, target_ms: float | None, **options: object) -> Adaptation:
    limits = options.pop("limits", FREE)
    assert isinstance(limits, Limits)
    return adapt(start, latency=latency, accuracy=HandAccuracy(), target_ms=target_ms, limits=limits, **options)  # type: ignore[arg-type]


def _narrowest(network: Architecture, divisor: int = 8) -> Architecture:
    while changes := list(width_changes(network, divisor)):
        layers = tuple(changes[-1].layers.get(i, layer) for i, layer in enumerate(network.layers))
        network = replace(network, layers=layers)
    return network


def test_the_rounds_lead_from_the_start_to_the_answer(
    start: Architecture, latency: LatencyModel, half: Adaptation
) -> None:
    """Each round is a width change of the network before it; its latency is that of the network behind it."""
    network = start
    for one in half.rounds:
        position, _, parameter = one.layer.partition(".")
        width = f"{int(position) - 1}.{parameter}"
        assert network.layers[int(position) - 1].arg(parameter) == one.before > one.after
        assert one.after % 8 == 0
        found = [
            change
            for change in width_changes(network)
            if change.width == width and change.layers[int(position) - 1].arg(parameter) == one.after
        ]
        assert len(found) == 1
        layers = tuple(found[0].layers.get(i, layer) for i, layer in enumerate(network.layers))
        network = replace(network, layers=layers)
        assert one.latency_ms == pytest.approx(latency.estimate(network).mean_ms, rel=1e-9)
        assert (one.params, one.macs) == (network.params, network.macs)
        assert one.accuracy == pytest.approx(0.9 - 50 / np.sqrt(network.macs), rel=1e-9)
    assert network.digest == half.best.architecture.digest
    assert half.best.latency.mean_ms <= 0.5 * latency.estimate(start).mean_ms
    times = [half.start.latency.mean_ms, *(one.latency_ms for one in half.rounds)]
    assert times == sorted(times, reverse=True)


def test_the_record_is_that_of_a_search_with_the_rounds(start: Architecture, half: Adaptation) -> None:
    document = half.as_json()
    assert document["best"]["digest"] == half.best.architecture.digest
    assert document["start"]["digest"] == start.digest
    assert document["target_ms"] > 0 and document["baselines"] and document["front"]
    assert set(document["rounds"][0]) >= {"layer", "from", "to", "accuracy", "latency_ms"}
    # How it was found, and that no limit of the width of intervals was applied.
    assert (document["found_by"], document["is_point_of_space"], document["max_interval"]) == ("shrinking", False, None)
    assert document["start_accuracy"] == half.start_accuracy
    points = [(network.latency.mean_ms, network.macs) for network in half.front]
    assert points == sorted(points)


def test_any_distance_is_covered_down_to_the_narrowest(start: Architecture, latency: LatencyModel) -> None:
    """Near the end no width has 1 % of the start's latency left, and smaller steps are taken."""
    least_ms = latency.estimate(_narrowest(start)).mean_ms
    found = adapted(start, latency, 1.005 * least_ms)
    assert found.best.latency.mean_ms <= 1.005 * least_ms
    with pytest.raises(TargetError, match="raise the target") as caught:
        adapted(start, latency, 0.9 * least_ms)
    # A wider network may be a little faster, as latencies are no sums of widths.
    reached = re.search(r"takes ([0-9.]+) ms", str(caught.value))
    assert reached and 0.9 * least_ms < float(reached[1]) <= least_ms * 1.005


def test_multiples_of_another_divisor(start: Architecture, latency: LatencyModel) -> None:
    found = adapted(start, latency, 0.7 * latency.estimate(start).mean_ms, divisor=16)
    assert found.rounds and all(one.after % 16 == 0 for one in found.rounds)


def test_a_network_that_meets_the_target_is_its_own_answer(start: Architecture, latency: LatencyModel) -> None:
    found = adapted(start, latency, 1.01 * latency.estimate(start).mean_ms)
    assert found.best.architecture == start
    assert not found.rounds
    assert "as it is" in found.answer.notes[0]
    assert found.as_json()["found_by"] == "known"


def test_limits_alone_and_beside_a_target(start: Architecture, latency: LatencyModel) -> None:
    cap = int(0.8 * start.params)
    alone = adapted(start, latency, None, limits=Limits(max_novelty=None, max_params=cap))
    assert alone.answer.target_ms is None
    assert alone.best.params <= cap
    target_ms = 0.9 * latency.estimate(start).mean_ms
    both = adapted(start, latency, target_ms, limits=Limits(max_novelty=None, max_params=cap))
    assert both.best.params <= cap and both.best.latency.mean_ms <= target_ms
    with pytest.raises(TargetError, match=r"at most 1 k parameters.*--max-params"):
        adapted(start, latency, target_ms, limits=Limits(max_novelty=None, max_params=1000))


def test_what_exceeds_a_limit_keeps_nothing_off_the_front(start: Architecture, latency: LatencyModel) -> None:
    """Every network of the way that keeps the limits is on the front, or one of the front beats it."""
    cap = int(0.8 * start.params)
    target_ms = 0.5 * latency.estimate(start).mean_ms
    found = adapted(start, latency, target_ms, limits=Limits(max_novelty=None, max_params=cap))
    within = [one for one in found.rounds if one.params <= cap]
    assert all(network.params <= cap for network in found.front)
    assert found.best.architecture.digest in {network.architecture.digest for network in found.front}
    for one in within:
        assert any(
            network.latency.mean_ms <= one.latency_ms + 1e-9 and network.accuracy.mean >= one.accuracy - 1e-9
            for network in found.front
        )


def test_a_question_that_cannot_be_asked(start: Architecture, latency: LatencyModel) -> None:
    with pytest.raises(InputError, match="target latency or a limit"):
        adapted(start, latency, None)
    with pytest.raises(InputError, match="divisor"):
        adapted(start, latency, 1.0, divisor=0)


def test_the_quick_start_has_it() -> None:
    assert nas.adapt is adapt


def test_a_notebook_shows_the_answer_without_a_script(half: Adaptation) -> None:
    shown = half._repr_html_()
    assert half.best.name in shown and f"{half.best.latency.mean_ms:.3f} ms" in shown
    assert "<script" not in shown and "data:image/svg+xml;base64," in shown
    assert half.answer._repr_html_().count("<table") == 1
