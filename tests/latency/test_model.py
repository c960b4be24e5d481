from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError, UnknownOperatorError
from nas.graph import OperatorTable, Segment
from nas.latency.device import Device
from nas.latency.load import load_latency
from nas.latency.model import LatencyModel, read_latency_model
from nas.latency.operator_model import OperatorModel
from nas.latency.table.rows import TableRow, table_text
from nas.space import known_network
from tests.latency.examples import classifier, pointwise, row
from tests.latency.published.test_predictor import predictor
from tests.latency.timed.test_regressor import regressor

DEVICE = Device(
    name="mine", chip="c", runtime="r", compute_unit="u", precision="p", protocol="p", date="2024", source="me"
)
BODY = Segment(key="body", layer=1, params=0, macs=0, rows=(pointwise(8, 8, 4), row("act:relu")))
HEAD = Segment(key="head", layer=2, params=0, macs=0, rows=(classifier(8),))
MEASURED = TableRow(
    segment="head", mean_ms=0.3, low_ms=0.3 / 1.1, high_ms=0.3 * 1.1, count=9, source="measured", date="2024-05-01"
)


NETWORK = (BODY, HEAD)


def plain(**rows: TableRow) -> LatencyModel:
    return LatencyModel(device=DEVICE, rows=rows, operators=predictor(fixed=0.4))


def test_a_network_is_the_fixed_time_and_its_segments() -> None:
    one = plain()
    assert one.operators is not None
    parts = [one.operators.costs(s.operators)[0].sum() for s in (BODY, HEAD)]
    assert one.estimate_segments(NETWORK).mean_ms == pytest.approx(0.4 + sum(parts))
    assert one.estimate_segments(NETWORK).shares == {"modelled": 1.0}


def test_a_network_without_layers_is_the_fixed_time_alone() -> None:
    found = plain().estimate_segments([])
    assert found.mean_ms == pytest.approx(0.4)
    assert found.shares == {"modelled": 1.0}
    with pytest.raises(InputError, match="an operator that takes time on"):
        LatencyModel(device=DEVICE, rows={"body": MEASURED}, operators=None).estimate_segments([])


def test_a_row_serves_its_whole_segment_and_the_weakest_source_names_the_sum() -> None:
    one = plain(head=MEASURED)
    assert one.operators is not None
    body = float(one.operators.costs(BODY.operators)[0].sum())
    found = one.estimate_segments(NETWORK)
    assert found.mean_ms == pytest.approx(0.4 + body + 0.3)
    assert found.source == "modelled"
    assert found.shares == pytest.approx({"measured": 0.3 / found.mean_ms, "modelled": (0.4 + body) / found.mean_ms})


def test_without_a_cost_model_every_segment_must_have_a_row() -> None:
    rows = {"body": replace(MEASURED, segment="body"), "head": replace(MEASURED, mean_ms=0.5, low_ms=0.4, high_ms=0.6)}
    one = LatencyModel(device=DEVICE, rows=rows, operators=None)
    found = one.estimate_segments(NETWORK)
    assert found.mean_ms == pytest.approx(0.8)
    assert (found.source, found.shares) == ("measured", {"measured": 1.0})
    # Half the logarithm of high/low, each times its share: the widths of rows add up.
    half = (np.log(1.1) * 0.3 + np.log(0.6 / 0.4) / 2 * 0.5) / 0.8
    assert found.high_ms == pytest.approx(0.8 * np.exp(half))
    with pytest.raises(UnknownOperatorError, match=r"lacks 1 of 2: segment 2 \[head\]"):
        LatencyModel(device=DEVICE, rows={"body": rows["body"]}, operators=None).estimate_segments(NETWORK)


def test_costs_of_segments_add_up_to_the_estimate() -> None:
    one = plain(head=MEASURED)
    costs = one.segment_costs([s.key for s in (BODY, HEAD)], [s.operators for s in (BODY, HEAD)])
    mean = np.array([one.fixed_ms + costs.mean_ms.sum()])
    low, high = one.bounds(mean, costs.features.sum(axis=0)[None, :])
    found = one.estimate_segments(NETWORK)
    assert (found.mean_ms, found.low_ms, found.high_ms) == pytest.approx((mean[0], low[0], high[0]))
    assert costs.features.shape == (2, one.num_features)


def test_packed_operators_cost_what_the_segments_cost() -> None:
    one = plain()
    tables = [s.operators for s in (BODY, HEAD, BODY)]
    apart = one.segment_costs(["", "", ""], tables)
    owner = np.array([0, 0, 1, 2, 2])
    packed = one.packed_costs(["", "", ""], OperatorTable.concatenate(tables), owner)
    assert np.array_equal(apart.mean_ms, packed.mean_ms)
    assert np.array_equal(apart.features, packed.features)


