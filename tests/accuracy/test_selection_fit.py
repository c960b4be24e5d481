from dataclasses import replace

import numpy as np
import pytest

from nas.accuracy.contests import Contests
from nas.accuracy.selection_fit import corrected, fit_selection, judge, judge_nested, score


def contests(kept: float, *, noise: float = 0.0, count: int = 4000) -> Contests:
    """Winners of eight families on two devices, of novelty 1, of whose gains this part is true."""
    rng = np.random.default_rng(0)
    gain = rng.uniform(-0.2, 0.2, count)
    published = np.where(gain > 0, kept * gain, gain) + rng.normal(0.0, noise, count)
    return Contests(
        family=np.array([f"f{i % 8}" for i in range(count)]),
        kind=np.full(count, "family"),
        device=np.where(np.arange(count) % 2, "a", "b"),
        window=np.ones(count, dtype=bool),
        number=np.full(count, 4),
        log_candidates=np.ones(count),
        novelty=np.ones(count),
        gain=gain,
        claimed=gain + 0.01,
        published=published + 0.01,
        variance=np.full(count, 0.04**2),
        known_error=np.full(count, 0.25),
    )


def test_a_fit_finds_the_part_that_is_true() -> None:
    found = fit_selection(contests(0.5), growth=0.2, candidates=3.0)
    # 1 / (1 + level + 0.2 · 1) = 0.5
    assert found.level == pytest.approx(0.8, abs=1e-3)
    assert (found.growth, found.candidates) == (0.2, 3.0)


def test_a_claim_too_high_counts_more() -> None:
    noisy = contests(0.5, noise=0.03)
    found = fit_selection(noisy, growth=0.0, candidates=3.0)
    assert found.level > 1.0
    high = noisy.gain > 0
    # Asymmetric least squares: the sums of gain-weighted errors balance at three to one.
    off = (corrected(found, noisy) - noisy.published)[high] * noisy.gain[high]
    assert 3 * off[off > 0].sum() == pytest.approx(-off[off < 0].sum(), rel=1e-3)


def test_a_width_is_found_that_covers() -> None:
    noisy = contests(0.5, noise=0.03)
    found = fit_selection(noisy, growth=0.0, candidates=3.0)
    # The model says 0.04 where 0.03 is true; both devices agree, so that nothing is left for the spread.
    assert found.spread < 0.005
    assert found.width == pytest.approx(0.75, abs=0.08)
    assert np.mean(judge(found, noisy).inside) == pytest.approx(0.9, abs=0.03)


def test_devices_that_disagree_widen() -> None:
    agreeing = contests(0.5)
    apart = np.where(agreeing.device == "a", 0.02, -0.02) * (agreeing.gain > 0)
    found = fit_selection(replace(agreeing, published=agreeing.published + apart), growth=0.0, candidates=3.0)
    # Half of the difference, 0.02, over the square root of the part that is not kept.
    kept = found.kept(np.ones(1))[0]
    assert found.spread == pytest.approx(0.02 / np.sqrt(1 - kept), rel=0.05)


def test_nested_judgements_do_not_see_the_family_they_judge() -> None:
    """One family keeps nothing; the correction that judges it comes from those that keep half."""
    found = contests(0.5)
    odd = found.family == "f0"
    found = replace(found, published=np.where(odd & (found.gain > 0), 0.01, found.published))
    judged = judge_nested(found, np.ones(len(found), dtype=bool), growth=0.0)
    high = found.gain > 0
    half = found.points(found.gain / 2 + 0.01)
    assert judged.believed[odd & high] == pytest.approx(half[odd & high], rel=1e-2)
    assert judged.claimed == pytest.approx(found.points(found.claimed))
    assert judged.published[odd & high] == pytest.approx(100 * 0.25 * (1 - np.exp(-0.01)))


def test_a_score_counts_families_and_resamples_them() -> None:
    found = contests(0.5)
    judged = judge(fit_selection(found, growth=0.0, candidates=3.0), found)
    judged = replace(judged, inside=np.where(found.family == "f0", False, True))
    made = score(judged, found, found.gain > 0, np.random.default_rng(0))
    assert made.contests == int((found.gain > 0).sum())
    assert made.families == 8
    assert made.excess[0] == pytest.approx(0.0, abs=0.01)
    share = float(np.mean(found.family[found.gain > 0] != "f0"))
    assert made.coverage[0] == pytest.approx(share)
    # Of eight families drawn anew, f0 is drawn 0 to 3 times with 95 %.
    assert made.coverage[1] == pytest.approx(1 - 3 / 8, abs=0.13)
    assert made.coverage[2] == pytest.approx(1.0)
