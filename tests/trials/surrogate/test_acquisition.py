from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import quad

from nas.strategies import Evolution, Exhaustive, Goal, Reward, SearchTask
from nas.strategies.problem import Codes
from nas.testing.domains import AdditiveDomain
from nas.trials.asker import Belief
from nas.trials.question import Question
from nas.trials.surrogate import CodeModel, Surrogate
from nas.trials.surrogate.acquisition import Improvement, Listed, log_expected_improvement, values
from nas.trials.surrogate.observed import observed
from tests.trials.surrogate.made import made_trials


@pytest.mark.parametrize("gain", [0.5, 0.0, -0.3, -2.0, -7.9])
@pytest.mark.parametrize("deviation", [1.0, 0.4])
def test_expected_improvement_is_its_integral(gain: float, deviation: float) -> None:
    def density(x: float) -> float:
        z = (x - gain) / deviation
        return x * math.exp(-0.5 * z * z) / (deviation * math.sqrt(2 * math.pi))

    expected, _ = quad(density, 0, 20, epsabs=0, epsrel=1e-10, points=[max(gain, 0.0), 1.0], limit=400)

    if expected > 1e-30:
        found = log_expected_improvement(np.array([gain]), np.array([deviation]))
        assert found == pytest.approx([math.log(expected)], rel=1e-4)


def test_its_logarithm_goes_on_where_the_improvement_is_nothing() -> None:
    gains = np.linspace(-60.0, 2.0, 2000)

    found = log_expected_improvement(gains, np.ones(2000))

    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    # Where the two formulas meet there is no step.
    assert np.abs(np.diff(found, n=2)).max() < 0.01


@pytest.mark.parametrize("form", ["hard", "soft", "absolute"])
def test_values_are_linear_in_accuracy(form: str) -> None:
    goal = Goal(target_ms=2.0, reward=Reward.parse(form))
    ms = np.array([1.0, 2.0, 2.2])
    mean, deviation = values(goal, np.full(3, 0.8), np.full(3, 0.01), ms)

    drawn = goal.reward.reward(0.8 + 0.01 * np.array([[-1.0], [2.0]]), ms, 2.0)

    assert drawn == pytest.approx(np.stack((mean - deviation, mean + 2 * deviation)))


@dataclass
class ByHand:
    """Believes what it is told of sums of genes."""

    def believed(self, codes: Codes) -> Belief:
        return Belief(mean=0.5 + 0.01 * codes.sum(axis=1), deviation=np.full(len(codes), 0.02))

    def together(self, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def supposing(self, codes: Codes) -> ByHand:
        return self


def test_points_far_beyond_the_limit_are_not_believed_anything() -> None:
    domain = AdditiveDomain(0)
    every = domain.every()
    goal = Goal(target_ms=float(np.quantile(domain.latency_ms(every), 0.2)))

    found = Improvement(domain=domain, goal=goal, posterior=ByHand(), best=0.55).evaluate(every)

    beyond = found.bounded_ms > 1.3 * goal.limit_ms
    assert beyond.any()
    assert (found.score[beyond] == -1e6).all()
    assert (found.score[~beyond] > -1e6).all()


@pytest.mark.parametrize("seed", range(4))
def test_on_a_space_that_can_be_enumerated_the_maximum_is_exact(seed: int) -> None:
    domain = AdditiveDomain(seed)
    every = domain.every()
    question = Question(domain=domain, goal=Goal(target_ms=float(np.median(domain.latency_ms(every)))), budget=40)
    trials = made_trials(domain, question.goal, count=12, seed=seed)

    (proposal,) = Surrogate(question).ask(trials, 1)

    # A second way: every untried point that meets the target, one by one.
    posterior = Surrogate(question)._posterior(trials)
    tried = {trial.codes for trial in trials}
    known = posterior.believed(np.array([trial.codes for trial in trials])).mean
    left = [code for code in map(tuple, every.tolist()) if code not in tried]
    worth = {}
    for code in left:
        if domain.latency_ms(np.array([code]))[0] <= question.goal.target_ms:
            belief = posterior.believed(np.array([code]))
            worth[code] = log_expected_improvement(belief.mean - known.max(), belief.deviation)[0]
    assert worth[proposal.codes] == pytest.approx(max(worth.values()), abs=1e-9)


def test_evolution_finds_the_same_maximum_on_a_space_of_thousands() -> None:
    domain = AdditiveDomain(3, num_genes=6, choices=4)
    every = domain.every()
    goal = Goal(target_ms=float(np.median(domain.latency_ms(every))))
    trials = made_trials(domain, goal, count=15, seed=1)
    model = CodeModel(domain, every[:200], noisy=False)
    posterior = model.posterior(observed(trials, 6))
    problem = Improvement(domain=domain, goal=goal, posterior=posterior, best=max(t.curve[-1][1] for t in trials))
    task = SearchTask(target_ms=goal.limit_ms, rng=np.random.default_rng(0))

    exact = Exhaustive().search(Listed(problem=problem, codes=every), task).best
    found = Evolution(evaluations=4000, population=64, offspring=256, rounds=1, caps=()).search(problem, task).best

    assert exact is not None and found is not None
    assert found.score == pytest.approx(exact.score, abs=1e-9)
