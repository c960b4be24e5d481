import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.accuracy.estimate import AccuracyDifferences, AccuracyFigures
from nas.accuracy.prior import QUANTILE_95
from nas.accuracy.selection import SELECTION, Selection

# At novelty 4 with e² candidates √4 · (0.2 + 0.15 · 2) = 1 is lost for each 1 that is kept: a half.
HALF = Selection(level=0.2, growth=0.15, spread=0.04, width=0.5, candidates=0.5)


def figures(error: list[float], *, novelty: float = 4.0, deviation: float = 0.03) -> AccuracyFigures:
    """Networks with these errors, intervals of a normal quantity on the scale of logarithms."""
    values = np.array(error)
    half = np.exp(QUANTILE_95 * deviation)
    return AccuracyFigures(
        mean=1 - values,
        low=1 - values * half,
        high=1 - values / half,
        novelty=np.full(len(values), novelty),
        recipe="any",
        source="predicted",
    )


def test_the_kept_part_falls_with_novelty_and_candidates() -> None:
    assert HALF.kept(np.array([0.0, 4.0])) == pytest.approx([1.0, 0.5])
    assert HALF.kept(np.array([4.0, 4.0]), np.array([0.0, 12.0])) == pytest.approx([1 / 1.4, 1 / 5.0])


def test_half_of_what_lies_above_the_known_is_believed() -> None:
    # Known: an error of 0.2. A claim of 0.05 is a quarter of it, half of the logarithm is one half of it.
    believed = HALF.believed(figures([0.05, 0.2, 0.8]), np.full(3, -np.log(0.2)))
    assert 1 - believed.mean == pytest.approx([0.1, 0.2, 0.8])


def test_variances_add() -> None:
    believed = HALF.believed(figures([0.05, 0.8]), np.full(2, -np.log(0.2)))
    # 0.03² + (1 − 0.5) · 0.04² = 0.0017, whatever the claim.
    half = QUANTILE_95 * np.sqrt(0.0017)
    assert np.log((1 - believed.low) / (1 - believed.mean)) == pytest.approx([half, half])
    assert np.log((1 - believed.mean) / (1 - believed.high)) == pytest.approx([half, half])
    assert (believed.recipe, believed.source) == ("any", "predicted")


def test_a_published_shape_keeps_its_claim() -> None:
    claimed = figures([0.1, 0.3], novelty=0.0)
    believed = HALF.believed(claimed, np.full(2, -np.log(0.2)))
    for name in ("mean", "low", "high"):
        assert getattr(believed, name) == pytest.approx(getattr(claimed, name))


@given(
    st.lists(st.floats(0.02, 0.9), min_size=2, max_size=2, unique=True),
    st.floats(0.05, 0.6),
    st.floats(0.0, 12.0),
)
def test_more_claimed_is_more_believed(errors: list[float], known: float, novelty: float) -> None:
    """There is no plateau: at one latency and novelty the order of the lower bounds is that of the claims."""
    worse, better = sorted(errors, reverse=True)
    believed = SELECTION.believed(figures([worse, better], novelty=novelty), np.full(2, -np.log(known)))
    slope = SELECTION.kept(np.array([novelty]))[0]
    rise = np.log((1 - believed.low[0]) / (1 - believed.low[1]))
    assert rise >= slope * np.log(worse / better) - 1e-9


@given(st.floats(0.02, 0.9), st.floats(0.05, 0.6), st.floats(0.0, 12.0))
def test_what_is_believed_lies_between_the_known_and_the_claim(error: float, known: float, novelty: float) -> None:
    claimed = figures([error], novelty=novelty)
    believed = SELECTION.believed(claimed, np.array([-np.log(known)]))
    assert min(1 - known, 1 - error) - 1e-9 <= believed.mean[0] <= 1 - error + 1e-9
    assert believed.low[0] <= claimed.low[0] + 1e-9


def test_a_gain_is_the_believed_mean_less_that_of_the_known() -> None:
    claimed = figures([0.05])
    believed = HALF.believed(claimed, np.array([-np.log(0.2)]))
    # A known network with an error of 0.2: log(0.05 / 0.2) above the other, with a deviation of 0.06.
    behind, half = np.log(0.05 / 0.2), QUANTILE_95 * 0.06
    model = AccuracyDifferences(
        **{
            name: np.array([0.05 * (1 - np.exp(-end))])
            for name, end in (("mean", behind), ("low", behind - half), ("high", behind + half))
        }
    )
    gains = HALF.gains(model, claimed, believed)
    assert gains.mean == pytest.approx([0.2 - 0.1])
    # (0.5 · 0.06)² + 0.5 · 0.04² = 0.0017; the gain is log 2 on the scale of logarithms.
    half = QUANTILE_95 * np.sqrt(0.0017)
    assert gains.low == pytest.approx([0.2 * (1 - np.exp(half) / 2)])
    assert gains.high == pytest.approx([0.2 * (1 - np.exp(-half) / 2)])
    assert gains.told_apart.tolist() == [True]


def test_nothing_is_taken_from_a_network_that_nobody_chose() -> None:
    claimed = figures([0.19])
    behind, half = np.log(0.19 / 0.2), QUANTILE_95 * 0.08
    ends = (("mean", behind), ("low", behind - half), ("high", behind + half))
    model = AccuracyDifferences(**{name: np.array([0.19 * (1 - np.exp(-end))]) for name, end in ends})
    gains = HALF.gains(model, claimed, claimed)
    assert gains.mean == pytest.approx([0.01])
    # The deviation of a difference is known to be half of what the model says.
    assert gains.low == pytest.approx([0.2 * (1 - np.exp(-(-behind - half / 2)))])
    assert gains.told_apart.tolist() == [False]
