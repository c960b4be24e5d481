from __future__ import annotations

import pytest

from nas.space.codes import CodeSpace
from nas.strategies import Goal
from nas.trials.domain import CodeDomain
from nas.trials.fastest import fastest
from nas.trials.question import Question
from tests.trials.by_hand import Sum


@pytest.mark.parametrize("genes", [4, 12])
def test_the_fastest_of_a_small_and_of_a_large_space(genes: int) -> None:
    space = CodeSpace(name="s", description="", genes={f"g{i}": (3, 1, 2) for i in range(genes)}, source="")
    question = Question(domain=CodeDomain(space, Sum()), goal=Goal(target_ms=0.1), budget=1)
    assert fastest(question) == ((1,) * genes, 0.5 + genes)
