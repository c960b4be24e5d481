import numpy as np
import pytest

import nas
from nas.graph import OperatorTable
from nas.latency.transfer.features import CLASSES, costs_of_networks, costs_of_operators, frame_of
from nas.space import load_architecture
from nas.testing.operator_models import small_operators


def test_a_network_has_the_sums_of_its_operators_features_and_the_fixed_part() -> None:
    others = [model.operators for model in map(nas.load_latency, ("iphone12", "pixel3-cpu")) if model.operators]
    table = small_operators()
    networks = [table, OperatorTable.concatenate([table, table]), table.select(slice(0, 3))]
    costs = costs_of_networks(others, networks)
    assert costs.by_class.shape == (3, len(CLASSES), 2)
    for column, model in enumerate(others):
        each = [model.fixed_ms + float(model.costs(network)[0].sum()) for network in networks]
        assert costs.elsewhere[:, column] == pytest.approx(each)
    frame = frame_of(costs, np.array([2.0, 0.5]), np.array([0.25, 0.75]))
    whole = frame.networks(costs)
    for row, network in zip(whole, networks, strict=True):
        assert row == pytest.approx(
            frame.additive(costs_of_operators(others, network)).sum(axis=0) + frame.fixed(costs.fixed)
        )
    # The last column is the average of the levelled devices; by class it is the same without the fixed time.
    average = 0.25 * 2.0 * costs.elsewhere[:, 0] + 0.75 * 0.5 * costs.elsewhere[:, 1]
    assert whole[:, -1] == pytest.approx(average)
    fixed = frame.fixed(costs.fixed)[-1]
    assert whole[:, 2 : 2 + len(CLASSES)].sum(axis=1) == pytest.approx(average - fixed)
    # Relative to the average, what is moved, weights, a count and multiply-adds weigh as much as one feature;
    # a class with less than a fiftieth of all multiply-adds weighs less.
    weight = (costs.physics * frame.scales / average[:, None]).mean(axis=0)
    amounts = (costs.physics / average[:, None]).mean(axis=0)[: len(CLASSES)]
    assert weight[len(CLASSES) :] == pytest.approx(1.0)
    assert weight[: len(CLASSES)] == pytest.approx(np.minimum(50.0 * amounts / amounts.sum(), 1.0))
    assert weight[: len(CLASSES)].min() < 1.0 == pytest.approx(weight[: len(CLASSES)].max())


def test_a_relu_is_no_call_and_depthwise_kernels_of_five_are_a_class() -> None:
    pixel = nas.load_latency("pixel3-cpu").operators
    assert pixel is not None
    table = load_architecture("mnasnet-b1").graph().operators()
    costs = costs_of_operators([pixel], table)
    relu = table.kind == "act:relu"
    assert relu.any()
    moved, _, calls = costs.physics[:, len(CLASSES) :].T
    assert (calls == ~relu).all()
    assert not moved[relu].any()
    of_class = costs.by_class[:, CLASSES.index("dw of 5 and more"), 0] > 0.0
    assert of_class.sum() == 3 + 3 + 4  # Its stages with kernels of 5.
    assert (table.kind[of_class] == "dw").all()
