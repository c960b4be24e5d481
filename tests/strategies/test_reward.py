from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InputError
from nas.strategies import Reward


def test_soft_is_one_power_on_both_sides() -> None:
    # MnasNet: at twice the target 0.8 * 2^-0.07, at half of it 0.8 * 0.5^-0.07 = 0.8 * 2^0.07.
    found = Reward.parse("soft").reward([0.8, 0.8, 0.8], [2.0, 1.0, 4.0], 2.0)
    assert found.tolist() == pytest.approx([0.8, 0.8 * 2**0.07, 0.8 * 2**-0.07])


def test_hard_leaves_accuracy_alone_up_to_the_target() -> None:
    # Above it ACC * (LAT / TAR)^-1: at 1.25 times the target a fifth is lost.
    assert Reward.parse("hard").reward(0.8, [0.1, 1.0, 1.25], 1.0).tolist() == pytest.approx([0.8, 0.8, 0.64])


def test_absolute_takes_from_both_sides() -> None:
    # TuNAS: 0.8 - 0.10 * |LAT / TAR - 1|.
    assert Reward.parse("absolute").reward(0.8, [0.5, 1.0, 2.0], 1.0).tolist() == pytest.approx([0.75, 0.8, 0.7])


@pytest.mark.parametrize(
    ("form", "w", "record"),
    [
        ("soft", None, {"form": "soft", "w_under": -0.07, "w_over": -0.07}),
        ("soft", -0.15, {"form": "soft", "w_under": -0.15, "w_over": -0.15}),
        ("hard", None, {"form": "hard", "w_under": 0.0, "w_over": -1.0}),
        ("hard", -2.0, {"form": "hard", "w_under": 0.0, "w_over": -2.0}),
        ("absolute", None, {"form": "absolute", "beta": -0.1}),
        ("absolute", -0.5, {"form": "absolute", "beta": -0.5}),
    ],
)
def test_each_form_has_its_own_numbers(form: str, w: float | None, record: dict[str, object]) -> None:
    reward = Reward.parse(form, w)
    assert reward.as_json() == record
    assert Reward(**record) == reward  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["soft", "hard", "absolute"])
@pytest.mark.parametrize("w", [0.0, 0.07, math.nan, -math.inf])
def test_a_w_that_does_not_punish_latency_is_refused(form: str, w: float) -> None:
    with pytest.raises(InputError, match="must be negative and finite"):
        Reward.parse(form, w)


def test_an_unknown_form_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="nearest: soft"):
        Reward.parse("softt")


def test_numbers_of_another_form_are_refused() -> None:
    with pytest.raises(InputError, match="no exponents"):
        Reward(form="absolute", w_over=-1.0)
    with pytest.raises(InputError, match="belongs to the absolute reward"):
        Reward(form="soft", beta=-0.1)
    with pytest.raises(InputError, match="at most 0"):
        Reward(form="hard", w_under=0.1)


@given(
    form=st.sampled_from(["soft", "hard", "absolute"]),
    accuracy=st.floats(0.01, 1.0),
    latencies_ms=st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)),
)
def test_above_the_target_slower_is_never_better(form: str, accuracy: float, latencies_ms: tuple[float, float]) -> None:
    fast, slow = sorted(latencies_ms)
    found = Reward.parse(form).reward(np.full(2, accuracy), np.array([fast, slow]), 0.1)
    assert found[1] <= found[0] + 1e-12


@given(
    form=st.sampled_from(["soft", "hard", "absolute"]),
    accuracy=st.floats(-1.0, -0.01),
    latencies_ms=st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)),
)
def test_slower_is_never_better_for_scores_that_penalties_left_below_0(
    form: str, accuracy: float, latencies_ms: tuple[float, float]
) -> None:
    fast, slow = sorted(latencies_ms)
    found = Reward.parse(form).reward(np.full(2, accuracy), np.array([fast, slow]), 0.1)
    assert found[1] <= found[0] + 1e-12


def test_an_answer_lies_above_the_target_where_the_reward_pays_for_it() -> None:
    assert [Reward.parse(form).reach for form in ("hard", "soft", "absolute")] == [1.0, 1.3, 1.3]
    assert Reward() == Reward.parse("hard")