def test_keys_matter_only_where_rows_are_not_the_models_own_words(tmp_path: Path) -> None:
    printed = replace(MEASURED, segment="body", source="modelled", count=0)
    (tmp_path / "coefficients.json").write_text(predictor().to_json(), encoding="utf-8")
    (tmp_path / "table.csv").write_text(table_text([printed]), encoding="utf-8")
    assert not read_latency_model(DEVICE, tmp_path).needs_keys
    (tmp_path / "table.csv").write_text(table_text([printed, MEASURED]), encoding="utf-8")
    mixed = read_latency_model(DEVICE, tmp_path)
    assert mixed.needs_keys
    assert set(mixed.rows) == {"head"}
    assert LatencyModel(device=DEVICE, rows={}, operators=None).needs_keys


def test_a_device_without_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither"):
        read_latency_model(DEVICE, tmp_path)


def test_items_are_tables_graphs_architectures_or_what_the_resolver_takes() -> None:
    one = plain()
    network = known_network("mobilenetv3-small-1.0")
    graph = network.graph()
    values = one.latency_ms([network.graph().operators(), graph])
    assert values[0] == pytest.approx(values[1])
    with pytest.raises(InputError, match="but got str"):
        one.estimate("mobilenetv3-small-1.0")
    named = replace(one, resolve=lambda item, runtime: runtime.segments(known_network(str(item)).graph()))
    assert named.latency_ms(["mobilenetv3-small-1.0"])[0] == pytest.approx(values[0])


def test_the_shipped_device_has_intervals_and_warnings() -> None:
    one = load_latency("iphone12")
    plain_network = one.estimate(known_network("repvit-m1.0").graph())
    gated = one.estimate(known_network("efficientnet-b0").graph())
    for found in (plain_network, gated):
        assert 0 < found.low_ms < found.mean_ms < found.high_ms
        assert found.source == "modelled"
    assert gated.high_ms / gated.low_ms > plain_network.high_ms / plain_network.low_ms
    assert any("SiLU" in text for text in gated.warnings)
    assert not any("SiLU" in text for text in plain_network.warnings)


def test_inputs_above_300_px_are_warned_about_and_wider() -> None:
    one = load_latency("iphone12")
    small, large = (one.estimate(known_network(f"mobilenetv2-1.0@{side}").graph()) for side in (224, 512))
    assert large.high_ms / large.low_ms > small.high_ms / small.low_ms
    assert any("300 px" in text for text in large.warnings)
    assert not any("300 px" in text for text in small.warnings)


TAIL = Segment(key="tail", layer=3, params=0, macs=0, rows=(pointwise(8, 16, 4), row("act:relu", channels=16)))
COMPUTE_BOUND = {"rate": 1e4, "overhead": 1e-12, "onchip": 1e12, "memory": 1e12}
VIEW = Segment(key="view", layer=4, params=0, macs=0, rows=())
"""A segment that does nothing: a reshape."""


def timed(key: str, ms: float, spread: float) -> TableRow:
    """A measured row whose interval is `ms` times exp(±spread)."""
    low, high = ms * np.exp(-spread), ms * np.exp(spread)
    return replace(MEASURED, segment=key, mean_ms=ms, low_ms=low, high_ms=high)


def two_rows(operators: OperatorModel) -> LatencyModel:
    """Rows for `BODY` and `HEAD`; `TAIL` is left to `operators`."""
    rows = {"body": timed("body", 0.5, 0.2), "head": timed("head", 0.3, 0.1)}
    return LatencyModel(device=DEVICE, rows=rows, operators=operators)


def test_widths_of_rows_add_up_and_join_the_models_in_squares() -> None:
    # 8·16·4² multiply-adds at 10⁴ a ms, and next to nothing for the activation.
    operators, ms = predictor(fixed=0.4, **COMPUTE_BOUND), 0.2048
    found = two_rows(operators).estimate_segments((BODY, HEAD, TAIL))
    mean = 0.4 + 0.5 + 0.3 + ms
    # The rate by ±20 % where no row serves, the fixed time by ±10 %, a floor of 5 %.
    own = [0.05, 0.2 * ms / mean, 0.1 * 0.4 / mean]
    rows = (0.2 * 0.5 + 0.1 * 0.3) / mean
    half = np.sqrt(rows**2 + sum(part**2 for part in own))
    assert (found.mean_ms, found.low_ms, found.high_ms) == pytest.approx(
        (mean, mean * np.exp(-half), mean * np.exp(half))
    )
    assert found.shares == pytest.approx({"measured": 0.8 / mean, "modelled": (0.4 + ms) / mean})


