"""What every search strategy must do: inherit `StrategyConformance` and give it one fixture, `strategy`."""

from __future__ import annotations

from abc import abstractmethod
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from nas.errors import InputError
from nas.strategies import Candidate, Evaluation, Progress, Reward, SearchResult, SearchTask, Strategy
from nas.strategies.problem import Codes
from nas.strategies.reward import FORMS
from nas.testing.problems import RandomProblem

_REWARD = Reward()


EXPONENTS = (-0.02, -0.07, -0.15, -0.5, -1.0)


def _search(
    strategy: Strategy,
    problem: RandomProblem,
    target_ms: float,
    *,
    seed: int = 0,
    reward: Reward = _REWARD,
    **task: Any,
) -> SearchResult:
    rng = np.random.default_rng(seed)
    return strategy.search(problem, SearchTask(target_ms=target_ms, reward=reward, rng=rng, **task))


def _every(problem: RandomProblem) -> tuple[Codes, Evaluation]:
    """All points, each once, with what they are worth."""
    codes = np.unique(problem.canonical(problem.every_code()), axis=0)
    return codes, problem.evaluate(codes)


def optimum(problem: RandomProblem, target_ms: float) -> float:
    """The best score of all points that are feasible, by looking at each."""
    _, every = _every(problem)
    return float(every.score[(every.bounded_ms <= target_ms) & (every.excess <= 0)].max())


def best_by_reward(problem: RandomProblem, target_ms: float, form: str, w: float) -> tuple[float, float]:
    """The reward and the latency of the best of all points by a reward, by looking at each: written down a second time,
    from the papers' formulas. Above the target a hard reward has no answers, the others up to 1.3 times it."""
    _, every = _every(problem)
    ratio = every.bounded_ms / target_ms
    if form == "absolute":
        worth = every.score + w * np.abs(ratio - 1.0)
    else:
        worth = every.score * (ratio**w if form == "soft" else 1.0)
    eligible = np.flatnonzero((every.excess <= 0) & (ratio <= (1.0 if form == "hard" else 1.3)))
    best = max(eligible, key=lambda i: (worth[i], -every.bounded_ms[i]))
    return float(worth[best]), float(every.bounded_ms[best])


def _listed(result: SearchResult) -> tuple[tuple[Candidate, ...], ...]:
    return result.top, result.apart, result.starts, result.front


class _Broken(RandomProblem):
    def evaluate(self, codes: Codes) -> Evaluation:
        found = super().evaluate(codes)
        found.score[-1] = np.nan
        return found


