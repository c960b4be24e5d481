"""A surrogate that looks at its first choices untrained: what is broken is refused, the others are told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.strategies.problem import Codes
from nas.trials.asker import Asker, Deferring
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial
from nas.trials.surrogate.acquisition import Improvement
from nas.trials.surrogate.asker import ACQUISITION
from nas.trials.surrogate.networks import NetworkModel
from nas.trials.surrogate.observed import Observed, observed

Floats = NDArray[np.float64]
Describe = Callable[[tuple[int, ...]], Sequence[float] | None]
"""From a code to the columns of its network, as many for each, nan where one is not known; None for what is broken."""

LOOKED_AT = 6
"""For each point that is asked for, so many are looked at."""

FEWEST = 4
"""With fewer points tried the columns say nothing, and the order stays."""

_MOST = 64
"""The most points that are looked at where one after the other is broken."""

_REACH = 3.0
"""Columns further from their middle, in standard deviations, count as this far."""


class Proxied(Deferring):
    """What `inner` would ask for, chosen among several by the published prior conditioned on trials, with columns that
    cost too much to know them of every point.

    The columns are further details of `model`, beside the genes: they say which networks are alike. They rank nothing
    by themselves, and nothing that `inner` does not put among its first `LOOKED_AT` is asked for.
    """

    def __init__(self, question: Question, inner: Asker, describe: Describe, model: NetworkModel) -> None:
        super().__init__(inner)
        self._question, self._describe, self._model = question, describe, model

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points to try next, none of them broken."""
        trials = sorted(trials, key=lambda trial: trial.number)
        known = observed(trials, len(self._question.domain.cardinalities))
        learnt = len(known) >= FEWEST
        whole = self._whole(trials, count * LOOKED_AT if learnt else count)
        if len(whole) <= count or not learnt:
            return whole[:count]
        able = [one for one in whole if one.why == ACQUISITION]
        with threadpool_limits(limits=1, user_api="blas"):
            chosen = self._improving(trials, known, able, count) if able else []
        return [*chosen, *(one for one in whole if one.why != ACQUISITION)][:count]

    def _whole(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """The first `count` choices of `inner` that are not broken; fewer where too many are."""
        asked, found = count, list[Proposal]()
        while True:
            proposals = self._inner.ask(trials, asked)
            found = [one for one in proposals if self._describe(one.codes) is not None][:count]
            if len(found) >= count or len(proposals) < asked or asked >= max(_MOST, count):
                return found
            asked *= 2

    def _improving(
        self, trials: Sequence[Trial], known: Observed, proposals: Sequence[Proposal], count: int
    ) -> list[Proposal]:
        """Up to `count` proposals of the greatest improvement, each as if those before, and what is pending, had come
        out as expected."""
        tried = set(map(tuple, known.codes.tolist()))
        pending = list(dict.fromkeys(t.codes for t in trials if t.state == "pending" and t.codes not in tried))
        everyone = [*map(tuple, known.codes.tolist()), *pending, *(one.codes for one in proposals)]
        posterior = WithColumns(self._model, self._columns(everyone)).posterior(known)
        domain, goal = self._question.domain, self._question.goal
        if pending:
            posterior = posterior.supposing(np.array(pending, dtype=np.int64))
        worth = goal.reward.reward(posterior.believed(known.codes).mean, domain.latency_ms(known.codes), goal.target_ms)
        left, chosen = list(proposals), list[Proposal]()
        while left and len(chosen) < count:
            codes = np.array([one.codes for one in left], dtype=np.int64)
            improvement = Improvement(domain=domain, goal=goal, posterior=posterior, best=float(worth.max()))
            chosen.append(left.pop(int(np.argmax(improvement.evaluate(codes).score))))
            posterior = posterior.supposing(np.array([chosen[-1].codes], dtype=np.int64))
        return chosen

    def _columns(self, codes: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], Floats]:
        """Standardised columns of points; what is not known of one is in the middle."""
        found = {code: self._describe(code) for code in dict.fromkeys(codes)}
        width = max((len(row) for row in found.values() if row is not None), default=0)
        rows = np.array([[np.nan] * width if row is None else list(row) for row in found.values()]).reshape(-1, width)
        return dict(zip(found, standardised(rows), strict=True))


class WithColumns(NetworkModel):
    """A model of networks with further details of some points: `columns`."""

    def __init__(self, model: NetworkModel, columns: dict[tuple[int, ...], Floats]) -> None:
        self.__dict__.update(vars(model))
        self._columns = columns

    def details(self, codes: Codes) -> Floats:
        """Places of the choices, and the columns."""
        further = np.stack([self._columns[tuple(code)] for code in codes.tolist()])
        return np.concatenate((super().details(codes), further), axis=1)


def standardised(rows: Floats) -> Floats:
    """Columns of mean 0 and standard deviation 1, shape (n, columns) kept, within three deviations; unknown values and
    columns that do not vary are 0."""
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, rows - np.where(known, rows, 0.0).sum(axis=0) / count, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    return np.clip(np.where(spread > 0, centred / np.where(spread > 0, spread, 1.0), 0.0), -_REACH, _REACH)
