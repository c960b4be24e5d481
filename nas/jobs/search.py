"""The main job: the most accurate network of a space for a latency on a device.

The space is compiled to arrays and searched by its strategy; the best networks above the target, and the known ones
there, are shrunk by NetAdapt; the answer is the network that the reward is best for (`nas.strategies.Goal`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyModel
from nas.errors import InputError, TargetError
from nas.evaluate import Aim, ChannelAdaptation, Figures, Limits, Models, SpaceProblem, further
from nas.evaluate.also import Targets
from nas.jobs.beginnings import Beginnings
from nas.jobs.coverage import check_coverage, left_out
from nas.jobs.gain import Gain, gain_over_known
from nas.jobs.network import Network, NetworkRecords, Published
from nas.jobs.unmet import unmet
from nas.jobs.why import against_target
from nas.latency import LatencyModel
from nas.latency.published.cost_model import Floats
from nas.progress import OnProgress, Step, counted, silent
from nas.space import Architecture
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES
from nas.space.search_space import SearchSpace
from nas.strategies import (
    Evolution,
    Exhaustive,
    Goal,
    Progress,
    Reward,
    SearchResult,
    SearchTask,
    Strategy,
    pareto_front,
    strategy_named,
)
from nas.strategies.reward import REACH

ENUMERABLE = 1_000_000
"""Spaces of up to this many codes are searched exhaustively."""

NO_LIMITS = Limits()
FRONT_SIZE = 32

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a search found; `target_ms` is None where only limits were given.

    `before_shrinking` and `after_shrinking` are the best scores (`Figures.score`) of the strategy alone and of
    NetAdapt's networks (None where there are none); `front` is the Pareto front of latency and score, `baselines` the
    known networks, both fastest first; `starts` are the networks that a user named to begin from; `also` the targets on
    further devices, by their names; `gain` is over the best known network that meets the target (None where none does);
    `notes` say what a reader should know of the answer.
    """

    space: str
    space_size: int
    device: str
    target_ms: float | None
    reward: Reward
    seed: int
    limits: Limits
    evaluated: int
    exact: bool
    best: Network
    before_shrinking: float | None
    after_shrinking: float | None
    front: tuple[Network, ...]
    baselines: tuple[Network, ...]
    starts: tuple[Network, ...] = ()
    also: Mapping[str, float] = field(default_factory=dict)
    gain: Gain | None = None
    notes: tuple[str, ...] = ()

    @property
    def above_target_ms(self) -> float:
        """How far the answer lies above the target, in milliseconds: 0 unless a reward pays for it."""
        return 0.0 if self.target_ms is None else max(self.best.latency.mean_ms - self.target_ms, 0.0)

    @property
    def required_ms(self) -> float:
        """The target of a search that had one."""
        assert self.target_ms is not None
        return self.target_ms

    def as_json(self) -> dict[str, Any]:
        """The search record of the contract, without `run` and `seconds`."""
        return {
            "space": self.space,
            "device": self.device,
            "target_ms": self.target_ms,
            "also": [{"device": device, "target_ms": target_ms} for device, target_ms in self.also.items()],
            "above_target_ms": self.above_target_ms,
            "reward": self.reward.as_json(),
            "seed": self.seed,
            "confidence": self.limits.confidence,
            "max_novelty": self.limits.max_novelty,
            "max_params": self.limits.max_params,
            "max_macs": self.limits.max_macs,
            "max_size_bytes": self.limits.max_size_bytes,
            "max_memory_bytes": self.limits.max_memory_bytes,
            "evaluated": self.evaluated,
            "space_size": str(self.space_size),
            "exact": self.exact,
            "score_before_shrinking": self.before_shrinking,
            "score_after_shrinking": self.after_shrinking,
            "notes": list(self.notes),
            "best": self.best.as_json(),
            "gain": self.gain.as_json() if self.gain else None,
            "front": [network.as_json() for network in self.front],
            "baselines": [network.as_json() for network in self.baselines],
            "starts": [network.as_json() for network in self.starts],
        }


def strategy_for(space: SearchSpace, name: str | None = None) -> Strategy:
    """The strategy called `name`; None chooses: exhaustive where the space is small enough, else evolution."""
    if name is not None:
        return strategy_named(name)
    size = math.prod(space.cardinalities.tolist())
    return Exhaustive(limit=ENUMERABLE) if size <= ENUMERABLE else Evolution()