class StrategyConformance:
    """The tests. `strategy` must find the best of the at most 3,072 points of a small space."""

    @pytest.fixture
    @abstractmethod
    def strategy(self) -> Strategy:
        """The strategy to test."""

    def test_same_seed_same_result(self, strategy: Strategy) -> None:
        problem = RandomProblem(1)
        target_ms = problem.target_ms(0.4)
        assert _search(strategy, problem, target_ms, seed=3) == _search(strategy, problem, target_ms, seed=3)

    @pytest.mark.parametrize("limited", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_finds_the_optimum_of_a_small_space(self, strategy: Strategy, seed: int, limited: bool) -> None:
        problem = RandomProblem(seed, limited=limited)
        for share in (0.1, 0.6):
            target_ms = problem.target_ms(share)
            best = _search(strategy, problem, target_ms, seed=seed).best
            assert best is not None
            assert best.score == optimum(problem, target_ms)
            assert best.bounded_ms <= target_ms

    @pytest.mark.parametrize("limited", [False, True])
    @pytest.mark.parametrize("form", FORMS)
    def test_the_best_is_the_one_with_the_best_reward(self, strategy: Strategy, form: str, limited: bool) -> None:
        for seed, w in enumerate(EXPONENTS):
            problem = RandomProblem(seed, limited=limited)
            target_ms = problem.target_ms(0.4)
            reward, latency_ms = best_by_reward(problem, target_ms, form, w)
            result = _search(strategy, problem, target_ms, seed=seed, reward=Reward.parse(form, w))
            assert result.best is not None
            assert result.best.reward == pytest.approx(reward, rel=1e-12)
            assert result.best.bounded_ms == latency_ms
            assert result.best == result.top[0] == result.apart[0]
            rewards = [candidate.reward for candidate in result.top]
            assert rewards == sorted(rewards, reverse=True)
            if form != "hard":
                assert result.aim_ms == latency_ms
                assert all(latency_ms < start.bounded_ms <= 1.3 * latency_ms for start in result.starts)

    def test_the_figures_of_candidates_are_those_of_their_codes(self, strategy: Strategy) -> None:
        problem = RandomProblem(2)
        target_ms = problem.target_ms(0.5)
        result = _search(strategy, problem, target_ms)
        assert result.best is not None
        assert result.fastest is not None
        for candidate in (result.best, result.fastest, *(one for listed in _listed(result) for one in listed)):
            codes = np.array([candidate.codes])
            assert ((codes >= 0) & (codes < problem.cardinalities)).all()
            assert (problem.canonical(codes) == codes).all()
            found = problem.evaluate(codes)
            assert candidate == Candidate(
                codes=candidate.codes,
                bounded_ms=float(found.bounded_ms[0]),
                accuracy=float(found.accuracy[0]),
                score=float(found.score[0]),
                reward=float(_REWARD.reward(found.score, found.bounded_ms, target_ms)[0]),
            )

    @pytest.mark.parametrize("limited", [False, True])
    def test_the_lists_hold_what_they_promise(self, strategy: Strategy, limited: bool) -> None:
        problem = RandomProblem(3, limited=limited)
        target_ms = problem.target_ms(0.5)
        result = _search(strategy, problem, target_ms)
        assert result.best == result.top[0] == result.apart[0]
        for listed in (result.top, result.apart):
            scores = [candidate.score for candidate in listed]
            assert scores == sorted(scores, reverse=True)
            assert all(candidate.bounded_ms <= target_ms for candidate in listed)
        assert result.starts
        assert all(target_ms < candidate.bounded_ms <= 1.3 * target_ms for candidate in result.starts)
        for listed in _listed(result):
            assert len({candidate.codes for candidate in listed}) == len(listed)
            assert not problem.evaluate(np.array([candidate.codes for candidate in listed])).excess.any()
        for slower, faster in zip(result.front[1:], result.front[:-1], strict=True):
            assert slower.bounded_ms > faster.bounded_ms
            assert slower.score > faster.score
        assert 0 < result.evaluated <= problem.size

    def test_spread_gives_feasible_points_that_differ(self, strategy: Strategy) -> None:
        problem = RandomProblem(3, num_genes=7)
        target_ms = problem.target_ms(0.5)
        result = _search(strategy, problem, target_ms)
        spread = result.spread(4)
        assert spread[0] == result.best
        assert len({candidate.codes for candidate in spread}) == len(spread) == 4
        assert all(candidate.bounded_ms <= target_ms for candidate in spread)
        for one, other in combinations(spread, 2):
            assert sum(a != b for a, b in zip(one.codes, other.codes, strict=True)) >= 2
        assert result.spread(1) == [result.best]

    @pytest.mark.parametrize("limited", [False, True])
    def test_excluded_points_are_not_proposed(self, strategy: Strategy, limited: bool) -> None:
        problem = RandomProblem(2, limited=limited)
        target_ms = problem.target_ms(0.4)
        free = _search(strategy, problem, target_ms)
        assert free.fastest is not None
        named = [candidate.codes for listed in _listed(free) for candidate in listed[:5]]
        # As a caller may write them: genes of absent layers are whatever they are.
        exclude = np.array([*named, free.fastest.codes])
        absent = exclude[:, 0] < 2
        exclude[absent, -1] = problem.cardinalities[-1] - 1
        result = _search(strategy, problem, target_ms, exclude=exclude, initial=exclude)
        excluded = {tuple(code) for code in problem.canonical(exclude).tolist()}
        assert result.fastest is not None
        found = {candidate.codes for listed in _listed(result) for candidate in listed}
        assert not excluded & {result.fastest.codes, *found}
        # What is left is searched as before.
        codes, every = _every(problem)
        left = np.array([tuple(code) not in excluded for code in codes.tolist()])
        within = left & (every.excess <= 0)
        assert result.best is not None
        assert result.best.score == every.score[within & (every.bounded_ms <= target_ms)].max()

    def test_where_all_is_excluded_nothing_is_proposed(self, strategy: Strategy) -> None:
        problem = RandomProblem(0, num_genes=3)
        result = _search(strategy, problem, problem.target_ms(0.5), exclude=problem.every_code())
        assert result.best is None
        assert result.fastest is None
        assert _listed(result) == ((), (), (), ())
        assert result.spread(3) == []
        assert result.evaluated == 0

    @pytest.mark.parametrize("limited", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_names_the_fastest_where_none_is_feasible(self, strategy: Strategy, seed: int, limited: bool) -> None:
        problem = RandomProblem(seed, limited=limited)
        _, every = _every(problem)
        fastest_ms = float(every.bounded_ms[every.excess <= 0].min())
        for target_ms in (0.99 * fastest_ms, 0.001 * fastest_ms):
            result = _search(strategy, problem, target_ms)
            assert result.best is None
            assert result.top == result.apart == ()
            assert result.fastest is not None
            assert result.fastest.bounded_ms == fastest_ms

    def test_progress_grows_and_changes_nothing(self, strategy: Strategy) -> None:
        problem = RandomProblem(4)
        seen: list[Progress] = []
        target_ms = problem.target_ms(0.5)
        result = _search(strategy, problem, target_ms, progress=seen.append)
        assert result == _search(strategy, problem, target_ms)
        assert [state.evaluated for state in seen] == sorted(state.evaluated for state in seen)
        scores = [state.best_score for state in seen if state.best_score is not None]
        assert scores == sorted(scores)
        assert result.best is not None
        assert (scores[-1], seen[-1].best_accuracy) == (result.best.score, result.best.accuracy)

    @pytest.mark.parametrize("name", ["initial", "exclude"])
    @pytest.mark.parametrize("codes", [[[0, 0]], [[9] * 6], [[-1] * 6], [0] * 6])
    def test_refuses_points_that_are_no_codes(self, strategy: Strategy, name: str, codes: object) -> None:
        task: dict[str, Any] = {name: np.array(codes)}
        with pytest.raises(InputError, match=rf"{name}\w* codes must"):
            _search(strategy, RandomProblem(0), 1.0, **task)

    def test_refuses_figures_that_are_no_numbers(self, strategy: Strategy) -> None:
        with pytest.raises(InputError, match="finite numbers, but score"):
            _search(strategy, _Broken(0), 1.0)
