"""A search reads what an answer prints: every shipped space on every device with a model, code by code."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import nas
from nas.accuracy import AccuracyEstimate
from nas.accuracy.model import QUICK_SLACK
from nas.evaluate import Limits, Models, SpaceProblem
from nas.graph import Graph
from nas.latency import LatencyModel
from nas.latency.published.rows import MAX_PIXELS
from nas.latency.table.rows import TableRow
from nas.space import Architecture, Codes
from nas.space.search_space import SearchSpace
from tests.evaluate.hand import HandAccuracy
from tests.jobs.small import small_space

SPACES = ("mobile-core", "mobilevit", "npu", "ofa-mobilenetv3", "repvgg", "shufflenet", "tiny", "mobile")
DEVICES = ("iphone12", "pixel3-cpu")
LIMITS = Limits(max_params=3_000_000, max_macs=300_000_000, confidence=0.8)


def _space(name: str) -> SearchSpace:
    space = nas.load_space(name)
    assert isinstance(space, SearchSpace)
    return space


@cache
def _networks(name: str) -> tuple[SearchSpace, Codes, list[Architecture], list[Graph]]:
    """200 random points of a space, and those with the first and with the last choice everywhere."""
    space = _space(name)
    drawn = space.sample_codes(200, np.random.default_rng(2))
    ends = np.stack([np.zeros_like(space.cardinalities), space.cardinalities - 1])
    codes = space.canonical(np.concatenate([drawn, ends]))
    networks = [space.decode(code) for code in codes]
    return space, codes, networks, [network.graph() for network in networks]


@cache
def _predicted(name: str) -> list[AccuracyEstimate]:
    return nas.load_accuracy("imagenet").estimate(_networks(name)[2])


def test_every_shipped_space_is_among_them() -> None:
    shipped = {name for name in nas.space.space_paths() if isinstance(nas.load_space(name), SearchSpace)}
    assert shipped == set(SPACES)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "mobile" else name for name in SPACES]
)
def test_a_search_reads_what_the_answer_prints(name: str, device: str) -> None:
    space, codes, _, graphs = _networks(name)
    latency, accuracy = nas.load_latency(device), nas.load_accuracy("imagenet")
    problem = SpaceProblem(space, Models(latency, accuracy, LIMITS), exact=True)
    found = problem.figures(codes)
    printed = [latency.estimate(graph) for graph in graphs]
    for column, end in ((found.latency_ms, "mean_ms"), *zip(found.interval_ms, ("low_ms", "high_ms"), strict=True)):
        assert column == pytest.approx([getattr(record, end) for record in printed], rel=1e-9)
    assert np.array_equal(found.params, [graph.params for graph in graphs])
    assert np.array_equal(found.macs, [graph.macs for graph in graphs])
    for end in ("mean", "low", "high"):
        predicted = [getattr(record, end) for record in _predicted(name)]
        assert getattr(found.accuracy, end) == pytest.approx(predicted, abs=1e-9)
    # What a strategy ranks and sorts by follows from these alone.
    mean, high = (np.array([getattr(record, end) for record in printed]) for end in ("mean_ms", "high_ms"))
    evaluation = problem.evaluate(codes)
    assert evaluation.bounded_ms == pytest.approx(mean * (high / mean) ** (0.8416212 / 1.6448536), rel=1e-7)
    excess = np.maximum(found.params / 3e6 - 1, 0) + np.maximum(found.macs / 3e8 - 1, 0)
    assert evaluation.excess == pytest.approx(excess, rel=1e-9)
    novelty = np.maximum(found.accuracy.novelty - 1.0, 0.0)
    assert evaluation.score == pytest.approx(found.accuracy.low - 0.02 * novelty, abs=1e-9)
    # The quick form, from sums in single precision.
    sums = found.sums("accuracy").astype(np.float32)
    quick = accuracy.figures(sums, found.resolution, quick=True)
    assert (quick.low <= found.accuracy.low).all()
    assert (quick.low >= found.accuracy.low - QUICK_SLACK).all()


def test_one_of_the_spaces_has_inputs_that_are_large() -> None:
    assert max(_space("mobilevit").sides) > MAX_PIXELS


@pytest.mark.parametrize("name", ["mobile-core", "mobilevit"])
def test_the_quick_figures_of_a_space_are_never_too_high(name: str) -> None:
    space = _space(name)
    models = Models(nas.load_latency("iphone12"), nas.load_accuracy("imagenet"), LIMITS)
    quick, exact = SpaceProblem(space, models), SpaceProblem(space, models, exact=True)
    codes = space.canonical(space.sample_codes(3000, np.random.default_rng(5)))
    one, other = quick.figures(codes), exact.figures(codes)
    assert (one.accuracy.low <= other.accuracy.low).all()
    assert (one.accuracy.low >= other.accuracy.low - QUICK_SLACK).all()
    # Only the accuracy is quick.
    assert np.array_equal(one.bounded_ms, other.bounded_ms)
    assert np.array_equal(one.standing.excess, other.standing.excess)


class EveryRow(dict[str, TableRow]):
    """A table that has a row for every segment, which reaches 1.5 times its mean."""

    def get(self, key: str, default: object = None) -> TableRow:
        mean = 0.001 * len(key)
        return TableRow(
            segment=key, mean_ms=mean, low_ms=mean / 1.5, high_ms=mean * 1.5, count=3, source="measured",
            date="2026-01-01",
        )  # fmt: skip


def test_a_device_of_rows_alone_serves_a_confidence() -> None:
    """Where every row reaches 1.5 times its mean so does every network."""
    space = small_space(
        resolution=[64],
        stages=[{"stride": 2, "depth": [1, 2], "width": [8, 16], "kinds": ["mbconv"], "kernel": [3], "expansion": [2]}]
        * 2,
    )
    latency = LatencyModel(device=nas.load_latency("iphone12").device, rows=EveryRow(), operators=None)
    problem = SpaceProblem(space, Models(latency, HandAccuracy(), Limits(confidence=0.95)))
    codes = space.canonical(space.sample_codes(60, np.random.default_rng(0)))
    expected = latency.latency_ms([space.decode(code).graph() for code in codes])
    assert problem.evaluate(codes).bounded_ms == pytest.approx(1.5 * expected, rel=1e-9)
    assert problem.latency_ms(codes) == pytest.approx(expected, rel=1e-9)
