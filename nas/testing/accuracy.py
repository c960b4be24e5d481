"""What every accuracy model must do: inherit `AccuracyModelConformance` and give it one fixture, `model`."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.accuracy.model import QUICK_SLACK, AccuracyModel
from nas.graph.classifier import classifier_rows
from nas.space import Architecture, known_network

_NAMES = (
    "mobilenetv1-1.0", "mobilenetv2-1.0", "mobilenetv3-large-1.0", "repvit-m1.0", "mobileone-s1", "squeezenet-1.1",
    "shufflenetv2-1.0",
)  # fmt: skip


def _described(model: AccuracyModel, networks: list[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sums of the model's columns over each network's operators, one by one, and the resolutions."""
    sums = []
    for network in networks:
        table = network.graph().operators()
        added = model.operator_columns(table, np.full(len(table), network.side), classifier_rows(table))
        assert added.shape == (len(table), len(model.columns))
        assert np.isfinite(added).all()
        sums.append(added.sum(axis=0))
    return np.array(sums), np.array([network.side for network in networks])


class AccuracyModelConformance:
    """The tests."""

    @pytest.fixture
    @abstractmethod
    def model(self) -> AccuracyModel:
        """The model to test."""

    @pytest.fixture
    def networks(self) -> list[Architecture]:
        """Networks of several families, and one of them at three more sizes."""
        known = [known_network(name) for name in _NAMES]
        return known + [known[1].at_resolution(side) for side in (128, 192, 320)]

    def test_columns_have_names_of_their_own(self, model: AccuracyModel) -> None:
        assert len(set(model.columns)) == len(model.columns) > 0

    def test_columns_are_additive(self, model: AccuracyModel, networks: list[Architecture]) -> None:
        table = networks[0].graph().operators()
        side, classifier = np.full(len(table), networks[0].side), classifier_rows(table)
        whole = model.operator_columns(table, side, classifier)
        half = len(table) // 2
        first, rest = np.arange(len(table)) < half, np.arange(len(table)) >= half
        parts = [model.operator_columns(table.select(part), side[part], classifier[part]) for part in (first, rest)]
        assert np.concatenate(parts) == pytest.approx(whole, rel=1e-12)

    def test_figures_are_fractions_with_an_interval(self, model: AccuracyModel, networks: list[Architecture]) -> None:
        found = model.figures(*_described(model, networks))
        assert len(found) == len(networks)
        for column in (found.mean, found.low, found.high, found.novelty):
            assert column.shape == (len(networks),)
            assert column.dtype == np.float64
            assert np.isfinite(column).all()
        assert ((found.low >= 0) & (found.low <= found.mean) & (found.mean <= found.high) & (found.high <= 1)).all()
        assert (found.low < found.high).all()
        assert (found.novelty >= 0).all()
        assert found.recipe
        assert found.source

    def test_a_network_has_its_figures_whatever_stands_beside_it(
        self, model: AccuracyModel, networks: list[Architecture]
    ) -> None:
        sums, sides = _described(model, networks)
        together = model.figures(sums, sides)
        for i in range(len(networks)):
            alone = model.figures(sums[i : i + 1], sides[i : i + 1])
            for name in ("mean", "low", "high", "novelty"):
                assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[i], abs=1e-7)

    def test_an_estimate_is_the_figures_of_the_sums(self, model: AccuracyModel, networks: list[Architecture]) -> None:
        found = model.figures(*_described(model, networks))
        records = model.estimate(networks)
        assert [record.mean for record in records] == pytest.approx(found.mean, abs=1e-9)
        assert [record.low for record in records] == pytest.approx(found.low, abs=1e-9)
        assert [record.high for record in records] == pytest.approx(found.high, abs=1e-9)
        assert all((record.recipe, record.source) == (found.recipe, found.source) for record in records)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_quick_bound_is_never_above_the_exact_one_and_little_below(
        self, model: AccuracyModel, networks: list[Architecture], dtype: type
    ) -> None:
        sums, sides = _described(model, networks)
        exact, quick = model.figures(sums, sides), model.figures(sums.astype(dtype), sides, quick=True)
        assert (quick.low <= exact.low).all()
        assert (quick.low >= exact.low - QUICK_SLACK).all()
        assert quick.mean == pytest.approx(exact.mean, abs=QUICK_SLACK)
        assert (quick.low <= quick.mean).all()
        assert (quick.mean <= quick.high).all()

    def test_differences_have_a_sign_and_an_interval(self, model: AccuracyModel, networks: list[Architecture]) -> None:
        sums, sides = _described(model, networks)
        means = model.figures(sums, sides).mean
        found = model.differences(sums, sides)
        assert found.mean == pytest.approx(means[1:] - means[0], abs=1e-9)
        assert ((found.low <= found.mean) & (found.mean <= found.high)).all()
        for i in range(1, len(networks)):
            back = model.differences(sums[[i, 0]], sides[[i, 0]])
            assert back.mean[0] == pytest.approx(-found.mean[i - 1], abs=1e-9)
            assert back.told_apart[0] == found.told_apart[i - 1]

    def test_a_network_is_not_told_from_itself(self, model: AccuracyModel, networks: list[Architecture]) -> None:
        sums, sides = _described(model, networks[:1])
        same = model.differences(np.repeat(sums, 2, axis=0), np.repeat(sides, 2))
        assert same.mean[0] == pytest.approx(0.0, abs=1e-12)
        assert not same.told_apart[0]
