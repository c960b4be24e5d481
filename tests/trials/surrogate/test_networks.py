from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import nas
from nas.accuracy.prior import to_fraction
from nas.accuracy.prior_model import described
from nas.space import known_network
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.strategies.problem import Codes
from nas.testing.askers import AskerConformance, MakeAsker
from nas.trials.askers import asker_named
from nas.trials.domain import NetworkDomain
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Surrogate
from nas.trials.surrogate.networks import Floats, NetworkModel, described_by, model_of
from nas.trials.surrogate.observed import observed
from tests.jobs.small import small_space, tiny_document


def _as_networks(codes: Codes) -> tuple[Floats, Floats]:
    """Codes as if they were networks: those of MobileNetV2, with as much more of everything as the code says."""
    sums, sides = described([known_network("mobilenetv2-1.0")])
    return sums * (1.0 + 0.02 * codes.sum(axis=1))[:, None], np.repeat(sides, len(codes))


class TestConditionedPrior(AskerConformance):
    """The surrogate with a prior that knows hardly anything of the points."""

    many_trials = 300
    contest_calls = 16

    @pytest.mark.slow
    def test_it_is_better_than_random_points(self, make_asker: MakeAsker) -> None:
        super().test_it_is_better_than_random_points(make_asker)

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        prior = nas.load_accuracy("imagenet").prior
        return lambda question: Surrogate(
            question, model=NetworkModel(prior, question.domain, _as_networks, noisy=question.noisy)
        )


@cache
def _domain(*, compiled: bool = True) -> NetworkDomain:
    space = small_space(**tiny_document(widths=((8, 16), (16, 24), (24, 32))))
    assert isinstance(space, SearchSpace)
    latency = nas.load_latency("iphone12")
    return NetworkDomain(space, latency, accuracy=nas.load_accuracy("imagenet") if compiled else None)


def _question(domain: NetworkDomain, *, noisy: bool = False) -> Question:
    every = _every(domain)
    goal = Goal(target_ms=float(np.quantile(domain.latency_ms(every), 0.6)))
    return Question(domain=domain, goal=goal, budget=20, noisy=noisy)


def _every(domain: NetworkDomain) -> Codes:
    shape = tuple(domain.cardinalities.tolist())
    codes = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=1).astype(np.int64)
    return np.unique(domain.canonical(codes), axis=0)


def _trial(domain: NetworkDomain, code: list[int], number: int, accuracy: float) -> Trial:
    return Trial(
        number=number,
        codes=tuple(code),
        digest=domain.digest(code),
        state="done",
        curve=((0, accuracy),),
        latency_ms=float(domain.latency_ms(np.array([code]))[0]),
    )


def test_a_compiled_space_describes_its_networks() -> None:
    domain = _domain()
    every = _every(domain)[::7]
    expected = described([domain.point(code) for code in every.tolist()])
    for found, own in zip(described_by(domain)(every), expected, strict=True):
        assert found == pytest.approx(own, rel=1e-6)
    assert described_by(domain)(every[:0])[0].shape == (0, expected[0].shape[1])


def test_the_first_call_is_that_of_the_prior() -> None:
    """The network with the highest mean of those under the target, by the prior asked about each."""
    domain = _domain()
    question = _question(domain)
    every = _every(domain)
    allowed = every[domain.latency_ms(every) <= question.goal.target_ms]
    mean = nas.load_accuracy("imagenet").predict([domain.point(code) for code in allowed.tolist()])
    (first,) = asker_named("surrogate", question).ask([], 1)
    assert first.codes == tuple(allowed[np.argmax(mean)].tolist())


def test_only_a_domain_with_the_prior_has_a_model_of_it() -> None:
    assert model_of(_question(_domain())) is not None
    assert model_of(_question(_domain(compiled=False))) is None


@pytest.mark.parametrize("noisy", [False, True])
def test_what_was_evaluated_is_known_as_well_as_it_can_be(noisy: bool) -> None:
    domain = _domain()
    model = model_of(_question(domain, noisy=noisy))
    assert model is not None
    every = _every(domain)
    prior = to_fraction(model.prior.posterior().mean(model.prior.posterior().basis(model.features(every))))
    accuracy = prior - 0.2 + np.random.default_rng(0).normal(0.0, 0.003, len(every))
    tried = every[::9]
    known = observed(
        [_trial(domain, code, i, float(accuracy[9 * i])) for i, code in enumerate(tried.tolist())], every.shape[1]
    )
    posterior = model.posterior(known)
    belief = posterior.believed(every)
    own, others = np.arange(len(every)) % 9 == 0, np.arange(len(every)) % 9 != 0
    if noisy:
        assert (belief.deviation[own] > 0).all()
    else:
        assert belief.mean[own] == pytest.approx(accuracy[own])
        assert (belief.deviation[own] == 0).all()
    assert np.abs(belief.mean - accuracy)[others].mean() < 0.006
    mean, covariance = posterior.together(every[:20])
    assert mean == pytest.approx(belief.mean[:20])
    assert np.sqrt(np.diag(covariance)) == pytest.approx(belief.deviation[:20], abs=1e-6)
    supposed = posterior.supposing(every[1:3])
    after = supposed.believed(every)
    assert after.mean == pytest.approx(belief.mean, abs=1e-6)
    assert (after.deviation <= belief.deviation + 1e-9).all()
    assert (after.deviation[1:3] < belief.deviation[1:3]).all()
