"""What untrained networks say of themselves, as details of the surrogate's model: columns that are set by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import nas
from nas.strategies import Goal
from nas.testing.askers import AskerConformance, MakeAsker
from nas.trials.asker import Asker
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial
from nas.trials.surrogate import Surrogate
from nas.trials.surrogate.asker import ACQUISITION
from nas.trials.surrogate.networks import NetworkModel, model_of
from nas.trials.surrogate.proxied import FEWEST, LOOKED_AT, Proxied, standardised
from tests.trials.surrogate.test_networks import _as_networks, _domain, _every, _trial


@pytest.mark.slow
class TestProxied(AskerConformance):
    """With columns that are nothing but places of genes."""

    many_trials = 300
    contest_calls = 16

    @pytest.fixture
    def make_asker(self) -> MakeAsker:
        prior = nas.load_accuracy("imagenet").prior

        def make(question: Question) -> Asker:
            model = NetworkModel(prior, question.domain, _as_networks, noisy=question.noisy)
            return Proxied(question, Surrogate(question, model=model), lambda code: [float(code[0])], model)

        return make


class Fixed(Surrogate):
    """Asks for the same points, in the same order, whatever has been tried."""

    order: Sequence[tuple[int, ...]] = ()

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        tried = {trial.codes for trial in trials}
        left = [code for code in self.order if code not in tried]
        return [Proposal(codes=code, why=ACQUISITION) for code in left[:count]]


@pytest.fixture
def question() -> Question:
    domain = _domain()
    return Question(domain=domain, goal=Goal(target_ms=float(domain.latency_ms(_every(domain)).max())), budget=40)


def made(question: Question, columns: dict[tuple[int, ...], list[float] | None]) -> Proxied:
    inner, model = Fixed(question), model_of(question)
    inner.order = list(map(tuple, _every(_domain()).tolist()))
    assert model is not None
    return Proxied(question, inner, lambda code: columns.get(code, [0.0]), model)


def test_columns_are_standardised_and_what_is_unknown_is_in_the_middle() -> None:
    rows = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]])
    assert standardised(rows) == pytest.approx(np.array([[-1.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]]))
    # One of thirty is √29 deviations away, and counts as three.
    far = np.zeros((30, 1))
    far[0] = 1.0
    assert standardised(far)[0, 0] == 3.0


def test_what_is_broken_is_refused(question: Question) -> None:
    order = list(map(tuple, _every(_domain()).tolist()))
    columns: dict[tuple[int, ...], list[float] | None] = dict.fromkeys(order[:3], None)
    asker = made(question, columns)
    assert [one.codes for one in asker.ask([], 2)] == order[3:5]
    trials = [_trial(_domain(), list(code), i, 0.5) for i, code in enumerate(order[10:16])]
    assert not set(order[:3]) & {one.codes for one in asker.ask(trials, 2)}
    # Where all are broken there is nothing to ask for.
    assert made(question, dict.fromkeys(order, None)).ask([], 1) == []


def test_columns_choose_among_what_the_surrogate_would_ask_for(question: Question) -> None:
    """Accuracies are those of a column that no gene shows: drawn at random."""
    domain, rng = _domain(), np.random.default_rng(1)
    order = list(map(tuple, _every(domain).tolist()))
    hidden = dict(zip(order, rng.normal(size=len(order)).tolist(), strict=True))
    tried = order[LOOKED_AT : LOOKED_AT + 24]
    trials = [_trial(domain, list(code), i, 0.6 + 0.05 * hidden[code]) for i, code in enumerate(tried)]
    asker = made(question, {code: [value] for code, value in hidden.items()})
    (chosen,) = asker.ask(trials, 1)
    ranks = sorted(order[:LOOKED_AT], key=lambda code: -hidden[code])
    assert chosen.codes in ranks[:2]
    assert asker.ask(trials[::-1], 1) == [chosen] == made(question, {c: [v] for c, v in hidden.items()}).ask(trials, 1)
    # Too few trials to learn from: the surrogate's order.
    assert asker.ask(trials[: FEWEST - 1], 1)[0].codes == order[0]
