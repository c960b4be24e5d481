from __future__ import annotations

import pytest

from nas.testing.askers import AskerConformance, MakeAsker
from nas.trials.surrogate import Surrogate


class TestSurrogate(AskerConformance):
    contest_calls = 24
    many_trials = 500

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        return Surrogate

    @pytest.mark.slow
    def test_it_is_better_than_random_points(self, make_asker: MakeAsker) -> None:
        super().test_it_is_better_than_random_points(make_asker)
