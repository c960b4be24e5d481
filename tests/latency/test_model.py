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
from nas.latency.table.rows import TableRow, table_text
from nas.space import known_network
from tests.latency.examples import classifier, pointwise, row
from tests.latency.published.test_predictor import predictor

DEVICE = Device(
    name="mine", chip="c", runtime="r", compute_unit="u", precision="p", protocol="p", date="2024", source="me"
)
BODY = Segment(key="body", layer=1, params=0, macs=0, rows=(pointwise(8, 8, 4), row("act:relu")))
HEAD = Segment(key="head", layer=2, params=0, macs=0, rows=(classifier(8),))
MEASURED = TableRow(
    segment="head", mean_ms=0.3, low_ms=0.3 / 1.1, high_ms=0.3 * 1.1, count=9, source="measured", date="2024-05-01"
)


class Network:
    segments = (BODY, HEAD)


def plain(**rows: TableRow) -> LatencyModel:
    return LatencyModel(device=DEVICE, rows=rows, operators=predictor(fixed=0.4))


def test_a_network_is_the_fixed_time_and_its_segments() -> None:
    one = plain()
    assert one.operators is not None
    parts = [one.operators.operator_ms(s.operators).sum() for s in (BODY, HEAD)]
    assert one.latency_ms([Network()])[0] == pytest.approx(0.4 + sum(parts))
    assert one.estimate(Network()).shares == {"modelled": 1.0}


def test_a_row_serves_its_whole_segment_and_the_weakest_source_names_the_sum() -> None:
    one = plain(head=MEASURED)
    assert one.operators is not None
    body = float(one.operators.operator_ms(BODY.operators).sum())
    found = one.estimate(Network())
    assert found.mean_ms == pytest.approx(0.4 + body + 0.3)
    assert found.source == "modelled"
    assert found.shares == pytest.approx({"measured": 0.3 / found.mean_ms, "modelled": (0.4 + body) / found.mean_ms})


def test_without_a_cost_model_every_segment_must_have_a_row() -> None:
    rows = {"body": replace(MEASURED, segment="body"), "head": replace(MEASURED, mean_ms=0.5, low_ms=0.4, high_ms=0.6)}
    one = LatencyModel(device=DEVICE, rows=rows, operators=None)
    found = one.estimate(Network())
    assert found.mean_ms == pytest.approx(0.8)
    assert (found.source, found.shares) == ("measured", {"measured": 1.0})
    # Half the logarithm of high/low, each times its share: the widths of rows add up.
    half = (np.log(1.1) * 0.3 + np.log(0.6 / 0.4) / 2 * 0.5) / 0.8
    assert found.high_ms == pytest.approx(0.8 * np.exp(half))
    with pytest.raises(UnknownOperatorError, match=r"lacks 1 of 2: segment 2 \[head\]"):
        LatencyModel(device=DEVICE, rows={"body": rows["body"]}, operators=None).estimate(Network())


def test_costs_of_segments_add_up_to_the_estimate() -> None:
    one = plain(head=MEASURED)
    costs = one.segment_costs([s.key for s in (BODY, HEAD)], [s.operators for s in (BODY, HEAD)])
    mean = np.array([one.fixed_ms + costs.mean_ms.sum()])
    low, high = one.bounds(mean, costs.features.sum(axis=0)[None, :])
    found = one.estimate(Network())
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
    named = replace(one, resolve=lambda item: known_network(str(item)).graph().segments)
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
