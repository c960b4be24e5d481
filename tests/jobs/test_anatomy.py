from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nas.jobs.anatomy import anatomy
from nas.jobs.told import History
from nas.latency import LatencyModel, load_latency
from nas.latency.load import resolve_segments
from nas.latency.table.rows import TableRow
from nas.space import load_architecture
from nas.strategies import Progress


@pytest.mark.parametrize("name", ["mobilenetv3-large-1.0", "repvit-m0.9", "mobilevit-xs"])
def test_layers_and_kinds_sum_up_to_the_latency(name: str) -> None:
    network, latency = load_architecture(name), load_latency("iphone12")
    found = anatomy(network, latency)
    whole = latency.estimate(network).mean_ms
    assert found.fixed_ms + sum(layer.ms for layer in found.layers) == pytest.approx(whole)
    assert found.fixed_ms + sum(ms for _, ms in found.kinds) == pytest.approx(whole)
    assert len(found.layers) == len(network.layers)
    assert sum(layer.params for layer in found.layers) == network.params
    assert sum(layer.macs for layer in found.layers) == network.macs
    assert found.layers[-1].output == network.graph().output_shape
    assert {layer.source for layer in found.layers} == {"modelled"}
    assert [ms for _, ms in found.kinds] == sorted((ms for _, ms in found.kinds), reverse=True)


def test_the_time_of_a_kind_is_that_of_its_operators() -> None:
    network, latency = load_architecture("mobilenetv2-1.0"), load_latency("iphone12")
    assert latency.operators is not None
    operators = network.graph().operators()
    costs, _ = latency.operators.costs(operators)
    by_hand = float(costs[operators.kind == "dw"].sum())
    assert dict(anatomy(network, latency).kinds)["depthwise convolutions"] == pytest.approx(by_hand)


def test_where_a_table_has_rows_alone_operators_share_them_by_multiply_adds() -> None:
    network, device = load_architecture("mobilenetv1-0.25"), load_latency("iphone12").device
    rows = {
        segment.key: TableRow(
            segment=segment.key, mean_ms=2.0, low_ms=1.9, high_ms=2.1, count=3, source="measured", date="2026"
        )
        for segment in network.graph().segments
    }  # fmt: skip
    found = anatomy(network, LatencyModel(device=device, rows=rows, operators=None, resolve=resolve_segments))
    assert [layer.ms for layer in found.layers] == [2.0] * len(network.layers)
    assert {layer.source for layer in found.layers} == {"measured"}
    expected = 0.0
    for segment in network.graph().segments:
        table = segment.operators
        expected += 2.0 * float(table.macs[table.kind == "dw"].sum() / table.macs.sum())
    assert dict(found.kinds)["depthwise convolutions"] == pytest.approx(expected)


def test_its_document_is_the_contracts() -> None:
    document: Mapping[str, Any] = anatomy(load_architecture("mobilenetv1-0.25"), load_latency("iphone12")).as_json()
    assert document["schema"] == 1
    assert set(document["layers"][0]) == {"output", "params", "macs", "ms", "source"}
    assert set(document["kinds"][0]) == {"kind", "ms"}


def test_a_history_keeps_what_changed_and_where_it_ended() -> None:
    history, passed = History(), []
    report = history.kept(lambda state: passed.append(state.evaluated))
    for evaluated, score in ((10, None), (20, 0.5), (30, 0.5), (40, 0.6), (50, 0.6)):
        mean = None if score is None else score + 0.1
        report(Progress(evaluated=evaluated, limit=50, best_score=score, best_accuracy=mean))
    assert history.steps == ((20, 0.5, 0.6), (40, 0.6, 0.7), (50, 0.6, 0.7))
    assert passed == [10, 20, 30, 40, 50]
    report = history.kept(lambda state: None)
    report(Progress(evaluated=5, limit=50, best_score=0.4, best_accuracy=0.5))
    assert np.array(history.steps).tolist() == [[5.0, 0.4, 0.5]]
