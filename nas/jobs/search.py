"""The main job: the most accurate network of a space for a latency on a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from nas.accuracy import AccuracyModel
from nas.errors import InputError
from nas.evaluate import (
    Limits,
)
from nas.evaluate.also import Targets
from nas.jobs.network import Published
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.searches import Searches
from nas.latency import LatencyModel
from nas.progress import OnProgress, silent
from nas.space import Architecture
from nas.space.codes import CodeSpace
from nas.space.search_space import SearchSpace
from nas.strategies import (
    Evolution,
    Exhaustive,
    Reward,
    Strategy,
    strategy_named,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nas.jobs.data_answer import DataAnswer
    from nas.jobs.trials import MakeAsker
    from nas.jobs.trials_answer import TrialsAnswer

ENUMERABLE = 1_000_000
"""Spaces of up to this many codes are searched exhaustively."""

ALIKE = 0.003
"""Answers whose scores differ by no more cannot be told apart, and the simplest of them is taken: published figures of
one network differ by as much."""

NO_LIMITS = Limits()

STARTS = 3
"""So many of the strategy's networks are shrunk."""


def strategy_for(space: SearchSpace, name: str | None = None) -> Strategy:
    """The strategy called `name`; None chooses: exhaustive where the space is small enough, else evolution."""
    if name is not None:
        return strategy_named(name)
    size = math.prod(space.cardinalities.tolist())
    return Exhaustive(limit=ENUMERABLE) if size <= ENUMERABLE else Evolution()


@overload
def search(space: SearchSpace, *, latency: LatencyModel, accuracy: AccuracyModel, **options: Any) -> SearchAnswer: ...


@overload
def search(
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
) -> TrialsAnswer: ...


@overload
def search(
    space: SearchSpace, *, latency: LatencyModel, data: str | Path, target_ms: float, **options: Any
) -> DataAnswer: ...


def search(space: Any, **options: Any) -> SearchAnswer | TrialsAnswer | DataAnswer:
    """The best of `space` for a latency: by a model of `accuracy`, which costs nothing (`free_search`), by evaluations
    that cost, where `evaluate` is given (`nas.jobs.trials.search_trials`), or trained on the images at `data`
    (`nas.jobs.search_data.search_data`). Each says what it takes."""
    if "evaluate" in options:
        from nas.jobs.trials import search_trials  # with the askers' models, which a free search does without

        return search_trials(space, **options)
    if "data" in options:
        from nas.jobs.search_data import search_data  # with the askers' models as well

        return search_data(space, **options)
    if isinstance(space, CodeSpace):
        raise InputError(
            f"{space.name} is a space of codes, of which no model predicts the accuracy; give evaluate, a function from"
            " points to accuracies."
        )
    return free_search(space, **options)


def free_search(
    space: SearchSpace,
    *,
    latency: LatencyModel,
    accuracy: AccuracyModel,
    target_ms: float | None = None,
    also: Targets = (),
    reward: Reward | str = "hard",
    w: float | None = None,
    seed: int = 0,
    strategy: Strategy | str | None = None,
    limits: Limits = NO_LIMITS,
    published: Callable[[Architecture], Published | None] = lambda network: None,
    starts: int = STARTS,
    start_from: Sequence[Architecture | str] = (),
    covered_only: bool = False,
    simple: bool = False,
    alike: float = ALIKE,
    progress: OnProgress = silent,
) -> SearchAnswer:
    """The network of `space`, shrunk freely in multiples of its divisor, that the reward is best for; with the hard one
    the simplest whose score is no more than `alike` below the best (`nas.evaluate.simplicity`).

    `target_ms` is in milliseconds; without one the first of the limits takes its place (`Limits.aim`): NetAdapt wins
    what that counts, and the front is one of it and accuracy. `reward` is a form with its exponent `w`, or a `Reward`:
    with "hard" nothing above the target wins, with "soft" and "absolute" what the reward pays for does, up to 1.3 times
    the target. `also` are further latency models with targets of their own, all of which the answer meets. `starts`
    networks above the target are shrunk by NetAdapt (0: none). `start_from` are networks to begin from, or what names
    them: points of the space are the strategy's, all that are above the target NetAdapt's, and each may be the answer.
    With `simple` only networks of one kind of block and one activation are searched. Same arguments, same answer.
    Raises `TargetError` where no network meets targets and limits, naming what cannot be met and the smallest there is;
    where only networks beyond `Limits.max_interval` do, the answer is one of them and says so. On a device that has a
    table alone, known networks without a latency are left out; where the space has layers without one,
    `UnknownOperatorError` says what it costs, and with `covered_only` the search goes on without them.
    """
    found = Searches(
        space,
        latency=latency,
        accuracy=accuracy,
        also=also,
        reward=reward if isinstance(reward, Reward) else Reward.parse(reward, w),
        seed=seed,
        strategy=strategy_for(space, strategy) if strategy is None or isinstance(strategy, str) else strategy,
        limits=limits,
        published=published,
        starts=starts,
        start_from=start_from,
        covered_only=covered_only,
        simple=simple,
        alike=alike,
        progress=progress,
    )
    return found.answer(target_ms)
