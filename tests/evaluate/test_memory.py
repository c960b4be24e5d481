"""Memory is worth the same in a compiled space, in a network given alone, and on its way through NetAdapt."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from nas.evaluate import ChannelAdaptation, Limits, Models, SpaceProblem
from nas.space import known_network
from nas.space.search_space import SearchSpace
from tests.evaluate.hand import HandAccuracy
from tests.space.examples import EARLY, space_of

LIMITS = Limits(max_memory_bytes=2_000_000, max_size_bytes=4_000_000, max_novelty=None)


SPACES = ("mobile-core", "shufflenet", "mobilevit", "repvgg")


@pytest.mark.parametrize("name", [*SPACES, "early"])
def test_a_code_and_its_network_need_the_same(name: str) -> None:
    """`early` has stems of two strides, transitions, and blocks beyond the free ones."""
    space = space_of(EARLY) if name == "early" else nas.load_space(name)
    assert isinstance(space, SearchSpace)
    models = Models(nas.load_latency("iphone12"), HandAccuracy(), LIMITS)
    problem = SpaceProblem(space, models)
    ends = np.stack([np.zeros_like(space.cardinalities), space.cardinalities - 1])
    codes = space.canonical(np.concatenate([space.sample_codes(30, np.random.default_rng(4)), ends]))
    networks = [space.decode(code) for code in codes]
    peaks = [network.peak_elements for network in networks]
    assert np.array_equal(problem.column("memory_bytes", codes), 2 * np.array(peaks))  # float16
    assert np.array_equal(models.figures(networks).memory_bytes, 2 * np.array(peaks))
    assert np.array_equal(problem.column("size_bytes", codes), [2 * network.params for network in networks])
    excess = np.maximum(2 * np.array(peaks) / 2e6 - 1, 0) + [max(2 * n.params / 4e6 - 1, 0) for n in networks]
    assert problem.evaluate(codes).excess == pytest.approx(excess, rel=1e-12)


def test_netadapt_keeps_count_of_the_peak() -> None:
    start = known_network("mobilenetv2-1.0")
    limits = Limits(max_memory_bytes=2_600_000, max_novelty=None)
    models = Models(nas.load_latency("iphone12"), HandAccuracy(), limits, aim="memory_bytes")
    assert 2 * start.peak_elements > 3_000_000
    result = ChannelAdaptation(models).shrink(start, target_ms=2_600_000)
    assert result.best is not None
    for shrunk in result.met:
        network = ChannelAdaptation.network(shrunk.state, start)
        assert shrunk.bounded_ms == 2 * network.peak_elements <= 2_600_000


@pytest.mark.parametrize("limit", [1_500_000, 800_000])
def test_netadapt_comes_down_where_several_layers_need_the_most(limit: int) -> None:
    """Two layers of the start need 1,605,632 bytes: narrowing either alone does not lower what the network needs."""
    start = known_network("mobilenetv2-1.0")
    limits = Limits(max_memory_bytes=limit, max_novelty=None)
    models = Models(nas.load_latency("iphone12"), HandAccuracy(), limits, aim="memory_bytes")
    result = ChannelAdaptation(models, beam=1, step=0.05).shrink(start, target_ms=limit)
    assert result.best is not None
    assert 2 * ChannelAdaptation.network(result.best.state, start).peak_elements <= limit