def search(
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
    starts: int = 3,
    start_from: Sequence[Architecture | str] = (),
    covered_only: bool = False,
    progress: OnProgress = silent,
) -> SearchAnswer:
    """The network of `space`, shrunk freely in multiples of 8 channels, that the reward is best for.

    `target_ms` is in milliseconds; without one the first of the limits takes its place (`Limits.aim`): NetAdapt wins
    what that counts, and the front is one of it and the score. `reward` is a form with its exponent `w`, or a `Reward`:
    with "hard" nothing above the target wins, with "soft" and "absolute" what the reward pays for does, up to 1.3 times
    the target. `also` are further latency models with targets of their own, all of which the answer meets. `starts`
    networks above the target are shrunk by NetAdapt (0: none). `start_from` are networks to begin from, or what names
    them: points of the space are the strategy's, all that are above the target NetAdapt's, and each may be the answer.
    Same arguments, same answer. Raises `TargetError` where no network meets targets and limits, naming what cannot be
    met and the smallest there is. On a device that has a table alone, known networks without a latency are left out;
    where the space has layers without one, `UnknownOperatorError` says what it costs, and with `covered_only` the
    search goes on without them.
    """
    aim = limits.aim(target_ms)
    goal = Goal(target_ms=aim.at_most, reward=reward if isinstance(reward, Reward) else Reward.parse(reward, w))
    if goal.reward.reach > 1.0 and (aim.target_ms is None or limits.confidence is not None):
        what = "a limit alone" if aim.target_ms is None else f"confidence={limits.confidence}"
        raise InputError(
            f"a reward that pays for more than what is asked must have a target latency and no confidence, but got"
            f" {what} with the {goal.reward.form} reward; take the hard one."
        )
    chosen = strategy_for(space, strategy) if strategy is None or isinstance(strategy, str) else strategy
    # With several threads sums round differently, and a search would depend on the machine's number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        begin = Beginnings.of(space, start_from)
        models = Models(latency, accuracy, limits, known=begin.yardstick, also=further(also, latency), aim=aim.column)
        job = _Search(space, models, begin, aim, goal, published, progress, covered_only=covered_only)
        found = job.explore(chosen, seed)
        shrunk = job.shrink(found, starts)
        return job.answer(found, shrunk, seed)


