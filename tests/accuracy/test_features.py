from __future__ import annotations

import numpy as np
import pytest

from nas.accuracy.features import (
    NETWORK_FEATURES,
    OPERATOR_FEATURES,
    network_features,
    operator_features,
    operator_sums,
)
from nas.graph.classifier import classifier_rows
from nas.graph.operators import OperatorTable
from nas.space import known_network
from nas.space.compile.batch import LayerBatch, places_of
from tests.accuracy.tables import tiny


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("macs", 55296 + 12800 + 8192 + 16000),
        ("macs_dw", 12800),
        ("weights", 216 + 200 + 128 + 16000),
        ("weights_classifier", 16000),
        ("weights_se", 0),
        ("head_width", 16),
        ("activations", 8 * 256 + 8 * 64 + 16 * 64),
        ("kernel_5", 1),
        ("kernel_7", 0),
        ("log_expand", 1),  # log2(16 / 8)
        ("depth_2", 1),
        ("depth_4", 2),
        ("depth_8", 0),
        ("macs_2", 55296),
        ("macs_4", 12800 + 8192),
        ("log_width_2", 3),  # log2(8)
        ("log_width_4", 3 + 4),
    ],
)
def test_sums_of_a_tiny_network_are_those_counted_by_hand(name: str, expected: float) -> None:
    sums = operator_features(tiny(), 32, classifier_rows(tiny())).sum(axis=0)
    assert sums[OPERATOR_FEATURES.index(name)] == pytest.approx(expected)


def test_network_features_are_logarithms_and_shares_of_the_sums() -> None:
    features = network_features(operator_sums([tiny()], [32.0]), np.array([32.0]))[0]
    assert features[NETWORK_FEATURES.index("log_macs")] == pytest.approx(np.log(92288))
    assert features[NETWORK_FEATURES.index("log_weights")] == pytest.approx(np.log(16544))
    assert features[NETWORK_FEATURES.index("log_resolution")] == pytest.approx(np.log(32))
    assert features[NETWORK_FEATURES.index("log_depth_4")] == pytest.approx(np.log(3))


@pytest.mark.parametrize("name", ["mobilenetv3-large-1.0", "repvit-m0.9", "mobilevit-xs"])
def test_a_network_is_the_sum_of_its_segments(name: str) -> None:
    network = known_network(name)
    batch = LayerBatch.of_places(places_of(network))
    parts = operator_features(batch.operators, network.side, batch.classifier).sum(axis=0)
    whole = operator_sums([network.graph().operators()], [network.side])[0]
    assert parts == pytest.approx(whole)


def test_features_are_finite_even_of_no_operators_and_keep_the_precision() -> None:
    nothing = np.zeros((1, len(OPERATOR_FEATURES)), dtype=np.float32)
    features = network_features(nothing, np.array([224.0], dtype=np.float32))
    assert features.shape == (1, len(NETWORK_FEATURES))
    assert features.dtype == np.float32
    assert np.all(np.isfinite(features))


def test_resolution_may_be_one_a_network_or_one_an_operator() -> None:
    table, classifier = tiny(), classifier_rows(tiny())
    each = operator_features(table, np.full(len(table), 32.0), classifier)
    assert np.array_equal(each, operator_features(table, 32, classifier))


def test_a_convolution_that_classifies_is_no_layer_of_the_body() -> None:
    """At 32 px: a 3x3 stem 3 -> 8 of stride 2, a 1x1 convolution of its map to 1000 classes, global pooling."""
    table = OperatorTable.from_rows(
        [
            ("dense", 3, 2, 1, 3, 8, 16, 16, 256 * 216, 3 * 1024, 8 * 256, 216),
            ("pw", 1, 1, 1, 8, 1000, 16, 16, 256 * 8000, 8 * 256, 1000 * 256, 8000),
            ("gap", 1, 1, 1, 0, 1000, 1, 1, 0, 1000 * 256, 1000, 0),
        ]
    )
    sums = dict(zip(OPERATOR_FEATURES, operator_sums([table], [32.0])[0], strict=True))
    whole = {name: sums[name] for name in ("macs", "weights", "weights_classifier", "head_width")}
    assert whole == {"macs": 256 * 8216, "weights": 8216, "weights_classifier": 8000, "head_width": 8}
    body = {name: sums[name] for name in ("depth_2", "macs_2", "log_width_2", "activations", "expand", "weights_se")}
    assert body == {
        "depth_2": 1, "macs_2": 256 * 216, "log_width_2": 3, "activations": 8 * 256, "expand": 0, "weights_se": 0,
    }  # fmt: skip


def test_a_kernel_is_counted_once_by_its_size() -> None:
    """Depthwise convolutions of 3, 5 and 7, on 4 channels of an 8x8 map."""
    rows = [("dw", k, 1, 4, 4, 4, 8, 8, 64 * 4 * k * k, 256, 256, 4 * k * k) for k in (3, 5, 7, 7)]
    sums = operator_features(OperatorTable.from_rows(rows), 32, np.zeros(4, dtype=np.bool_)).sum(axis=0)
    found = {name: sums[OPERATOR_FEATURES.index(name)] for name in ("spatial", "kernel_5", "kernel_7", "log_kernel")}
    # log2(3 · 5 · 7 · 7) = log2(735)
    assert found == {"spatial": 4, "kernel_5": 1, "kernel_7": 2, "log_kernel": pytest.approx(np.log2(735))}


def test_growth_is_how_much_later_the_width_lies_than_the_layers() -> None:
    """At 32 px: layers of 4 channels at stride 2, of 4 and of 256 at stride 8, by hand.

    Stages are numbered 0 to 4. Logarithms of widths are 2 in stage 0 and 2 + 8 in stage 2: on average they lie at
    (2 · 0 + 10 · 2) / 12 = 5/3; the layers at (0 + 2 + 2) / 3 = 4/3.
    """
    rows = [
        ("pw", 1, 1, 1, 4, out, side, side, side * side * 4 * out, 4 * side * side, out * side * side, 4 * out)
        for out, side in ((4, 16), (4, 4), (256, 4))
    ]
    sums = operator_features(OperatorTable.from_rows(rows), 32, np.zeros(3, dtype=np.bool_)).sum(axis=0)
    features = network_features(sums[None], 32.0)[0]
    assert features[NETWORK_FEATURES.index("growth")] == pytest.approx(5 / 3 - 4 / 3)
    assert features[NETWORK_FEATURES.index("log_width")] == pytest.approx(12 / 3)
