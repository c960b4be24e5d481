from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.strategies import Candidate, Goal
from nas.strategies.apart import Apart
from nas.strategies.archive import Archive
from nas.strategies.points import Points
from tests.strategies.points import names, points

# Target 1 ms. What exceeds a limit is best in everything else.
SEEN = (
    ("00", 0.5, 0.1, 0.9),
    ("01", 0.9, 0.0, 0.5),
    ("02", 1.0, 0.0, 0.6),
    ("03", 1.1, 0.0, 0.7),
    ("10", 1.1, 0.1, 0.9),
    ("11", 1.25, 0.0, 0.8),
    ("12", 1.4, 0.0, 0.85),
    ("13", 2.0, 0.2, 0.95),
)


def _listed(candidates: tuple[Candidate, ...]) -> list[str]:
    return ["".join(map(str, candidate.codes)) for candidate in candidates]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_limits_keep_points_out_of_every_list(batch: int) -> None:
    archive = Archive(2, Goal(target_ms=1.0))
    for start in range(0, len(SEEN), batch):
        archive.add(points(*SEEN[start : start + batch]))
    found = archive.result(exact=False)
    assert _listed(found.top) == ["02", "01"]
    assert _listed(found.starts) == ["03", "11"]
    assert _listed(found.front) == ["01", "02", "03", "11", "12"]
    # 01 differs from the better 02 in one gene: a near-copy.
    assert _listed(found.apart) == ["02"]
    assert found.best is not None
    assert found.best.accuracy == pytest.approx(0.7)
    assert found.evaluated == len(SEEN)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_the_fastest_is_the_one_that_exceeds_limits_least(batch: int) -> None:
    archive = Archive(2, Goal(target_ms=0.1))
    seen = (("00", 0.5, 0.1, 0.9), ("01", 0.9, 0.0, 0.5), ("02", 0.8, 0.0, 0.4), ("03", 0.2, 0.3, 0.9))
    for start in range(0, len(seen), batch):
        archive.add(points(*seen[start : start + batch]))
    assert names(archive.fastest) == ["02"]
    nothing_kept = Archive(2, Goal(target_ms=0.1))
    nothing_kept.add(points(("00", 0.5, 0.1, 0.9), ("03", 0.2, 0.3, 0.9)))
    found = nothing_kept.result(exact=False)
    assert found.best is None
    assert found.fastest is not None
    assert found.fastest.codes == (0, 0)


def test_of_equal_scores_the_faster_comes_first() -> None:
    archive = Archive(2, Goal(target_ms=1.0))
    archive.add(points(("01", 0.9, 0.0, 0.5), ("12", 0.8, 0.0, 0.5), ("23", 0.7, 0.0, 0.4)))
    found = archive.result(exact=False)
    assert _listed(found.top) == _listed(found.apart) == ["12", "01", "23"]


def test_progress_names_the_best_feasible_point() -> None:
    archive = Archive(2, Goal(target_ms=1.0))
    assert archive.progress(0, 9).best_score is None
    archive.add(points(("00", 0.5, 0.1, 0.9), ("03", 1.1, 0.0, 0.7)))
    assert archive.progress(2, 9).best_accuracy is None
    archive.add(points(("01", 0.9, 0.0, 0.5)))
    state = archive.progress(3, 9)
    assert (state.evaluated, state.limit, state.best_score) == (3, 9, 0.5)
    assert state.best_accuracy == pytest.approx(0.6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_points_apart_differ_and_no_better_one_was_left_out(seed: int, batch: int) -> None:
    """40 genes: five must differ. Up to the count no point is left out that differs from all better ones kept."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (60, 40))
    codes[30:] = np.where(rng.random((30, 40)) < 0.05, 1 - codes[:30], codes[:30])
    score = rng.permutation(60) / 60.0
    ones = np.ones(60)
    every = Points(codes=codes, bounded_ms=ones, excess=0.0 * ones, accuracy=score, score=score)
    apart = Apart(40, Goal(target_ms=1.0), count=60)
    assert apart.distance == 5
    for start in range(0, 60, batch):
        part = every.select(slice(start, start + batch))
        apart.add(part, np.ones(len(part), dtype=np.bool_))
    kept = apart.points()
    expected: list[int] = []
    for i in np.argsort(-score).tolist():
        if all((codes[i] != codes[j]).sum() >= 5 for j in expected):
            expected.append(i)
    assert kept.score.tolist() == score[expected].tolist()


def test_points_that_are_not_eligible_are_not_kept() -> None:
    apart = Apart(2, Goal(target_ms=1.0), count=3)
    apart.add(points(("00", 1.0, 0.0, 0.9), ("11", 1.0, 0.0, 0.8)), np.array([False, True]))
    assert names(apart.points()) == ["11"]


def test_a_full_list_takes_what_is_better() -> None:
    apart = Apart(2, Goal(target_ms=1.0), count=1)
    for code, score in (("00", 0.5), ("11", 0.4), ("22", 0.6)):
        apart.add(points((code, 1.0, 0.0, score)), np.array([True]))
        apart.points()
    assert names(apart.points()) == ["22"]
