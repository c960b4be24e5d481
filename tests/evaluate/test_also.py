"""Further devices: their latencies in a compiled space and of networks one by one, and what they limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError, UnknownOperatorError
from nas.evaluate import Also, ChannelAdaptation, Limits, Models, SpaceProblem, further
from nas.evaluate.smallest import Values, smallest
from nas.graph.operators import OperatorTable
from nas.jobs.coverage import check_coverage
from nas.latency import LatencyModel
from nas.latency.published.cost_model import Floats
from nas.latency.table.rows import TableRow
from nas.space.encode import encode
from nas.space.narrow import narrow
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from tests.evaluate.hand import HandAccuracy
from tests.jobs.small import tiny_document

FREE = Limits(max_novelty=None)


class Counted:
    """0.01 ms for each operator, sure to a tenth."""

    fixed_ms, num_features, source = 0.1, 1, "predicted"

    def costs(self, operators: OperatorTable) -> tuple[Floats, Floats]:
        count = len(operators.kind)
        return np.full(count, 0.01), np.ones((count, 1))

    def half_width(self, mean_ms: Floats, *_: object, **__: object) -> Floats:
        return np.full(len(mean_ms), 0.1)

    def warnings(self, operators: OperatorTable) -> tuple[str, ...]:
        return ()


def counting(runtime: str) -> LatencyModel:
    """A device that counts the operators that `runtime` executes."""
    shipped = nas.load_latency("iphone12")
    device = replace(shipped.device, name="counting", runtime=runtime)
    operators: Any = Counted()
    return LatencyModel(device=device, rows={}, operators=operators, resolve=shipped.resolve)


def row(key: str) -> TableRow:
    """A measured millisecond."""
    return TableRow(
        segment=key, mean_ms=1.0, low_ms=0.9, high_ms=1.1, count=3, source="measured", date="2026-01-01"
    )  # fmt: skip


def models(limits: Limits = FREE) -> Models:
    also = further(
        [(nas.load_latency("pixel3-cpu"), 10.0), (counting("ONNX Runtime 1.26.0"), 2.0)], nas.load_latency("iphone12")
    )
    return Models(nas.load_latency("iphone12"), HandAccuracy(), limits, also=also)


def test_codes_and_networks_have_the_latencies_of_each_device_and_runtime() -> None:
    shipped = nas.load_space("shufflenet")
    assert isinstance(shipped, SearchSpace)
    space, asked = narrow(shipped, [f"resolution={shipped.resolutions[0]}"]), models()
    codes = space.sample_codes(40, np.random.default_rng(1))
    networks = [space.decode(code) for code in codes]
    expected = np.array([[one.latency.estimate(network).mean_ms for one in asked.also] for network in networks])
    assert SpaceProblem(space, asked).also_ms(codes) == pytest.approx(expected, rel=1e-9)
    assert asked.figures(networks).also_ms == pytest.approx(expected, rel=1e-9)
    # ONNX Runtime adds copies between layouts, each of which counts there.
    assert (expected[:, 1] > counting("Core ML").latency_ms(networks) + 0.005).all()


def test_a_device_of_the_first_ones_runtime_shares_its_compiled_layers() -> None:
    space = parse_search_space(tiny_document(), "tiny")
    main = nas.load_latency("iphone12")
    twin = LatencyModel(device=replace(main.device, name="twin"), rows=main.rows, operators=main.operators)
    problem = SpaceProblem(space, Models(main, HandAccuracy(), FREE, also=further({twin: 1.0}, main)))
    codes = space.sample_codes(20, np.random.default_rng(0))
    assert problem.also_ms(codes)[:, 0] == pytest.approx(problem.latency_ms(codes), rel=1e-12)


def test_what_is_too_slow_elsewhere_exceeds_a_limit_by_as_much() -> None:
    asked = models()
    network = nas.load_architecture("mobilenetv2-1.0")
    pixel, other = (one.latency.estimate(network).mean_ms for one in asked.also)
    assert pixel > 10.0 and other < 2.0
    standing = asked.figures([network]).standing
    assert standing.excess[0] == pytest.approx(pixel / 10.0 - 1.0, rel=1e-9)
    assert not standing.feasible(1e9)[0]
    caps = models(Limits(max_novelty=None, max_params=network.params - 1))
    assert caps.figures([network]).standing.excess[0] > standing.excess[0]


@pytest.mark.parametrize(("confidence", "deviations"), [(0.6, 0.253347), (0.95, 1.644854)])
def test_a_confidence_holds_on_every_device(confidence: float, deviations: float) -> None:
    asked = models(Limits(max_novelty=None, confidence=confidence))
    network = nas.load_architecture("mobilenetv2-1.0")
    records = [one.latency.estimate(network) for one in asked.also]
    expected = [one.mean_ms * (one.high_ms / one.mean_ms) ** (deviations / 1.644854) for one in records]
    assert asked.figures([network]).also_ms[0] == pytest.approx(expected, rel=1e-6)


def test_shrinking_goes_on_until_every_device_is_met() -> None:
    """0.9 of its latency on iphone12 is met long before 0.7 of that on pixel3-cpu."""
    start, main, pixel = (
        nas.load_architecture("mobilenetv2-0.5"), nas.load_latency("iphone12"), nas.load_latency("pixel3-cpu"),
    )  # fmt: skip
    target_ms = 0.95 * main.estimate(start).mean_ms
    elsewhere_ms = 0.7 * pixel.estimate(start).mean_ms
    found = {}
    for also in ([], [(pixel, elsewhere_ms)]):
        asked = Models(main, HandAccuracy(), FREE, also=further(also, main))
        adaptation = ChannelAdaptation(asked, beam=1, step=0.02)
        result = adaptation.shrink(start, target_ms=target_ms)
        networks = [adaptation.network(shrunk.state, start) for shrunk in result.met]
        assert networks
        assert all(main.estimate(network).mean_ms <= target_ms * (1 + 1e-9) for network in networks)
        found[len(also)] = max(pixel.estimate(network).mean_ms for network in networks)
    assert found[1] <= elsewhere_ms * (1 + 1e-9) < found[0]


def _on_device(problem: SpaceProblem, position: int) -> Values:
    return lambda codes: problem.also_ms(codes)[:, position]


def test_the_fastest_on_a_device_is_that_of_all_points() -> None:
    space, asked = parse_search_space(tiny_document(), "tiny"), models()
    problem = SpaceProblem(space, asked)
    sizes = tuple(space.cardinalities.tolist())
    codes = np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes), axis=1).astype(np.int64)
    every = problem.also_ms(np.unique(space.canonical(codes), axis=0))
    for position in (0, 1):
        found = smallest(problem, _on_device(problem, position), seed=0)
        assert found.value == every[:, position].min()
        own = asked.also[position].latency.estimate(space.decode(found.codes)).mean_ms
        assert found.value == pytest.approx(own, rel=1e-9)


def test_a_device_has_one_target_that_is_one() -> None:
    main, pixel = nas.load_latency("iphone12"), nas.load_latency("pixel3-cpu")
    assert [(one.device, one.target_ms) for one in further({pixel: 30.0}, main)] == [("pixel3-cpu", 30.0)]
    with pytest.raises(InputError, match="pixel3-cpu has two"):
        further([(pixel, 30.0), (pixel, 20.0)], main)
    with pytest.raises(InputError, match="iphone12 has two"):
        further([(main, 30.0)], main)
    for target_ms in (0.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="target on pixel3-cpu must be positive"):
            Also(latency=pixel, target_ms=target_ms)


def test_what_a_table_elsewhere_lacks_is_counted_in_the_space_and_in_networks() -> None:
    space, main = parse_search_space(tiny_document(), "tiny"), nas.load_latency("iphone12")
    networks = space.sample(30, np.random.default_rng(4))
    segments = {s.key: s for network in networks for s in network.graph().segments}
    lacking = list(segments)[-1]  # of the head, or of a block before it
    rows = {key: row(key) for key in segments if key != lacking}
    device = replace(main.device, name="table")
    table = LatencyModel(device=device, rows=rows, operators=None, resolve=main.resolve)
    asked = Models(main, HandAccuracy(), FREE, also=further([(table, 1e9)], main))
    expected = [sum(s.key == lacking for s in network.graph().segments) for network in networks]
    assert 0 < sum(expected) < len(expected)
    assert asked.figures(networks).uncovered.tolist() == expected
    codes = np.array([encode(space, network) for network in networks])
    problem = SpaceProblem(space, asked)
    assert problem.figures(codes).uncovered.tolist() == expected
    assert problem.figures(codes).standing.feasible(1e9).tolist() == [count == 0 for count in expected]
    assert list(asked.covered(networks)) == [n for n, count in zip(networks, expected, strict=True) if not count]
    with pytest.raises(UnknownOperatorError, match="the table of table must have a row"):
        check_coverage(problem.compiled, asked, covered_only=False)
