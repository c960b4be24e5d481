from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.graph.graph import Reading
from nas.latency import load_latency
from nas.latency.caution import cautious
from nas.latency.estimate import Estimate
from nas.onnx.reader import read_onnx
from nas.space import known_network
from tests.latency.test_model import DEVICE
from tests.onnx.onnx_files import node, save
from tests.onnx.test_kinds import KINDS

ESTIMATE = Estimate(mean_ms=2.0, low_ms=1.6, high_ms=2.4, source="modelled")


def width(reading: Reading, precision: str) -> tuple[float, float, int]:
    """How many times the interval goes further down and up, and the number of reasons."""
    found = cautious(ESTIMATE, reading, replace(DEVICE, precision=precision))
    assert found.mean_ms == 2.0
    return 1.6 / found.low_ms, found.high_ms / 2.4, len(found.warnings)


@pytest.mark.parametrize(
    ("values", "weights", "device", "times"),
    [
        ("float32", "float32", "float32", 1.0),
        ("float32", "float32", "float16", 1.0),  # rounded by the device's converter
        ("int8", "int8", "int8", 1.0),
        ("int8", "int8", "float32", 4.0),
        ("float16", "float16", "float32", 2.0),
        ("float32", "float32", "int8", 4.0),
        ("float32", "int8", "float32", 4.0),
        ("float32", "int4", "float32", 8.0),
        ("bfloat16", "bfloat16", "float16", 2.0),
    ],
)
def test_another_precision_widens_the_interval_by_the_ratio_of_its_numbers(
    values: str, weights: str, device: str, times: float
) -> None:
    low, high, reasons = width(Reading(precision=values, weights=weights), device)
    assert low == pytest.approx(times)
    assert high == pytest.approx(times)
    assert reasons == (times > 1.0)


def test_what_was_taken_for_granted_and_not_counted_is_told() -> None:
    found = cautious(ESTIMATE, Reading(uncounted=("my.ops.A",), notes=("a note",)), DEVICE, ["a remark"])
    assert found.warnings[:2] == ("a remark", "a note")
    assert "my.ops.A" in found.warnings[2]


def test_a_batch_takes_as_long_as_its_images_but_for_the_fixed_time() -> None:
    model, graph = load_latency("iphone12"), known_network("mobilenetv2-1.0").graph()
    one, four = model.estimate(graph), model.estimate(graph.batched(4))
    fixed = model.fixed_ms
    assert four.mean_ms - fixed == pytest.approx(4.0 * (one.mean_ms - fixed))
    assert four.high_ms / four.mean_ms == pytest.approx(1.35 * one.high_ms / one.mean_ms)
    assert set(one.warnings) < set(four.warnings)
    assert "4 images at once" in four.warnings[-1]
    assert "either end of the interval is moved by a factor of 1.35" in four.warnings[-1]


@pytest.mark.parametrize("device", ["iphone12", "pixel3-cpu"])
def test_a_batch_has_the_same_latency_wherever_it_is_asked_for(device: str) -> None:
    model, graph = load_latency(device), known_network("mobilenetv2-1.0").graph()
    networks = [graph, graph.batched(8), "mobilenetv2-1.0"]
    assert model.latency_ms(networks) == pytest.approx([model.estimate(one).mean_ms for one in networks])
    operators = model.operators_of(graph.batched(8))
    assert len(operators) == 8 * len(model.operators_of(graph))
    assert model.latency_ms([operators]) == pytest.approx(model.latency_ms([graph.batched(8)]))


def test_a_file_of_integers_is_never_silently_another_speed(tmp_path: Path) -> None:
    path = KINDS["pairs around a convolution"].save(tmp_path / "m.onnx")
    found = load_latency("pixel3-cpu").estimate(path)
    assert any("computes in int8, pixel3-cpu was timed in float32" in warning for warning in found.warnings)
    # Q/DQ fold away: the operators are those of the float network.
    plain = save(
        tmp_path / "f.onnx", [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "y")], (1, 3, 8, 8),
        {"w": np.ones((4, 3, 3, 3))},
    )  # fmt: skip
    assert found.mean_ms == pytest.approx(load_latency("pixel3-cpu").estimate(read_onnx(plain)).mean_ms)
