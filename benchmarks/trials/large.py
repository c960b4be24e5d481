"""A space of 10^19 codes: 500 calls of ours against 20,000 of aging evolution; writes benchmarks/trials_large.md.

    python -m benchmarks.trials.large

Codes of once-for-all's MobileNetV3, latency from the Galaxy Note10's table, accuracy a forest that is fitted to the
sub-networks of known accuracy: not additive. What each run came to is kept under runs/benchmarks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from benchmarks.environment import environment_text
from benchmarks.trials.runs import KEPT
from benchmarks.trials.tables import Note10, ofa, ofa_canonical, ofa_space
from nas.strategies import Goal
from nas.strategies.problem import Codes
from nas.trials.domain import CodeDomain
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Surrogate

Floats = NDArray[np.float64]

SEEDS, CALLS, AT_ONCE, AGING_CALLS = 10, 500, 10, 20_000
READ = (50, 100, 200, 500, 2000, 5000, 20_000)
_ALIVE, _TOURNAMENT = 100, 25
_KEPT = KEPT / "trials-large.jsonl"
REPORT = Path(__file__).resolve().parents[1] / "trials_large.md"


class Truth:
    """The space, its goal, and the accuracy of each code by the forest."""

    def __init__(self) -> None:
        known = ofa()
        self.goal: Goal = known.goal
        self.domain = CodeDomain(ofa_space(), Note10(), canonical=ofa_canonical)
        self._forest = RandomForestRegressor(60, random_state=0, n_jobs=1).fit(known.codes, known.accuracy)
        self._remembered: dict[bytes, float] = {}

    def accuracy(self, codes: Codes) -> Floats:
        """The accuracies of canonical codes, fractions, shape (n,)."""
        keys = [code.tobytes() for code in codes]
        new = {key: i for i, key in enumerate(keys) if key not in self._remembered}
        if new:
            found = self._forest.predict(codes[list(new.values())])
            self._remembered.update(zip(new, found.tolist(), strict=True))
        return np.array([self._remembered[key] for key in keys])

    def best(self, found: Sequence[tuple[float, float]]) -> list[float]:
        """The best accuracy of an answer after each of the calls (accuracy, ms); 0 before there is one."""
        worth = [accuracy if ms <= self.goal.limit_ms else 0.0 for accuracy, ms in found]
        return [float(best) for best in np.maximum.accumulate(worth)]


def ours(truth: Truth, seed: int, calls: int = CALLS) -> list[float]:
    """The best accuracy after each call of the surrogate, ten asked for at a time."""
    question = Question(domain=truth.domain, goal=truth.goal, budget=calls, seed=seed, noisy=False)
    asker = Surrogate(question)
    trials: list[Trial] = []
    while len(trials) < calls:
        codes = np.array([one.codes for one in asker.ask(trials, min(AT_ONCE, calls - len(trials)))], dtype=np.int64)
        for code, accuracy, ms in zip(codes, truth.accuracy(codes), truth.domain.latency_ms(codes), strict=True):
            trials.append(
                Trial(
                    number=len(trials),
                    codes=tuple(code.tolist()),
                    digest="",
                    state="done",
                    curve=((0, float(accuracy)),),
                    latency_ms=float(ms),
                )
            )
    return truth.best([(trial.curve[-1][1], trial.latency_ms) for trial in trials])


def aging(truth: Truth, seeds: Sequence[int], calls: int = AGING_CALLS) -> list[list[float]]:
    """The same of regularised evolution (Real et al., 2019): 100 alive, tournaments of 25, one gene changed.

    A code that was called before is not called again. All seeds go side by side, so that the forest is asked for many.
    """
    cardinalities = truth.domain.cardinalities
    chance = [np.random.default_rng([seed, 21]) for seed in seeds]
    alive: list[list[tuple[float, Codes]]] = [[] for _ in seeds]
    called: list[set[bytes]] = [set() for _ in seeds]
    found: list[list[tuple[float, float]]] = [[] for _ in seeds]
    for _ in range(calls):
        codes = np.array(
            [
                _child(rng, members, done, cardinalities)
                for rng, members, done in zip(chance, alive, called, strict=True)
            ]
        )
        accuracy, ms = truth.accuracy(codes), truth.domain.latency_ms(codes)
        values = truth.goal.reward.reward(accuracy, ms, truth.goal.target_ms)
        for i, code in enumerate(codes):
            called[i].add(code.tobytes())
            found[i].append((float(accuracy[i]), float(ms[i])))
            alive[i] = [*alive[i], (float(values[i]), code)][-_ALIVE:]
    return [truth.best(one) for one in found]


def _child(
    rng: np.random.Generator, alive: list[tuple[float, Codes]], called: set[bytes], cardinalities: NDArray[np.int64]
) -> Codes:
    while True:
        if len(alive) < _ALIVE:
            code = rng.integers(0, cardinalities)
        else:
            drawn = rng.choice(len(alive), _TOURNAMENT, replace=False)
            code = max((alive[i] for i in drawn), key=lambda member: member[0])[1].copy()
            gene = int(rng.integers(len(code)))
            code[gene] = (code[gene] + rng.integers(1, cardinalities[gene])) % cardinalities[gene]
        code = np.asarray(ofa_canonical(code[None])[0])
        if code.tobytes() not in called:
            return code


def main() -> None:
    """Run what is not yet kept, and write the report."""
    KEPT.mkdir(parents=True, exist_ok=True)
    known: dict[tuple[str, int], list[float]] = {}
    if _KEPT.exists():
        for line in _KEPT.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            known[record["name"], record["seed"]] = record["best"]
    truth = Truth()
    with threadpool_limits(limits=1):
        for seed in range(SEEDS):
            if ("ours", seed) not in known:
                known["ours", seed] = _keep("ours", seed, ours(truth, seed))
        left = [seed for seed in range(SEEDS) if ("aging", seed) not in known]
        for seed, best in zip(left, aging(truth, left) if left else (), strict=True):
            known["aging", seed] = _keep("aging", seed, best)
    _report(known)


def _keep(name: str, seed: int, best: list[float]) -> list[float]:
    with _KEPT.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"name": name, "seed": seed, "best": best}) + "\n")
    return best


def _report(known: dict[tuple[str, int], list[float]]) -> None:
    rows = []
    for name, label in (("ours", "surrogate (ours)"), ("aging", "aging evolution")):
        best = 100.0 * np.array([known[name, seed] for seed in range(SEEDS)])
        cells = [f"{best[:, call - 1].mean():.3f}" if call <= best.shape[1] else "" for call in READ]
        rows.append([label, *cells])
    last = 100.0 * np.array([known["ours", s][-1] - known["aging", s][-1] for s in range(SEEDS)])
    lines = [
        "# A space of 10^19 codes",
        "",
        environment_text("python -m benchmarks.trials.large"),
        "",
        f"Mean top-1 (percent, {SEEDS} seeds) of the best answer after so many distinct calls; nothing above",
        f"{ofa().goal.target_ms:.2f} ms. Ours is asked for {AT_ONCE} points at a time.",
        "",
        tabulate(rows, ("searcher", *map(str, READ)), tablefmt="github", disable_numparse=True),
        "",
        f"{CALLS} calls of ours less {AGING_CALLS:,} of aging evolution: {last.mean():+.3f} points in the mean,",
        f"from {last.min():+.3f} to {last.max():+.3f}.",
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
