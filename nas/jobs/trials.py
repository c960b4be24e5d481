"""A search whose accuracies cost: from a space, a latency and an evaluator to the answer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas.accuracy import AccuracyModel, load_accuracy
from nas.errors import InputError, NasError, TargetError
from nas.evaluate import Limits
from nas.jobs.trials_answer import MARGIN, TrialsAnswer, best_of, front_of, name_of, tried_points
from nas.latency import LatencyModel
from nas.progress import OnProgress, counted, silent
from nas.resources import runs_folder
from nas.runs import Tables, database_url
from nas.space.codes import CodeSpace
from nas.space.search_space import SearchSpace
from nas.strategies import Goal, Reward
from nas.trials.asker import Asker
from nas.trials.askers import asker_named
from nas.trials.domain import CodeDomain, NetworkDomain
from nas.trials.evaluations import Evaluations
from nas.trials.evaluators import Evaluator, check_not_loading, read_evaluator
from nas.trials.executors.in_process import InProcess
from nas.trials.executors.processes import Processes
from nas.trials.executors.protocol import Executor
from nas.trials.fastest import fastest
from nas.trials.loop import Loop, Settings
from nas.trials.question import Domain, Question
from nas.trials.records import Trial
from nas.trials.studies import NO_RUNGS, Study

_PROBES = 16
"""So many points tell one latency from another."""

MakeAsker = Callable[[Question], Asker]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where trials run and what is kept of them: `workers` processes of this machine, or a Ray cluster (its address, or
    "local") with `cpus` and `gpus` a job and at most `workers` jobs, where these are more than one; seconds that a
    trial may take; the database's URL (None: the workspace's file); the folder for checkpoints."""

    workers: int = 1
    ray: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    time_limit: float | None = None
    storage: str | None = None
    checkpoints: Path = field(default_factory=lambda: runs_folder() / "checkpoints")

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers must be at least 1, but got {self.workers}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError(f"time_limit must be a positive number of seconds, but got {self.time_limit}.")
        if self.ray is None and (self.cpus, self.gpus) != (1.0, 0.0):
            raise InputError(
                f"cpus and gpus are what a trial has on a Ray cluster, but got cpus={self.cpus:g} and"
                f" gpus={self.gpus:g} without one; name one by ray, or leave them out."
            )

    @property
    def threads(self) -> int | None:
        """With how many threads a job computes (see `executor`); None: with those of this process."""
        if self.ray is not None:
            return max(1, int(self.cpus))  # Ray's own rule
        return 1 if self.workers > 1 or self.time_limit is not None else None

    def tables(self) -> Tables:
        """The tables that trials are kept in."""
        return Tables(self.storage or os.environ.get("NAS_STORAGE") or database_url())

    def executor(self, evaluator: Evaluator) -> Executor:
        """What runs the trials. `InputError` where the evaluator cannot be sent there."""
        if self.ray is not None:
            from nas.trials.executors.ray_cluster import RayCluster

            evaluator.required_reference()
            at_most = self.workers if self.workers > 1 else None
            return RayCluster(self.ray, cpus=self.cpus, gpus=self.gpus, at_most=at_most)
        if self.workers > 1:
            evaluator.required_reference()
            return Processes(self.workers)
        # A process can be ended at its time limit, a thread cannot.
        ended = self.time_limit is not None and evaluator.reference is not None
        return Processes(1) if ended else InProcess()


