from __future__ import annotations

import pytest

from nas.testing.askers import AskerConformance, MakeAsker
from nas.trials.askers.aging import Aging
from nas.trials.askers.local import Local
from nas.trials.askers.optuna_samplers import Gp, Nsga2, Tpe
from nas.trials.askers.reinforce import Reinforce
from nas.trials.askers.uniform import Uniform


class TestUniform(AskerConformance):
    beats_random = False

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Uniform


class TestAging(AskerConformance):
    contest_calls = 80  # a quarter of them is its first population

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Aging


class TestLocal(AskerConformance):
    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Local


class TestReinforce(AskerConformance):
    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Reinforce


class TestTpe(AskerConformance):
    many_trials = 1000

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Tpe

    @pytest.mark.slow
    def test_it_is_better_than_random_points(self, make_asker: MakeAsker) -> None:
        super().test_it_is_better_than_random_points(make_asker)


class TestNsga2(AskerConformance):
    contest_calls = 80  # its generations are of ten at least
    many_trials = 1000

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Nsga2

    @pytest.mark.slow
    def test_it_is_better_than_random_points(self, make_asker: MakeAsker) -> None:
        super().test_it_is_better_than_random_points(make_asker)


@pytest.mark.slow
class TestGp(AskerConformance):
    contest_calls = 14
    many_trials = 100

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Gp
