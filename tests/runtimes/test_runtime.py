"""What runtimes make of networks; the expected copies are derived by hand from the rules in `nas.runtimes.layouts`."""

from __future__ import annotations

import numpy as np
import pytest

from nas.graph import Graph, Segment
from nas.graph.builder import Builder
from nas.runtimes import ONNX_RUNTIME, OWN, Runtime, find_runtime, usual_key
from nas.space import known_network
from nas.space.architecture import make_layer
from nas.space.compile.batch import build_batch
from nas.space.lowering import lower, lower_layer


def stacked(block: str) -> Graph:
    """A stem of 32 channels on a map of 16x16, three blocks that keep the shape, and a 1x1 convolution."""
    b = Builder((3, 16, 16))
    b.layer = 1
    x = b.conv(b.input, 32, 3)
    for _ in range(3):
        b.layer += 1
        y = b.conv(x, 32, 1)
        x = b.shuffle(y, 4) if block == "shuffle" else b.sum(x, y)
    b.layer += 1
    b.conv(x, 32, 1)
    return b.build()


def kinds(segment: Segment) -> list[object]:
    return [row[0] for row in segment.rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ONNX Runtime", ONNX_RUNTIME),
        ("ONNX Runtime 1.26.0", ONNX_RUNTIME),
        ("ONNX Runtimes", OWN),
        ("My ONNX Runtime", OWN),
        ("LiteRT 2.1.0", OWN),
        ("Core ML, iOS 16", OWN),
        ("TensorFlow Lite, Android 10", OWN),
        ("", OWN),
    ],
)
def test_a_device_names_its_runtime_with_or_without_a_version(text: str, found: Runtime) -> None:
    assert find_runtime(text) is found


@pytest.mark.parametrize("block", ["shuffle", "residual"])
def test_any_other_runtime_executes_the_networks_own_segments(block: str) -> None:
    graph = stacked(block)
    assert OWN.segments(graph) == OWN.in_context(graph) == graph.segments
    assert not any("reorder" in kinds(segment) for segment in graph.segments)


def test_onnx_runtime_adds_copies_to_the_rows_and_nothing_to_the_keys_and_counts() -> None:
    graph = stacked("shuffle")
    for own, found in zip(graph.segments, ONNX_RUNTIME.segments(graph), strict=True):
        assert (found.key, found.layer, found.params, found.macs) == (own.key, own.layer, own.params, own.macs)
        assert tuple(row for row in found.rows if row[0] != "reorder") == own.rows
    # Alone, a shuffle's segment reads blocks, brings them into the plain layout, and hands on what is plain.
    assert [kinds(segment) for segment in ONNX_RUNTIME.segments(graph)] == [
        ["dense"],
        *[["pw", "reorder", "layout", "layout"]] * 3,
        ["pw"],
    ]


def test_a_segment_in_its_usual_place_is_the_one_that_it_is_alone() -> None:
    graph = stacked("residual")
    assert ONNX_RUNTIME.in_context(graph) == ONNX_RUNTIME.segments(graph)


def test_a_segment_that_finds_another_layout_names_its_copies() -> None:
    stem, first, second, third, last = ONNX_RUNTIME.in_context(stacked("shuffle"))
    usual = ONNX_RUNTIME.segments(stacked("shuffle"))
    # The first shuffle hands a plain map to the next convolution, which must block it first.
    assert (stem, first) == usual[:2]
    assert [kinds(segment) for segment in (second, third, last)] == [
        *[["reorder", "pw", "reorder", "layout", "layout"]] * 2,
        ["reorder", "pw"],
    ]
    assert second.key == third.key == f"{usual[2].key} ~ reorders 32x16x16, 32x16x16"
    assert last.key == f"{usual[4].key} ~ reorders 32x16x16"
    assert [usual_key(segment.key) for segment in (stem, first, second, third, last)] == [s.key for s in usual]
    # kind, kernel, stride, groups, channels in, the map, MACs, elements read, written and of weights
    assert last.rows[0] == ("reorder", 1, 1, 1, 0, 32, 16, 16, 0, 32 * 256, 32 * 256, 0)


@pytest.mark.parametrize("runtime", [OWN, ONNX_RUNTIME], ids=["own", "onnx"])
@pytest.mark.parametrize("name", ["mobilenetv3-small-1.0", "shufflenetv2-1.0"])
def test_layers_lowered_one_by_one_are_the_segments_of_their_network(name: str, runtime: Runtime) -> None:
    network = known_network(name)
    found, whole = lower(network, runtime), runtime.segments(network.graph())
    assert [(s.key, s.params, s.macs, s.rows) for s in found] == [(s.key, s.params, s.macs, s.rows) for s in whole]
    assert any("reorder" in kinds(s) for s in found) == (runtime is ONNX_RUNTIME)


def test_layers_compiled_together_have_the_copies_of_layers_built_one_by_one() -> None:
    """Widths of 8, 18 and 32: too narrow for blocks, not aligned, and blocked; a batch is parted where they differ."""
    widths = np.array([8, 18, 32])
    batch = build_batch("conv", {"out": widths}, (widths, 8, 8), 3, 1000, keys=True, runtime=ONNX_RUNTIME)
    alone = [lower_layer(make_layer("conv", {"out": w}), (w, 8, 8), 1000, ONNX_RUNTIME) for w in widths.tolist()]
    assert batch.keys == [segment.key for segment in alone]
    found = [sorted(batch.operators.kind[batch.owner == i].tolist()) for i in range(3)]
    assert found == [sorted(map(str, kinds(segment))) for segment in alone]
    # A map of 8 is read plainly, made in blocks, and goes on plainly; of 18 channels nothing is blocked; one of 32 goes
    # from segment to segment in blocks.
    assert [own.count("reorder") for own in found] == [1, 0, 0]


def test_counts_of_a_graph_hold_no_copies() -> None:
    graph = stacked("shuffle")
    assert "reorder" not in graph.operators().kind.tolist()
    assert graph.activation_elements == graph.operators().output_elements.sum()