def search_trials(
    space: SearchSpace | CodeSpace,
    *,
    latency: Any,
    evaluate: Callable[..., Any] | str,
    target_ms: float,
    budget: int = 100,
    reward: Reward | str = "hard",
    w: float | None = None,
    seed: int = 0,
    storage: str | None = None,
    study: str | None = None,
    workers: int = 1,
    ray: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    time_limit: float | None = None,
    asker: str | MakeAsker = "surrogate",
    noisy: bool = True,
    accuracy: AccuracyModel | None = None,
    limits: Limits | None = None,
    canonical: Callable[[Any], Any] | None = None,
    progress: OnProgress = silent,
) -> TrialsAnswer:
    """The best point of `space` by at most `budget` evaluations, for a target latency in milliseconds.

    `evaluate` is a function from a list of points to as many accuracies, fractions in [0, 1], or "module:function",
    which workers in other processes need; it is called for one point at a time. `latency` is anything with
    `latency_ms(points)`. A point has `genes`; from a space of networks it is an `Architecture`. Whatever the evaluator
    does wrong (raises, gives no fraction, takes longer than `time_limit` seconds) is the failure of one trial.

    What an evaluation cost is kept in `storage` (a URL; by default NAS_STORAGE, else the workspace's runs/nas.db) and
    serves every search of the same evaluator; one that is found there counts as a call, so the answer does not depend
    on what was there. The same call again goes on where it ended, as the search called `study` (by default after the
    question), and tries again what failed, but for what took as long as `time_limit`; more `budget` goes on further.
    With `noisy` points may be asked again before the answer, else never. `limits` are kept by networks whose `latency`
    is a device's model, of which `accuracy` is a first guess (by default ImageNet's). `canonical` maps codes of a space
    of codes to those that stand for the same point, where several do.

    Raises `TargetError` where no point meets the target, `NasError` where all trials failed, with the first reason.
    """
    check_not_loading()
    if budget < 1:
        raise InputError(f"budget must be at least 1, but got {budget}.")
    where = Where(workers=workers, ray=ray, cpus=cpus, gpus=gpus, time_limit=time_limit, storage=storage)
    evaluator = read_evaluator(evaluate)
    goal = Goal(target_ms=target_ms, reward=reward if isinstance(reward, Reward) else Reward.parse(reward, w))
    question = Question(
        domain=domain_of(space, latency, accuracy=accuracy, limits=limits, canonical=canonical, progress=progress),
        goal=goal,
        budget=budget,
        seed=seed,
        noisy=noisy,
    )
    asking = Asking(
        question, space=space, evaluator=evaluator, asker=asker, study=study, where=where, progress=progress
    )
    try:
        return asking.answer()
    except KeyboardInterrupt as error:
        again = f"the same call goes on (its study is {asking.study})"
        raise KeyboardInterrupt(f"interrupted; {asking.kept_text()}; {again}") from error


def domain_of(
    space: SearchSpace | CodeSpace,
    latency: Any,
    *,
    accuracy: AccuracyModel | None = None,
    limits: Limits | None = None,
    canonical: Callable[[Any], Any] | None = None,
    progress: OnProgress = silent,
) -> CodeDomain | NetworkDomain:
    """The points of `space` with their latencies; of networks and a device's model also with the published prior
    (`accuracy`, by default ImageNet's). `InputError` for a latency that has no `latency_ms`."""
    if not hasattr(latency, "latency_ms"):
        raise InputError(
            f"latency must have latency_ms(points), but {type(latency).__name__} has none; nas.load_latency(DEVICE)"
            " gives one."
        )
    if isinstance(space, CodeSpace):
        return CodeDomain(space, latency, canonical=canonical)
    if not isinstance(latency, LatencyModel):
        return NetworkDomain(space, latency)
    return NetworkDomain(
        space,
        latency,
        accuracy=accuracy or load_accuracy("imagenet"),
        limits=limits,
        kept=runs_folder() / "compiled",
        progress=counted("compiling the space", progress),
    )


