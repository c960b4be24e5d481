"""The searchers that are compared: each is asked for a row of a table, and told what it is worth.

`ask(pending)` names a row that is neither told nor pending; those that pay for what cannot be an answer name such rows
too. Peers with the free latency look at rows that may be answers only. All are told accuracies, and read the exact
latency.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

from benchmarks.trials.tables import Table
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Surrogate

Floats = NDArray[np.float64]

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=ConvergenceWarning)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

_FIRST = 10
_FREE_ASKS = 300


class Searcher(Protocol):
    """What is compared."""

    def ask(self, pending: list[int]) -> int: ...

    def tell(self, row: int, accuracy: float) -> None: ...


class Told:
    """What a peer was told, and random rows to begin with."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        self.table, self.rng, self.budget = table, np.random.default_rng([seed, 5]), budget
        self.told: dict[int, float] = {}

    def tell(self, row: int, accuracy: float) -> None:
        self.told[row] = accuracy

    def left(self, pending: list[int], among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The rows `among` that are neither told nor pending."""
        known = np.zeros(len(self.table.codes), dtype=np.bool_)
        known[[*self.told, *pending]] = True
        return np.flatnonzero(among & ~known)

    def drawn(self, pending: list[int], among: NDArray[np.bool_]) -> int:
        """A random row among them."""
        left = self.left(pending, among)
        return int(self.rng.choice(left if len(left) else self.left(pending, np.ones_like(among))))

    @property
    def near(self) -> NDArray[np.bool_]:
        """Rows near the target, as our own first samples are."""
        ratio = self.table.latency_ms / self.table.goal.target_ms
        return np.asarray(self.table.feasible & (ratio >= 0.7))

    def values(self) -> tuple[NDArray[np.int64], Floats]:
        """The rows told, and the goal's values of their accuracies."""
        rows = np.array(list(self.told), dtype=np.int64)
        return rows, self.table.value(np.array(list(self.told.values())), rows)


class Random(Told):
    """Random rows, feasible or not."""

    def ask(self, pending: list[int]) -> int:
        return self.drawn(pending, np.ones(len(self.table.codes), dtype=np.bool_))


class Feasible(Told):
    """Random rows that may be answers: what free latency alone is worth."""

    def ask(self, pending: list[int]) -> int:
        return self.drawn(pending, self.table.feasible)


class Aging(Told):
    """Regularised evolution (Real et al., 2019): 20 alive, tournaments of 5, one gene changed."""

    population, tournament = 20, 5

    def ask(self, pending: list[int]) -> int:
        everything = np.ones(len(self.table.codes), dtype=np.bool_)
        if len(self.told) + len(pending) < self.population or not self.told:
            return self.drawn(pending, everything)
        rows, values = self.values()
        rows, values = rows[-self.population :], values[-self.population :]
        for _ in range(_FREE_ASKS):
            chosen = self.rng.choice(len(rows), min(self.tournament, len(rows)), replace=False)
            child = self.changed(int(rows[chosen[np.argmax(values[chosen])]]))
            if child is not None and child not in self.told and child not in pending:
                return child
        return self.drawn(pending, everything)

    def changed(self, row: int) -> int | None:
        """The row that differs in one gene from another one, None where the table has no such row."""
        code = self.table.codes[row].copy()
        gene = int(self.rng.integers(len(code)))
        code[gene] = (code[gene] + 1 + self.rng.integers(self.table.space.cardinalities[gene] - 1)) % (
            self.table.space.cardinalities[gene]
        )
        return self.table.number.get(tuple(self.table.canonical(code[None])[0].tolist()))


class Predicted(Told):
    """A predictor of accuracy × the exact latency, over rows that may be answers, after ten near the target."""

    def ask(self, pending: list[int]) -> int:
        if len(self.told) < min(_FIRST, self.budget // 3) or len(self.told) + len(pending) < _FIRST:
            return self.drawn(pending, self.near)
        left = self.candidates(pending)
        rows = np.array(list(self.told), dtype=np.int64)
        predicted = self.predicted(rows, np.array(list(self.told.values())), left)
        return int(left[np.argmax(self.table.value(predicted, left))])

    def candidates(self, pending: list[int]) -> NDArray[np.int64]:
        """The rows to choose from."""
        left = self.left(pending, self.table.feasible)
        return left if len(left) else self.left(pending, np.ones_like(self.table.feasible))

    def features(self, rows: NDArray[np.int64]) -> Floats:
        """One-hot genes and the logarithm of the latency."""
        codes = self.table.codes[rows]
        one_hot = [codes == choice for choice in range(int(self.table.space.cardinalities.max()))]
        return np.column_stack((*one_hot, np.log(self.table.latency_ms[rows]))).astype(np.float64)

    def predicted(self, rows: NDArray[np.int64], accuracy: Floats, left: NDArray[np.int64]) -> Floats:
        """Accuracies of the rows `left`, given those told."""
        raise NotImplementedError


class PlainRidge(Predicted):
    """A ridge on log latency and how often each choice stands in each stage (each gene, where no stages are named)."""

    def features(self, rows: NDArray[np.int64]) -> Floats:
        if not self.table.stages:
            return super().features(rows)
        stages = np.split(self.table.codes[rows], np.cumsum(self.table.stages)[:-1], axis=1)
        counts = [(stage == choice).sum(axis=1) for stage in stages for choice in range(1, 3)]
        return np.column_stack((*counts, np.log(self.table.latency_ms[rows]))).astype(np.float64)

    def predicted(self, rows: NDArray[np.int64], accuracy: Floats, left: NDArray[np.int64]) -> Floats:
        seen, features = self.features(rows), self.features(left)
        centre, spread = seen.mean(axis=0), np.where(seen.std(axis=0) > 0, seen.std(axis=0), 1.0)
        fitted = Ridge(alpha=0.1).fit((seen - centre) / spread, 100.0 * accuracy)
        return np.asarray(fitted.predict((features - centre) / spread)) / 100.0


class Bananas(Predicted):
    """BANANAS-like (White et al., 2021): five small networks, one drawn value a candidate (independent Thompson)."""

    def predicted(self, rows: NDArray[np.int64], accuracy: Floats, left: NDArray[np.int64]) -> Floats:
        seen, features = self.features(rows), self.features(left)
        centre, spread = accuracy.mean(), max(float(accuracy.std()), 1e-6)
        fits = []
        for _ in range(5):
            net = MLPRegressor(
                hidden_layer_sizes=(20, 20),
                solver="lbfgs",
                alpha=1e-2,
                max_iter=80,
                random_state=int(self.rng.integers(2**31)),
            )
            fits.append(net.fit(seen, (accuracy - centre) / spread).predict(features))
        found = np.array(fits)
        drawn = found.mean(axis=0) + found.std(axis=0) * self.rng.standard_normal(len(left))
        return np.asarray(centre + spread * drawn)


class Npenas(Predicted):
    """NPENAS-like (Wei et al., 2022): candidates are up to 100 mutants of the best ten, a forest's mean chooses."""

    def candidates(self, pending: list[int]) -> NDArray[np.int64]:
        left = super().candidates(pending)
        rows, values = self.values()
        best = self.table.codes[rows[np.argsort(-values)[:10]]]
        away = (self.table.codes[left][:, None] != best).sum(axis=2).min(axis=1)
        near = left[away <= 2]
        return self.rng.permutation(near)[:100] if len(near) else left

    def predicted(self, rows: NDArray[np.int64], accuracy: Floats, left: NDArray[np.int64]) -> Floats:
        forest = RandomForestRegressor(50, random_state=int(self.rng.integers(2**31)), min_samples_leaf=1)
        return np.asarray(forest.fit(self.features(rows), accuracy).predict(self.features(left)))


class Sampled(Told):
    """A sampler of Optuna on the genes of a whole table; a row asked for again is answered from memory, for free.

    With `free`, a row that may be no answer is answered for free as well: by its latency as a violated constraint.
    """

    def __init__(
        self, sampler: Callable[[int], Any], table: Table, seed: int, budget: int, *, free: bool, objectives: int = 1
    ) -> None:
        super().__init__(table, seed, budget)
        self._free, self._objectives = free, objectives
        directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][:objectives]
        self._study = optuna.create_study(directions=directions, sampler=sampler(seed))
        self._open: dict[int, Any] = {}

    def ask(self, pending: list[int]) -> int:
        for _ in range(_FREE_ASKS):
            trial = self._study.ask()
            code = [trial.suggest_categorical(g, list(of)) for g, of in self.table.space.genes.items()]
            code = [of.index(value) for of, value in zip(self.table.space.genes.values(), code, strict=True)]
            row = int(self.table.rows(np.array([code]))[0])
            if row in self.told:
                self._answer(trial, row, self.told[row])
            elif row in pending:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            elif self._free and not self.table.feasible[row]:
                self._answer(trial, row, 0.0)
            else:
                self._open[row] = trial
                return row
        return self.drawn(pending, self.table.feasible if self._free else np.ones_like(self.table.feasible))

    def tell(self, row: int, accuracy: float) -> None:
        super().tell(row, accuracy)
        if row in self._open:
            self._answer(self._open.pop(row), row, accuracy)

    def _answer(self, trial: Any, row: int, accuracy: float) -> None:
        ms = float(self.table.latency_ms[row])
        if self._free:
            trial.set_constraint("latency", ms / self.table.goal.limit_ms - 1.0)
        worth = float(self.table.value(np.array([accuracy]), np.array([row]))[0])
        self._study.tell(trial, [accuracy, ms] if self._objectives == 2 else worth)


class Ours:
    """The surrogate asker."""

    def __init__(self, table: Table, seed: int, budget: int, *, noisy: bool) -> None:
        self.table = table
        question = Question(domain=table.domain, goal=table.goal, budget=budget, seed=seed, noisy=noisy)
        self.asker = Surrogate(question, listed=table.codes)
        self.trials: list[Trial] = []

    def ask(self, pending: list[int]) -> int:
        waiting = [self._trial(len(self.trials) + i, row, None) for i, row in enumerate(pending)]
        proposal = self.asker.ask([*self.trials, *waiting], 1)[0]
        return self.table.number[proposal.codes]

    def tell(self, row: int, accuracy: float) -> None:
        self.trials.append(self._trial(len(self.trials), row, accuracy))

    def _trial(self, number: int, row: int, accuracy: float | None) -> Trial:
        return Trial(
            number=number,
            codes=tuple(self.table.codes[row].tolist()),
            digest="",
            state="pending" if accuracy is None else "done",
            curve=() if accuracy is None else ((0, accuracy),),
            latency_ms=float(self.table.latency_ms[row]),
        )


def _tpe(seed: int) -> Any:
    return optuna.samplers.TPESampler(seed=seed)


def _gp(seed: int) -> Any:
    return optuna.samplers.GPSampler(seed=seed, deterministic_objective=True)


def _nsga2(seed: int) -> Any:
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=20)


OURS = "surrogate (ours)"

PEERS: dict[str, Callable[[Table, int, int], Searcher]] = {
    "ridge × latency": PlainRidge,
    "BANANAS-like × latency": Bananas,
    "TPE, infeasible asks free": lambda *args: Sampled(_tpe, *args, free=True),
    "NPENAS-like × latency": Npenas,
    "random, feasible": Feasible,
    "TPE": lambda *args: Sampled(_tpe, *args, free=False),
    "NSGA-II": lambda *args: Sampled(_nsga2, *args, free=False, objectives=2),
    "aging evolution": Aging,
    "random": Random,
    "GPSampler, latency a constraint": lambda *args: Sampled(_gp, *args, free=True),
}
"""By name, those that matter most and cost least first."""

POOLED = ("ridge × latency", "NPENAS-like × latency", "random, feasible", "random")
"""Those that need no code but the rows."""


def searcher(name: str, table: Table, seed: int, budget: int, *, noisy: bool) -> Searcher:
    """The searcher called `name`."""
    return Ours(table, seed, budget, noisy=noisy) if name == OURS else PEERS[name](table, seed, budget)
