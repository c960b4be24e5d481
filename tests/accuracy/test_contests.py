import numpy as np
import pytest
from scipy.stats import norm

from nas.accuracy.contests import NUMBERS, WINDOWS, Fold, hold_contests, leave_out, log_effective_number, splits
from tests.accuracy.tables import invented

RNG = np.random.default_rng


def fold(out: list[bool], mean: list[float], truth: list[float]) -> Fold:
    """Networks of families a and b, errors of variance 0.01 that are independent, and no effects but of families."""
    count = len(out)
    return Fold(
        kind="family",
        out=np.array(out),
        family=np.where(out, "b", "a"),
        mean=np.array(mean),
        truth=np.array(truth),
        covariance=0.01 * np.eye(count),
        novelty=np.arange(count, dtype=float),
        family_variance=0.02,
        network_variance=0.003,
        row_variance=0.0004,
    )


def test_the_winner_is_the_candidate_farthest_above_the_frontier() -> None:
    # Known: 1 ms and 2 ms. Candidates at 1 ms, one above the frontier by 0.2, one by 0.1; at 0.5 ms one without rival.
    held = hold_contests(
        fold([False, False, True, True, True], [1.0, 1.5, 1.2, 1.1, 9.0], [0.9, 1.5, 1.05, 1.9, 9.0]),
        np.array([1.0, 2.0, 1.0, 1.0, 0.5]),
        "phone",
        RNG(0),
    )
    both = held.number == 2
    assert set(held.number.tolist()) == {1, 2}
    assert held.claimed[both] == pytest.approx(0.2)
    assert held.gain[both] == pytest.approx(0.2)
    assert held.published[both] == pytest.approx(1.05 - 0.9)
    assert held.novelty[both] == pytest.approx(2.0)
    assert held.known_error[both] == pytest.approx(np.exp(-1.0))
    # Independent errors of both, and of each the effects of family, network and row.
    assert held.variance[both] == pytest.approx(2 * 0.01 + 2 * (0.02 + 0.003 + 0.0004))
    assert np.sum(held.window & both) <= WINDOWS
    assert np.sum(~held.window & both) == 8
    assert set(held.device) == {"phone"}
    assert held.points(np.full(len(held), np.log(2.0)))[both] == pytest.approx(100 * np.exp(-1.0) / 2)


def test_a_rival_is_at_or_under_the_winners_latency_and_the_frontier_is_interpolated() -> None:
    held = hold_contests(
        fold([False, False, True], [1.0, 2.0, 2.0], [1.0, 2.0, 1.5]), np.array([1.0, 4.0, 2.0]), "phone", RNG(0)
    )
    # Halfway between 1 and 4 ms the frontier is at 1.5; the network at 4 ms is too slow to be a rival.
    assert held.gain == pytest.approx(0.5)
    assert held.claimed == pytest.approx(1.0)
    assert held.published == pytest.approx(0.5)


def test_no_candidates_are_no_contests() -> None:
    held = hold_contests(fold([False, False, True], [1.0, 2.0, 2.0], [1.0] * 3), np.array([1.0, 4.0, 0.5]), "d", RNG(0))
    assert len(held) == 0
    assert max(NUMBERS) == 128


@pytest.mark.parametrize(
    ("covariance", "number"),
    [(np.eye(8), 8), (np.ones((8, 8)), 1), (np.kron(np.eye(4), np.ones((5, 5))), 4)],
    ids=["independent", "one", "four clusters"],
)
def test_candidates_that_err_together_count_once(covariance: np.ndarray, number: int) -> None:
    # The mean of 100 largest errors of deviation below 1 strays by less than 0.3 in all but one of 500 seeds.
    assert log_effective_number(covariance, RNG(0)) == pytest.approx(np.log(number), abs=0.35)


def test_the_largest_of_two_normals() -> None:
    """E max(X, Y) = 1/√π (of a correlation ρ: √((1 − ρ)/π)); √(2(1 − 0.5)/π)/√2 with ρ = 0.5 is that of fewer."""
    close = log_effective_number(np.array([[1.0, 0.5], [0.5, 1.0]]), RNG(1))
    assert 0.0 < close < np.log(2.0)
    assert norm.expect(lambda x: x * 2 * norm.cdf(x)) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-3)


def test_a_fold_moves_published_figures_to_the_default_recipe_and_knows_the_rest() -> None:
    published = invented()
    out = published.family == "f1"
    made = leave_out(published, out, "family")
    names = np.unique(published.network)
    order = np.array([int(name[1:]) for name in names])
    # All rows are of the default recipe, so the truth is the published figure.
    assert made.truth == pytest.approx(-np.log(1 - published.top1[order] / 100))
    assert made.out.tolist() == out[order].tolist()
    assert made.covariance.shape == (12, 12)
    seen = ~made.out
    assert np.abs(made.mean - made.truth)[seen].max() < 0.05
    assert made.novelty[seen] == pytest.approx(0.0, abs=1e-6)
    assert (made.novelty[made.out] > 0.5).all()


def test_splits_leave_out_everything_once_a_round() -> None:
    published = invented()
    parts = list(splits(published, RNG(0), groups=(2,)))
    for kind, rounds in (("family", 1), ("families", 1), ("networks", 2)):
        masks = [mask for name, mask in parts if name == kind]
        assert np.sum(masks, axis=0).tolist() == [rounds] * len(published)