class Asking:
    """A question, who chooses and who judges, as the search `study` (by default after what is asked); nothing is
    evaluated before the answer is asked for."""

    def __init__(
        self,
        question: Question,
        *,
        space: SearchSpace | CodeSpace,
        evaluator: Evaluator,
        asker: str | MakeAsker,
        study: str | None,
        where: Where,
        progress: OnProgress = silent,
    ) -> None:
        self._question, self._space, self._evaluator, self._where = question, space, evaluator, where
        self._progress = progress
        self._asker = _made(asker, question)
        self._asked = _asked(question, space, evaluator, self._asker)
        self.study = study or default_study(self._asked, evaluator)
        self._rungs = evaluator.rungs or NO_RUNGS

    def answer(self) -> TrialsAnswer:
        """The answer (see `search_trials`)."""
        began = time.perf_counter()
        question = self._question
        loop = Loop(
            question,
            asker=self._asker,
            evaluator=self._evaluator,
            study=self._kept(),
            executor=self._where.executor(self._evaluator),
            settings=Settings(limit_s=self._where.time_limit, checkpoints=self._where.checkpoints.resolve()),
            progress=self._progress,
        )
        trials = loop.run()
        tried = tried_points(question, self._asker, trials, last_rung=self._rungs[-1])
        best = best_of(tried, question.goal, question.domain)
        if best is None:
            raise _no_answer(question, trials)
        return TrialsAnswer(
            study=self.study,
            space=self._space.name,
            space_size=self._space.size,
            target_ms=question.goal.target_ms,
            reward=question.goal.reward,
            seed=question.seed,
            asker=self._asker.name,
            evaluator=self._evaluator.name,
            budget=question.budget,
            best=best,
            front=front_of(tried),
            trials=tuple(trials),
            how_sure=self._asker.chance_of_better(trials, best.codes, MARGIN),
            seconds=time.perf_counter() - began,
        )

    def kept_text(self) -> str:
        """How many trials are kept of how many."""
        ended = sum(trial.state != "pending" for trial in self._kept().trials())
        return f"{ended} of {self._question.budget} trials are kept"

    def _kept(self) -> Study:
        evaluations = Evaluations(self._where.tables())
        return Study(evaluations, self.study, evaluator=self._evaluator.key, question=self._asked, rungs=self._rungs)


def default_study(asked: dict[str, Any], evaluator: Evaluator) -> str:
    """The name of a search that was given none: after the evaluator's, and what is asked."""
    text = json.dumps([asked, evaluator.key], sort_keys=True)
    return f"{evaluator.name.rpartition(':')[2]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _made(asker: str | MakeAsker, question: Question) -> Asker:
    return asker_named(asker, question) if isinstance(asker, str) else asker(question)


def _asked(question: Question, space: SearchSpace | CodeSpace, evaluator: Evaluator, asker: Asker) -> dict[str, Any]:
    """What makes a search the same one when it is asked again."""
    goal = question.goal
    return {
        "space": space.name,
        "genes": _digest([[gene, list(map(repr, choices))] for gene, choices in space.genes.items()]),
        "latency": _latency_digest(question.domain),
        "target_ms": goal.target_ms,
        "reward": goal.reward.as_json(),
        "seed": question.seed,
        "noisy": question.noisy,
        "asker": asker.name,
        "evaluator": evaluator.name,
        "rungs": list(evaluator.rungs),
    }


def _latency_digest(domain: Domain) -> str:
    """What latency and limits say of some points: two that agree there are one."""
    drawn = np.random.default_rng(0).integers(0, domain.cardinalities, size=(_PROBES, len(domain.cardinalities)))
    codes = domain.canonical(drawn)
    said = zip(domain.latency_ms(codes).tolist(), domain.excess(codes).tolist(), strict=True)
    return _digest([f"{latency:.6g} {excess:.6g}" for latency, excess in said])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _no_answer(question: Question, trials: list[Trial]) -> NasError:
    """Why there is no answer: nothing met the target, or everything failed."""
    failed = [trial for trial in trials if trial.state == "failed"]
    if failed:
        return NasError(
            f"a search needs one trial that succeeds, but all {len(failed)} failed; the first one:"
            f" {(failed[0].reason or '').rstrip('.')}."
            " Mend the evaluator, or give it more time where that was short, and search again: what failed is tried"
            " again."
        )
    codes, latency_ms = fastest(question)
    return TargetError(
        f"a point must meet the target of {question.goal.target_ms:g} ms, but the fastest of the space,"
        f" {name_of(question.domain.point(codes))}, takes {latency_ms:.4g} ms; raise the target."
    )
