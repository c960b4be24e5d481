"""Searches by limits alone, and what is said where a limit cannot be met; against a plain enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError, TargetError
from nas.evaluate import Limits
from nas.jobs.search import search
from nas.jobs.search_answer import SearchAnswer
from nas.space import Architecture
from nas.space.search_space import SearchSpace
from nas.units import bytes_text, count_text
from tests.evaluate.hand import HandAccuracy
from tests.jobs.small import small_space


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return small_space(resolution=[96], stages=small_space_stages())


def small_space_stages() -> list[dict[str, Any]]:
    stage = {"stride": 2, "kernel": [3], "expansion": [3, 6], "free_blocks": 1, "kinds": ["mbconv"], "act": ["relu"]}
    return [{**stage, "depth": [1, 2], "width": width} for width in ([16, 24], [32, 48], [64, 96, 128])]


@pytest.fixture(scope="module")
def networks(space: SearchSpace) -> list[Architecture]:
    return every_network(space)


def every_network(space: SearchSpace) -> list[Architecture]:
    """Every network of a space, built one by one."""
    codes = itertools.product(*(range(n) for n in space.cardinalities))
    unique = np.unique(space.canonical(np.array(list(codes))), axis=0)
    return [space.decode(code) for code in unique]


def run(space: SearchSpace, *, target_ms: float | None = None, starts: int = 0, **limits: Any) -> SearchAnswer:
    return search(
        space,
        latency=nas.load_latency("iphone12"),
        accuracy=HandAccuracy(),
        target_ms=target_ms,
        limits=Limits(max_novelty=None, **limits),
        starts=starts,
        alike=0,
    )


def test_a_search_by_parameters_alone_finds_the_best_bound_under_the_limit(
    space: SearchSpace, networks: list[Architecture]
) -> None:
    """Accuracy rises with the MACs: the answer has the most of those that keep the limit."""
    cap = int(np.median([network.params for network in networks]))
    answer = run(space, max_params=cap)
    assert answer.target_ms is None and answer.as_json()["target_ms"] is None
    assert answer.best.params <= cap
    assert answer.best.macs == max(network.macs for network in networks if network.params <= cap)
    assert answer.best.latency.mean_ms > 0
    # The front is one of parameters and score.
    points = [(network.params, network.macs) for network in answer.front]
    assert points == sorted(points)


def test_netadapt_wins_what_the_limit_counts(space: SearchSpace, networks: list[Architecture]) -> None:
    cap = int(np.median([network.params for network in networks]))
    alone, shrunk = run(space, max_params=cap), run(space, max_params=cap, starts=2)
    assert shrunk.after_shrinking is not None
    assert shrunk.best.params <= cap
    assert shrunk.best.macs >= alone.best.macs


def test_limits_on_memory_and_size_hold_together(space: SearchSpace, networks: list[Architecture]) -> None:
    """iphone12 computes in float16: two bytes a number."""
    memory = int(2 * np.median([network.peak_elements for network in networks]))
    size = int(2 * np.median([network.params for network in networks]))
    answer = run(space, max_size_bytes=size, max_memory_bytes=memory)
    kept = [n for n in networks if 2 * n.peak_elements <= memory and 2 * n.params <= size]
    assert answer.best.macs == max(network.macs for network in kept)
    assert answer.best.size_bytes == 2 * answer.best.params <= size
    assert answer.best.memory_bytes == 2 * answer.best.architecture.peak_elements <= memory
    document = answer.as_json()
    assert document["max_memory_bytes"] == memory
    assert document["best"]["peak_memory_bytes"] == answer.best.memory_bytes


@pytest.mark.parametrize(
    ("limits", "least", "option"),
    [
        ({"max_params": 1000}, lambda network: f"{count_text(network.params)} parameters", "--max-params"),
        ({"max_macs": 1000}, lambda network: f"{count_text(network.macs)} multiply-adds", "--max-macs"),
        ({"max_size_bytes": 1000}, lambda network: f"{bytes_text(2 * network.params)} of parameters", "--max-size"),
        ({"max_memory_bytes": 100}, lambda network: f"{bytes_text(2 * network.peak_elements)} of maps", "--max-memory"),
    ],
)
@pytest.mark.parametrize("target_ms", [None, 5.0])
def test_a_limit_that_nothing_meets_is_named_with_the_smallest_of_the_space(
    space: SearchSpace,
    networks: list[Architecture],
    limits: dict[str, int],
    least: Any,
    option: str,
    target_ms: float | None,
) -> None:
    counts = {"--max-params": "params", "--max-macs": "macs", "--max-size": "params", "--max-memory": "peak_elements"}
    smallest = min(networks, key=lambda network: getattr(network, counts[option]))
    with pytest.raises(TargetError) as caught:
        run(space, target_ms=target_ms, **limits)
    assert least(smallest) in str(caught.value)
    assert f"raise {option} or" in str(caught.value)
    assert "ms on" not in str(caught.value)


def test_a_target_that_nothing_meets_is_named_though_a_limit_is_kept(
    space: SearchSpace, networks: list[Architecture]
) -> None:
    latency = nas.load_latency("iphone12")
    fastest = min(latency.estimate(network).mean_ms for network in networks)
    with pytest.raises(TargetError, match=rf"takes {fastest:.3g} ms.*raise the target or"):
        run(space, target_ms=0.01, max_params=10_000_000)


def test_limits_that_are_met_one_by_one_but_not_together() -> None:
    """A stem that makes small maps at once has more parameters: the least of both is not to be had together."""
    small_maps = [{"block": "conv", "out": 8, "stride": 2}, {"block": "conv", "out": 16, "stride": 2, "kernel": 7}]
    stems = [[{"block": "conv", "out": 16, "stride": 2}], small_maps]
    space = small_space(resolution=[96], stems=stems, stages=small_space_stages())
    drawn = every_network(space)
    params, memory = min(n.params for n in drawn), 2 * min(n.peak_elements for n in drawn)
    assert not any(n.params <= params and 2 * n.peak_elements <= memory for n in drawn)
    with pytest.raises(TargetError, match="none was found that does all of it") as caught:
        run(space, max_params=params, max_memory_bytes=memory)
    assert f"down to {count_text(params)} parameters, {bytes_text(memory)} of maps" in str(caught.value)


def test_a_question_without_target_and_limits_is_refused(space: SearchSpace) -> None:
    with pytest.raises(InputError, match="target latency or a limit must be given"):
        run(space)
    with pytest.raises(InputError, match="confidence"):
        run(space, max_params=1000, confidence=0.9)
