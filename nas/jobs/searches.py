"""Searches of one space, target after target, by the same models: what the job of searching does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyModel
from nas.errors import InputError, TargetError
from nas.evaluate import (
    Aim,
    Limits,
    Models,
    SpaceProblem,
    further,
    search_uniform,
)
from nas.evaluate.also import Targets
from nas.jobs.beginnings import Beginnings
from nas.jobs.network import Published
from nas.jobs.one_search import OneSearch
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.told import reported
from nas.latency import LatencyModel
from nas.progress import OnProgress, counted
from nas.space import Architecture
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import (
    Evolution,
    Exhaustive,
    Reward,
    SearchTask,
    Strategy,
    Sweep,
)


class Searches:
    """Searches of one space by the same models, for one target after another: the space is compiled once, and the
    front over all its latencies looked for once. Arguments as those of `search`; `kept` is a folder where compiled
    spaces are kept for the next time."""

    def __init__(
        self,
        space: SearchSpace,
        *,
        latency: LatencyModel,
        accuracy: AccuracyModel,
        also: Targets,
        reward: Reward,
        seed: int,
        strategy: Strategy,
        limits: Limits,
        published: Callable[[Architecture], Published | None],
        starts: int,
        start_from: Sequence[Architecture | str],
        covered_only: bool,
        simple: bool,
        alike: float,
        progress: OnProgress,
        kept: Path | None = None,
    ) -> None:
        self._kept = kept
        self.space, self.reward, self.seed, self.strategy, self.limits = space, reward, seed, strategy, limits
        self.published, self.starts, self.covered_only = published, starts, covered_only
        # A reward that weighs latency says itself which of two answers is better.
        self.simple, self.alike, self.progress = simple, alike if reward.form == "hard" else 0.0, progress
        self._latency, self._accuracy, self._also = latency, accuracy, also
        self._begin = Beginnings.of(space, start_from)
        self._models: dict[str, Models] = {}
        self._problems: dict[str, SpaceProblem] = {}
        self._sweeps: dict[str, list[Codes]] = {}

    def answer(self, target_ms: float | None) -> SearchAnswer:
        """The answer for one target in milliseconds, or None for the limits alone."""
        aim = self.limits.aim(target_ms)
        if self.reward.reach > 1.0 and (aim.target_ms is None or self.limits.confidence is not None):
            what = "a limit alone" if aim.target_ms is None else f"confidence={self.limits.confidence}"
            raise InputError(
                "a reward that pays for more than what is asked must have a target latency and no confidence, but got"
                f" {what} with the {self.reward.form} reward; take the hard one."
            )
        # With several threads sums round differently, and a search would depend on the machine's number of cores.
        with threadpool_limits(limits=1, user_api="blas"):
            job = OneSearch(self, self.models(aim), self._begin, aim)
            try:
                return job.run()
            except TargetError:
                if job.models.usual is None or self.limits.max_interval is None:
                    raise
            # As for novelty: an answer of which less is known, and is said to be, is worth more than none.
            job.lift_interval_limit()
            if isinstance(self.strategy, Evolution):
                job.look()
            return replace(job.run(), limits=self.limits)

    def models(self, aim: Aim) -> Models:
        """The models of what is aimed at."""
        if aim.column not in self._models:
            self._models[aim.column] = Models(
                self._latency,
                self._accuracy,
                self.limits,
                known=self._begin.yardstick,
                usual=self._begin.known,
                also=further(self._also, self._latency),
                aim=aim.column,
            )
        return self._models[aim.column]

    def problem(self, models: Models) -> SpaceProblem:
        """The compiled space under the limits of `models`."""
        if models.aim not in self._problems:
            exact = isinstance(self.strategy, Exhaustive)
            compiled = counted("compiling the space", self.progress)
            self._problems[models.aim] = SpaceProblem(
                self.space, models, exact=exact, progress=compiled, kept=self._kept
            )
        return self._problems[models.aim].under(models)

    def sweep(self, models: Models) -> list[Codes]:
        """Points of the front over all latencies of the space, roughly."""
        if models.aim not in self._sweeps:
            report = reported("looking at other latencies", self.progress)
            task = SearchTask(
                target_ms=1.0,
                rng=np.random.default_rng([self.seed, 1]),
                initial=self._begin.initial(self.space),
                progress=report,
            )
            problem = self.problem(models)
            sweep = Sweep()
            found = search_uniform(sweep, problem, task) if self.simple else sweep.search(problem, task)
            self._sweeps[models.aim] = [np.array(one.codes) for one in found.front]
        return self._sweeps[models.aim]
