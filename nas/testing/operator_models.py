"""What every model of operators must do: inherit `OperatorModelConformance` and give it one fixture, `model`."""

from __future__ import annotations

import json
from abc import abstractmethod

import numpy as np
import pytest

from nas.graph import Builder, OperatorTable
from nas.latency.estimate import WEAKNESS
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats


def small_operators() -> OperatorTable:
    """Convolutions, activations, a gate, a split and its concatenation, a classifier."""
    b = Builder((3, 32, 32))
    b.layer = 1
    x = b.depthwise(b.conv(b.input, 32, 3, 2, act="relu"), 5, act="hswish")
    x = b.product(x, b.conv(b.global_pool(x), 32, 1, act="sigmoid"))
    x = b.concat([b.slice(x, 0, 16), b.conv(b.slice(x, 16, 32), 24, 1)])
    b.linear(b.global_pool(x, flatten=True), 10)
    return b.build().operators()


class OperatorModelConformance:
    """The tests."""

    @pytest.fixture
    @abstractmethod
    def model(self) -> OperatorModel:
        """The model to test."""

    def test_it_says_what_it_rests_on(self, model: OperatorModel) -> None:
        assert WEAKNESS[model.source] > WEAKNESS["measured"]
        assert model.fixed_ms >= 0.0
        record = model.as_json()
        assert {"schema", "coefficients", "meaning", "manifest"} <= record.keys()
        assert record["coefficients"].keys() == record["meaning"].keys()
        assert record["manifest"] == dict(model.manifest)
        assert json.loads(json.dumps(record, allow_nan=False)) == record

    def test_every_operator_costs_something_and_is_unsure_whatever_stands_beside_it(self, model: OperatorModel) -> None:
        table = small_operators()
        ms, features = model.costs(table)
        assert ms.shape == (len(table),) and features.shape == (len(table), model.num_features)
        working = ~np.isin(table.kind, ("slice", "slice:whole"))  # views, to some runtimes
        assert (ms >= 0.0).all() and (ms[working] > 0.0).all() and np.isfinite(features).all()
        for i in range(len(table)):
            alone, own = model.costs(table.select(slice(i, i + 1)))
            assert alone == pytest.approx(ms[i : i + 1]) and own == pytest.approx(features[i : i + 1])

    def test_no_operators_cost_nothing(self, model: OperatorModel) -> None:
        ms, features = model.costs(OperatorTable.from_rows([]))
        assert ms.shape == (0,) and features.shape == (0, model.num_features)

    def test_a_kind_that_nobody_knows_costs_something_and_is_named(self, model: OperatorModel) -> None:
        size = 64.0 * 56 * 56
        table = OperatorTable.from_rows([("other:Fancy", 1, 1, 1, 0, 64, 56, 56, 0, size, size, 0)])
        assert model.costs(table)[0][0] > 0.0
        assert any("Fancy" in text and "other:" not in text for text in model.warnings(table))

    def test_an_interval_is_never_narrower_for_more_that_is_unsure(self, model: OperatorModel) -> None:
        mean, sums, rows = self._networks(model)
        half = model.half_width(mean, sums, rows)
        assert half.shape == mean.shape and np.isfinite(half).all() and (half > 0.0).all()
        assert (model.half_width(mean, np.zeros_like(sums), rows) <= half).all()
        assert (model.half_width(mean, sums, 3.0 * rows) >= half).all()
        assert (model.half_width(mean, sums, rows, large=True) >= half).all()
        assert (model.half_width(mean, sums, rows, whole=False) <= half).all()  # the fixed time is unsure, or is not

    def test_uncertainties_join_in_squares_they_do_not_add(self, model: OperatorModel) -> None:
        mean, sums, rows = self._networks(model)
        nothing = np.zeros_like(rows)
        both, apart = model.half_width(mean, sums, rows), model.half_width(mean, sums, nothing)
        assert (both <= np.hypot(rows / mean, apart) * (1.0 + 1e-12)).all()

    def test_networks_are_told_apart_by_what_is_large(self, model: OperatorModel) -> None:
        mean, sums, rows = self._networks(model)
        large = np.array([True, False, True])
        expected = np.where(
            large, model.half_width(mean, sums, rows, large=True), model.half_width(mean, sums, rows, large=False)
        )
        assert np.array_equal(model.half_width(mean, sums, rows, large=large), expected)

    def test_networks_do_not_change_each_other(self, model: OperatorModel) -> None:
        mean, sums, rows = self._networks(model)
        whole = model.half_width(mean, sums, rows)
        for i in range(len(mean)):
            part = slice(i, i + 1)
            assert model.half_width(mean[part], sums[part], rows[part]) == pytest.approx(whole[part])

    @staticmethod
    def _networks(model: OperatorModel) -> tuple[Floats, Floats, Floats]:
        """Three networks: their means, the sums of their features, and half the widths of their rows."""
        ms, features = model.costs(small_operators())
        times = np.array([1.0, 2.0, 8.0])
        rows = np.array([0.1, 0.02, 0.5]) * ms.sum()
        return model.fixed_ms + times * ms.sum(), times[:, None] * features.sum(axis=0), rows


__all__ = ["OperatorModelConformance", "small_operators"]