class _Search:
    """One search: its models, and what it has come to know."""

    def __init__(
        self,
        space: SearchSpace,
        models: Models,
        begin: Beginnings,
        aim: Aim,
        goal: Goal,
        published: Callable[[Architecture], Published | None],
        progress: OnProgress,
        *,
        covered_only: bool,
    ) -> None:
        self._space, self._models, self._begin, self._aim, self._goal = space, models, begin, aim, goal
        self._reward, self._progress, self._covered_only = goal.reward, progress, covered_only
        self._known, self._named = models.covered(begin.known), models.covered(begin.named)
        self._records = NetworkRecords(
            models=models, known=self._known, aim=aim, reward=goal.reward, published=published
        )
        self._notes = [
            *left_out(models, "known networks", len(self._known), len(begin.known)),
            *left_out(models, "networks to begin from", len(self._named), len(begin.named)),
        ]

    def explore(self, strategy: Strategy, seed: int) -> SearchResult:
        """The strategy's result on the compiled space."""
        compiled = counted("compiling the space", self._progress)
        exact = isinstance(strategy, Exhaustive)
        problem = self._problem = SpaceProblem(self._space, self._models, exact=exact, progress=compiled)
        self._notes += check_coverage(problem.compiled, self._models, covered_only=self._covered_only)

        def report(state: Progress) -> None:
            note = _best(state.best_accuracy)
            self._progress(Step(doing="searching", done=state.evaluated, of=state.limit, note=note))

        task = SearchTask(
            target_ms=self._aim.at_most,
            reward=self._reward,
            rng=np.random.default_rng(seed),
            initial=self._begin.initial(self._space),
            progress=report,
        )
        return strategy.search(problem, task)

    def shrink(self, found: SearchResult, count: int) -> list[Architecture]:
        """NetAdapt from the strategy's best starts, the best known point there, and what a user named: the answers."""
        if count == 0:
            return []
        begin = [self._space.decode(candidate.codes) for candidate in found.starts[:count]]
        known = [network for network in self._known if network.digest in self._begin.inside]
        if known:
            figures = self._models.figures(known)
            ratio, score = figures.standing.bounded_ms / found.aim_ms, self._score(known, figures)
            above = np.flatnonzero((ratio > 1) & (ratio <= REACH))
            begin += [known[i] for i in above[np.argsort(-score[above], kind="stable")[:1]]]
        if named := self._named:
            arrived = self._models.figures(named).standing.feasible(found.aim_ms).tolist()
            begin += [network for network, there in zip(named, arrived, strict=True) if not there]
        adaptation = ChannelAdaptation(self._models, divisor=self._space.divisor)
        met: list[Architecture] = []
        best = (found.best.reward, found.best.accuracy) if found.best else None
        for i, start in enumerate(begin):
            note = _best(best and best[1])

            def report(share: float, done: int = i, note: str = note) -> None:
                self._progress(Step(doing="shrinking", done=done + share, of=len(begin), note=note))

            report(0.0)
            result = adaptation.shrink(start, target_ms=found.aim_ms, goal=self._goal, progress=report)
            met += [adaptation.network(shrunk.state, start) for shrunk in result.met[:8]]
            if result.best is not None:
                first = self._models.figures([adaptation.network(result.best.state, start)])
                best = max(best or (-math.inf, 0.0), (float(self._value(first)[0]), float(first.believed.mean[0])))
        if begin and not met and self._models.latency.operators is None:
            self._notes.append(
                "Shrinking found no network that meets the target: the table has rows for few widths but those of the"
                " space."
            )
        return met

    def _score(self, networks: Sequence[Architecture], figures: Figures) -> Floats:
        """What networks are ranked by, shape (n,): nothing is novel about those of which others printed a top-1."""
        printed = np.array([network.digest in self._begin.published for network in networks], dtype=np.bool_)
        return np.where(printed, figures.accuracy.low, figures.score)

    def _value(self, figures: Figures, score: Floats | None = None) -> Floats:
        """The reward of `score` (n,), by default that of the figures."""
        score = figures.score if score is None else score
        return self._reward.reward(score, figures.standing.bounded_ms, self._aim.at_most)

    def answer(self, found: SearchResult, shrunk: Sequence[Architecture], seed: int) -> SearchAnswer:
        """The records; raises `TargetError` where nothing met the target."""
        self._progress(Step(doing="comparing with the known networks"))
        explored = [self._space.decode(candidate.codes) for candidate in found.top]
        known = {network.digest: network for network in self._known}
        own = {n.digest: n for n in [*explored, *shrunk] if n.digest not in known}
        points = self._points()
        own = {digest: n for digest, n in own.items() if digest not in {point.digest for point in points}}
        networks = [*own.values(), *points]
        if not networks:
            raise self._cannot_meet(found, seed)
        figures = self._models.figures(networks)
        meets = self._goal.feasible(figures.standing)
        if not meets.any():
            raise self._cannot_meet(found, seed)
        score = self._score(networks, figures)
        value = self._value(figures, score)
        # Of equal values the network that is neither known nor named, then the faster one.
        first = min(
            np.flatnonzero(meets),
            key=lambda i: (-value[i], i >= len(own), figures.latency_ms[i], networks[i].digest),
        )
        best, notes = networks[first], self._notes
        if first >= len(own):
            what = "known network" if best.digest in known else "network to begin from,"
            notes.append(f"The answer is the {what} {best.name}: the search found none better in {self._space.name}.")
        else:
            words = [self._space.name, best.digest[:8]]
            if self._aim.target_ms is not None:
                words.insert(1, f"{self._aim.target_ms:g}ms")
            best = best.named("-".join(words))
            limit, novelty = self._models.limits.max_novelty, figures.accuracy.novelty[first]
            if limit is not None and novelty > 1.05 * limit:
                notes.append(
                    f"No network near those of published accuracy meets the target: the answer lies {novelty:.1f} times"
                    " as far from them as they lie from one another; believe its accuracy less than its interval says."
                )
        if self._aim.target_ms is not None:
            notes += against_target(self._goal, networks, int(first), figures, score, meets)
        ranked = {n.digest: (float(v), float(s)) for n, v, s in zip(networks, value, score, strict=True)}
        is_chosen = best.digest not in known
        baselines = sorted(
            self._records.beside(best, self._known, chosen=is_chosen), key=lambda one: one.latency.mean_ms
        )
        answer = self._records([best])[0]
        if best.on_imagenet() is not best:
            notes.append(
                f"Accuracies are those of the same layers on ImageNet ({IMAGENET_CLASSES} classes, {IMAGENET_CHANNELS}"
                f" channels); on {best.num_classes} classes of other images they will differ."
            )
        notes += self._better(float(value[first]), baselines)
        return SearchAnswer(
            space=self._space.name,
            space_size=self._space.size,
            device=self._models.latency.device.name,
            target_ms=self._aim.target_ms,
            reward=self._reward,
            seed=seed,
            limits=self._models.limits,
            evaluated=found.evaluated,
            exact=found.exact,
            best=answer,
            gain=gain_over_known(self._models, best, self._known, at_most=self._aim.at_most),
            before_shrinking=_best_score(ranked, explored),
            after_shrinking=_best_score(ranked, shrunk),
            front=self._front(found, [best, *shrunk]),
            baselines=tuple(baselines),
            starts=tuple(self._records.beside(best, self._named, chosen=is_chosen)),
            also={one.device: one.target_ms for one in self._models.also},
            notes=tuple(notes),
        )

    def _better(self, value: float, baselines: Sequence[Network]) -> list[str]:
        """A note where a known network that meets the target, but is no point of the space, ranks above the answer."""
        if not baselines:
            return []
        networks = [known.architecture for known in baselines]
        figures = self._models.figures(networks)
        values = self._value(figures, self._score(networks, figures))
        under = np.flatnonzero(self._goal.feasible(figures.standing) & (values > value))
        if not len(under):
            return []
        best = baselines[max(under, key=lambda i: values[i])]
        note = f"The known network {best.name}, no point of {self._space.name}, ranks above the answer"
        return [f"{note} at {best.latency.mean_ms:.3g} ms: take it, or a space with its blocks."]

    def _cannot_meet(self, found: SearchResult, seed: int) -> TargetError:
        self._progress(Step(doing="looking for what cannot be met"))
        assert found.fastest is not None  # no point was excluded
        return unmet(
            self._problem,
            self._models,
            self._aim,
            reach=self._reward.reach,
            within=found.fastest.codes,
            seed=seed,
        )

    def _front(self, found: SearchResult, more: Sequence[Architecture]) -> tuple[Network, ...]:
        networks = [self._space.decode(candidate.codes) for candidate in _spread(found.front, 4 * FRONT_SIZE)]
        networks = list({network.digest: network for network in [*networks, *more]}.values())
        figures = self._models.figures(networks)
        kept = [networks[i] for i in pareto_front(figures.standing.bounded_ms, figures.score)]
        return tuple(self._records(_spread(kept, FRONT_SIZE)))

    def _points(self) -> list[Architecture]:
        """The known networks that are points of the space as they are, and all that a user named."""
        inside, sides = self._begin.inside, self._space.resolutions
        found = [n for n in self._known if n.digest in inside and n.resolution in sides]
        return list({network.digest: network for network in (*found, *self._named)}.values())


def _best_score(ranked: Mapping[str, tuple[float, float]], networks: Iterable[Architecture]) -> float | None:
    """The score of the best of `networks`; `ranked` has values and scores by digest."""
    return max((ranked[n.digest] for n in networks if n.digest in ranked), default=(0.0, None))[1]


def _best(accuracy: float | None) -> str:
    """What progress tells of the best network so far, by its predicted mean accuracy (a fraction)."""
    return "" if accuracy is None else f"predicted top-1 {100 * accuracy:.1f} %"


def _spread(items: Sequence[_T], count: int) -> list[_T]:
    """At most `count` of `items`, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def with_zoo(answer: SearchAnswer, folder: str) -> SearchAnswer:
    """The answer, its network exported to `folder`; the front's copy of it too."""

    def marked(networks: Iterable[Network]) -> tuple[Network, ...]:
        digest = answer.best.architecture.digest
        return tuple(replace(n, zoo=folder) if n.architecture.digest == digest else n for n in networks)

    return replace(answer, best=marked([answer.best])[0], front=marked(answer.front))
