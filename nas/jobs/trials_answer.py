"""What a search whose accuracies cost answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.jobs.display import notebook_html
from nas.jobs.trials_json import trial_json
from nas.space import Architecture
from nas.strategies import Goal, Reward, pareto_front
from nas.strategies.problem import Evaluation
from nas.trials.asker import Asker
from nas.trials.question import Domain, Question
from nas.trials.records import Trial

MARGIN = 0.001
"""An untried point is told of where it beats the answer by more: a tenth of a point."""

_NINETY_PERCENT = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A point that was tried: what an evaluator got of it, and what is known of it.

    `accuracy` is the mean that the trials say, a fraction, `low` and `high` its central 90 % interval (no wider than
    nothing where the question is not noisy); `reward` is that of `accuracy`; `trials` are the numbers of its trials.
    """

    point: Any = field(repr=False)
    codes: tuple[int, ...]
    digest: str
    accuracy: float
    low: float
    high: float
    latency_ms: float
    reward: float
    trials: tuple[int, ...]

    @property
    def genes(self) -> Mapping[str, Any]:
        """The choices: {gene: value}."""
        genes: Mapping[str, Any] = self.point.genes
        return genes

    @property
    def architecture(self) -> Architecture | None:
        """The network; None for a point of a space of codes."""
        return self.point if isinstance(self.point, Architecture) else None

    @property
    def name(self) -> str:
        """The network's name; of a code, its choices."""
        return name_of(self.point)

    def as_json(self) -> dict[str, Any]:
        """The point with its figures."""
        return {
            "name": self.name,
            "digest": self.digest,
            "genes": dict(self.genes),
            "accuracy": {"mean": self.accuracy, "low": self.low, "high": self.high, "source": "measured"},
            "latency_ms": self.latency_ms,
            "reward": self.reward,
            "trials": list(self.trials),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsAnswer:
    """What a search found; `best` has the best reward of what was tried and may be the answer.

    `front` is the Pareto front of latency and accuracy over what was tried, fastest first; `trials` are all, in their
    order; `how_sure` is the chance, by the asker's model, that an untried point beats the answer by more than 0.1
    points (None without a model); `study` is the name under which the same call goes on.
    """

    study: str
    space: str
    space_size: int
    target_ms: float
    reward: Reward
    seed: int
    asker: str
    evaluator: str
    budget: int
    best: Tried
    front: tuple[Tried, ...]
    trials: tuple[Trial, ...]
    how_sure: float | None
    seconds: float

    def _repr_html_(self) -> str:
        best = {
            "name": self.best.name,
            "digest": self.best.digest,
            "latency": {"mean_ms": self.best.latency_ms, "source": "by the latency given"},
            "accuracy": {**self.best.as_json()["accuracy"], "metric": "accuracy"},
        }
        trials = [trial_json(trial, self.space) for trial in self.trials]
        known = {"space": self.space, "target_ms": self.target_ms, "asker": self.asker, "evaluator": self.evaluator}
        return notebook_html({**known, "budget": self.budget, "best": best, "trials": trials})

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return sum(trial.state == "failed" for trial in self.trials)

    @property
    def reused(self) -> int:
        """How many trials another search had paid for."""
        return sum(trial.reused for trial in self.trials)


def tried_points(question: Question, asker: Asker, trials: Sequence[Trial], *, last_rung: int) -> list[Tried]:
    """All points with an accuracy at the last rung, each once, in the order of their first trials.

    Of a noisy question their accuracies are what the asker believes: the luckiest of many is not the best. Else they
    are what was measured.
    """
    numbers: dict[tuple[int, ...], list[Trial]] = {}
    for trial in trials:
        if trial.accuracy is not None and trial.epochs == last_rung and trial.state == "done":
            numbers.setdefault(trial.codes, []).append(trial)
    if not numbers:
        return []
    codes = np.array(list(numbers), dtype=np.int64)
    if question.noisy:
        belief = asker.believe(trials, codes)
        mean, half = belief.mean.clip(0.0, 1.0), _NINETY_PERCENT * belief.deviation
    else:
        mean = np.array([found[0].accuracy for found in numbers.values()], dtype=np.float64)
        half = np.zeros(len(mean))
    latency_ms = np.array([found[0].latency_ms for found in numbers.values()])
    value = question.goal.value(
        Evaluation(bounded_ms=latency_ms, excess=np.zeros(len(mean)), accuracy=mean, score=mean)
    )  # fmt: skip
    return [
        Tried(
            point=question.domain.point(code),
            codes=code,
            digest=found[0].digest,
            accuracy=float(mean[i]),
            low=float(max(mean[i] - half[i], 0.0)),
            high=float(min(mean[i] + half[i], 1.0)),
            latency_ms=float(latency_ms[i]),
            reward=float(value[i]),
            trials=tuple(trial.number for trial in found),
        )
        for i, (code, found) in enumerate(numbers.items())
    ]


def best_of(tried: Sequence[Tried], goal: Goal, domain: Domain) -> Tried | None:
    """The point with the best reward among those that may be the answer; of equals the fastest."""
    if not tried:
        return None
    excess = domain.excess(np.array([one.codes for one in tried], dtype=np.int64))
    able = [one for one, over in zip(tried, excess, strict=True) if one.latency_ms <= goal.limit_ms and over <= 0.0]
    return min(able, key=lambda one: (-one.reward, one.latency_ms), default=None)


def front_of(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """The Pareto front of latency and accuracy, fastest first."""
    if not tried:
        return ()
    on_front = pareto_front(
        np.array([one.latency_ms for one in tried]), np.array([one.accuracy for one in tried])
    )  # fmt: skip
    return tuple(tried[int(i)] for i in on_front)


def name_of(point: Any) -> str:
    """The name of a network; of a point of codes, its choices."""
    return point.name if isinstance(point, Architecture) else " ".join(f"{k}={v}" for k, v in point.genes.items())