def test_a_model_that_was_fitted_with_the_rows_replaces_their_widths() -> None:
    operators = regressor()
    found = two_rows(operators).estimate_segments((BODY, HEAD, TAIL))
    ms, features = operators.costs(TAIL.operators)
    mean = 0.05 + 0.5 + 0.3 + ms.sum()
    sums = features.sum(axis=0)
    # A floor of 3 %; one and a half deviations of the group that was timed, 1.645 of the kind that was not.
    half = np.sqrt(0.03**2 + ((1.5 * sums[0]) ** 2 + (1.645 * sums[2]) ** 2) / mean**2)
    assert (found.mean_ms, found.high_ms) == pytest.approx((mean, mean * np.exp(half)))
    assert found.source == "predicted"
    assert found.shares == pytest.approx({"measured": 0.8 / mean, "predicted": (0.05 + ms.sum()) / mean})


@pytest.mark.parametrize("segments", [(BODY, HEAD), (BODY, VIEW, HEAD)], ids=["rows", "rows and a view"])
def test_where_rows_serve_all_that_does_something_the_network_is_measured(segments: tuple[Segment, ...]) -> None:
    found = two_rows(regressor()).estimate_segments(segments)
    assert found.mean_ms == pytest.approx(0.85)
    assert found.source == "measured"
    assert found.shares == pytest.approx({"measured": 1.0})
    # A fixed time that rests on published figures stays what it is.
    other = two_rows(predictor(fixed=0.4)).estimate_segments(segments)
    assert other.source == "modelled"
    assert other.shares == pytest.approx({"measured": 0.8 / 1.2, "modelled": 0.4 / 1.2})


def test_a_segment_in_context_has_its_own_row_or_that_of_its_usual_place() -> None:
    there = replace(BODY, key="body ~ reorders 8x4x4")
    elsewhere = replace(BODY, key="body ~ reorders 8x4x4, 8x4x4")
    rows = {"body": timed("body", 0.5, 0.2), there.key: timed(there.key, 0.7, 0.1)}
    one = LatencyModel(device=DEVICE, rows=rows, operators=None)
    means = [one.estimate_segments([segment]).mean_ms for segment in (BODY, there, elsewhere)]
    assert means == pytest.approx([0.5, 0.7, 0.5])
    with pytest.raises(UnknownOperatorError, match="lacks 1 of 1"):
        LatencyModel(device=DEVICE, rows={there.key: rows[there.key]}, operators=None).estimate_segments([elsewhere])


def test_the_interval_of_a_segment_is_its_rows_or_the_models_without_the_fixed_time() -> None:
    one = two_rows(predictor(fixed=0.4, **COMPUTE_BOUND))
    segments = (BODY, HEAD, TAIL)
    costs = one.segment_costs([s.key for s in segments], [s.operators for s in segments])
    low, high = one.segment_bounds(costs)
    half = [0.2, 0.1, np.hypot(0.05, 0.2)]
    assert np.log(high / costs.mean_ms) == pytest.approx(half, rel=1e-5)
    assert np.log(costs.mean_ms / low) == pytest.approx(half, rel=1e-5)


@pytest.mark.parametrize("operators", [predictor(fixed=0.4), regressor(), None], ids=["published", "timed", "rows"])
def test_many_networks_have_the_bounds_that_each_has_large_or_not(operators: OperatorModel | None) -> None:
    one = LatencyModel(device=DEVICE, rows={}, operators=operators)
    mean, sums = np.array([1.0, 2.0, 0.5]), np.linspace(0.01, 0.1, 3)[:, None] * np.ones(one.num_features)
    large = np.array([True, False, True])
    low, high = one.bounds(mean, sums, large=large)
    for i in range(3):
        part = slice(i, i + 1)
        alone = one.bounds(mean[part], sums[part], large=bool(large[i]))
        assert (low[i], high[i]) == pytest.approx((alone[0][0], alone[1][0]))
    assert low * high == pytest.approx(mean**2)  # symmetric in logarithms


@pytest.mark.parametrize(("side", "half"), [(300, 0.05), (301, 0.5)])
def test_an_input_above_300_px_has_the_width_beyond(side: int, half: float) -> None:
    first = replace(BODY, rows=(row("act:relu", side=side), *BODY.rows))
    found = LatencyModel(device=DEVICE, rows={}, operators=predictor(fixed=1e-9)).estimate_segments([first])
    assert np.log(found.high_ms / found.mean_ms) == pytest.approx(half, rel=1e-3)  # nothing else is unsure of it


def test_a_device_of_onnx_runtime_reads_the_copies_and_any_other_does_not() -> None:
    graph = known_network("shufflenetv2-1.0").graph()

    def kinds(runtime: str) -> set[str]:
        segments = replace(plain(), device=replace(DEVICE, runtime=runtime)).segments(graph)
        return {kind for segment in segments for kind in segment.operators.kind.tolist()}

    assert kinds("ONNX Runtime 1.26.0") - kinds("LiteRT 2.1.0") == {"reorder"}
