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
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyEstimate, AccuracyModel
from nas.errors import InputError, TargetError, unknown_name
from nas.evaluate import ChannelAdaptation, Figures, Limits, Models, SpaceProblem, further
from nas.evaluate.also import Targets
from nas.jobs.beginnings import Beginnings
from nas.jobs.unmet import interval_text, unmet_elsewhere
from nas.latency import Estimate, LatencyModel
from nas.latency.published.cost_model import Floats
from nas.space import Architecture
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES
from nas.space.search_space import SearchSpace
from nas.strategies import (
    Evolution,
    Exhaustive,
    Goal,
    Progress,
    RandomSearch,
    Reward,
    SearchResult,
    SearchTask,
    Strategy,
    pareto_front,
)
from nas.strategies.reward import REACH

ENUMERABLE = 1_000_000
"""Spaces of up to this many codes are searched exhaustively."""

NEAR_TARGET = 0.9
"""Below this part of the target an answer says why it is no slower."""
NO_LIMITS = Limits()
FRONT_SIZE = 32
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "evolution": Evolution,
    "exhaustive": Exhaustive,
    "random": RandomSearch,
}

_T = TypeVar("_T")

OnProgress = Callable[[str, float | None], None]
"""(what is being done, the predicted mean accuracy of the best network so far)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What others printed of a known network: ImageNet top-1 (a fraction) and latency on the device, with sources."""

    top1: float | None
    latency_ms: float | None
    source: str

    def as_json(self) -> dict[str, Any]:
        """The record of the contract."""
        return {"top1": self.top1, "latency_ms": self.latency_ms, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network in an answer, with its figures.

    `also` are its latencies on further devices, by their names; `reward` is by the lower bound of accuracy; `novelty`
    the distance to networks of published accuracy; `indistinguishable` says of a known network that the accuracy model
    cannot tell it from the answer (the 90 % interval of their difference holds 0).
    """

    name: str
    architecture: Architecture
    params: int
    macs: int
    latency: Estimate
    accuracy: AccuracyEstimate
    reward: float
    novelty: float
    also: Mapping[str, Estimate] = field(default_factory=dict)
    indistinguishable: bool = False
    published: Published | None = None
    zoo: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The record NETWORK of the contract."""
        return {
            "name": self.name,
            "digest": self.architecture.digest,
            "params": self.params,
            "macs": self.macs,
            "latency": self.latency.as_json(),
            "also": {device: latency.as_json() for device, latency in self.also.items()},
            "accuracy": self.accuracy.as_json(),
            "published": self.published.as_json() if self.published else None,
            "reward": self.reward,
            "novelty": self.novelty,
            "indistinguishable": self.indistinguishable,
            "architecture": self.architecture.as_mapping(),
            "zoo": self.zoo,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a search found.

    `before_shrinking` and `after_shrinking` are the best scores (`Figures.score`) of the strategy alone and of
    NetAdapt's networks (None where there are none); `front` is the Pareto front of latency and score, `baselines` the
    known networks, both fastest first; `starts` are the networks that a user named to begin from; `also` the targets on
    further devices, by their names; `notes` say what a reader should know of the answer.
    """

    space: str
    space_size: int
    device: str
    target_ms: float
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
    notes: tuple[str, ...] = ()

    @property
    def above_target_ms(self) -> float:
        """How far the answer lies above the target, in milliseconds: 0 unless a reward pays for it."""
        return max(self.best.latency.mean_ms - self.target_ms, 0.0)

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
            "max_gain": self.limits.max_gain,
            "max_params": self.limits.max_params,
            "max_macs": self.limits.max_macs,
            "evaluated": self.evaluated,
            "space_size": str(self.space_size),
            "exact": self.exact,
            "score_before_shrinking": self.before_shrinking,
            "score_after_shrinking": self.after_shrinking,
            "notes": list(self.notes),
            "best": self.best.as_json(),
            "front": [network.as_json() for network in self.front],
            "baselines": [network.as_json() for network in self.baselines],
            "starts": [network.as_json() for network in self.starts],
        }


def strategy_named(name: str | None, space: SearchSpace) -> Strategy:
    """The strategy called `name`; None chooses: exhaustive where the space is small enough, else evolution."""
    if name is None:
        size = math.prod(space.cardinalities.tolist())
        return Exhaustive(limit=ENUMERABLE) if size <= ENUMERABLE else Evolution()
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]()


def search(
    space: SearchSpace,
    *,
    latency: LatencyModel,
    accuracy: AccuracyModel,
    target_ms: float,
    also: Targets = (),
    reward: Reward | str = "hard",
    w: float | None = None,
    seed: int = 0,
    strategy: Strategy | str | None = None,
    limits: Limits = NO_LIMITS,
    published: Callable[[Architecture], Published | None] = lambda network: None,
    starts: int = 3,
    start_from: Sequence[Architecture | str] = (),
    progress: OnProgress = lambda doing, best: None,
) -> SearchAnswer:
    """The network of `space`, shrunk freely in multiples of 8 channels, that the reward is best for.

    `target_ms` is in milliseconds; `reward` a form with its exponent `w`, or a `Reward`: with "hard" nothing above the
    target wins, with "soft" and "absolute" what the reward pays for does, up to 1.3 times the target. `also` are
    further latency models with targets of their own, all of which the answer meets. `starts` networks above the target
    are shrunk by NetAdapt (0: none). `start_from` are networks to begin from, or what names them: points of the space
    are the strategy's, all that are above the target NetAdapt's, and each may be the answer. Same arguments, same
    answer. Raises `TargetError` where no network meets the targets, naming the fastest one.
    """
    goal = Goal(target_ms=target_ms, reward=reward if isinstance(reward, Reward) else Reward.parse(reward, w))
    if limits.confidence is not None and goal.limit_ms > target_ms:
        raise InputError(
            "a confidence is that of keeping the target, which the hard reward alone does, but got"
            f" confidence={limits.confidence} with the {goal.reward.form} reward; leave one of them out."
        )
    chosen = strategy_named(strategy, space) if strategy is None or isinstance(strategy, str) else strategy
    # With several threads sums round differently, and a search would depend on the machine's number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        begin = Beginnings.of(space, start_from)
        models = Models(latency, accuracy, limits, known=begin.known, also=further(also, latency))
        job = _Search(space, models, begin, goal, published, progress)
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
        goal: Goal,
        published: Callable[[Architecture], Published | None],
        progress: OnProgress,
    ) -> None:
        self._space, self._models, self._begin, self._goal = space, models, begin, goal
        self._target_ms, self._reward = goal.target_ms, goal.reward
        self._published, self._progress = published, progress
        self._known = begin.known

    def explore(self, strategy: Strategy, seed: int) -> SearchResult:
        """The strategy's result on the compiled space."""
        self._progress("compiling the space to arrays", None)
        problem = SpaceProblem(self._space, self._models, exact=isinstance(strategy, Exhaustive))

        def report(state: Progress) -> None:
            self._progress(f"searching: {state.evaluated:,} networks", state.best_accuracy)

        task = SearchTask(
            target_ms=self._target_ms,
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
            ratio, score = figures.bounded_ms / found.aim_ms, self._score(known, figures)
            above = np.flatnonzero((ratio > 1) & (ratio <= REACH))
            begin += [known[i] for i in above[np.argsort(-score[above], kind="stable")[:1]]]
        if named := self._begin.named:
            arrived = self._models.figures(named).standing.feasible(found.aim_ms).tolist()
            begin += [network for network, there in zip(named, arrived, strict=True) if not there]
        adaptation = ChannelAdaptation(self._models, divisor=self._space.divisor)
        met: list[Architecture] = []
        best = (found.best.reward, found.best.accuracy) if found.best else None
        for i, start in enumerate(begin, start=1):
            self._progress(f"shrinking start {i} of {len(begin)}", best and best[1])
            result = adaptation.shrink(start, target_ms=found.aim_ms, goal=self._goal)
            met += [adaptation.network(shrunk.state, start) for shrunk in result.met[:8]]
            if result.best is not None:
                first = self._models.figures([adaptation.network(result.best.state, start)])
                best = max(best or (-math.inf, 0.0), (self._value(first)[0], float(first.accuracy.mean[0])))
        return met

    def _score(self, networks: Sequence[Architecture], figures: Figures) -> Floats:
        """What networks are ranked by, shape (n,): nothing is novel about those of which others printed a top-1."""
        printed = np.array([network.digest in self._begin.published for network in networks], dtype=np.bool_)
        return np.where(printed, figures.accuracy.low, figures.score)

    def _value(self, figures: Figures, score: Floats | None = None) -> Floats:
        """The reward of `score` (n,), by default that of the figures."""
        score = figures.score if score is None else score
        return self._reward.reward(score, figures.bounded_ms, self._target_ms)

    def answer(self, found: SearchResult, shrunk: Sequence[Architecture], seed: int) -> SearchAnswer:
        """The records; raises `TargetError` where nothing met the target."""
        explored = [self._space.decode(candidate.codes) for candidate in found.top]
        known = {network.digest: network for network in self._known}
        own = {n.digest: n for n in [*explored, *shrunk] if n.digest not in known}
        points = self._begin.points(self._space)
        own = {digest: n for digest, n in own.items() if digest not in {point.digest for point in points}}
        networks = [*own.values(), *points]
        if not networks:
            raise self._cannot_meet(found)
        figures = self._models.figures(networks)
        meets = self._goal.feasible(figures.standing)
        if not meets.any():
            raise self._cannot_meet(found)
        score = self._score(networks, figures)
        value = self._value(figures, score)
        # Of equal values the network that is neither known nor named, then the faster one.
        first = min(
            np.flatnonzero(meets),
            key=lambda i: (-value[i], i >= len(own), figures.latency_ms[i], networks[i].digest),
        )
        best, notes = networks[first], []
        if first >= len(own):
            what = "known network" if best.digest in known else "network to begin from,"
            notes.append(f"The answer is the {what} {best.name}: the search found none better in {self._space.name}.")
        else:
            best = best.named(f"{self._space.name}-{self._target_ms:g}ms-{best.digest[:8]}")
            limit, novelty = self._models.limits.max_novelty, figures.accuracy.novelty[first]
            if limit is not None and novelty > 1.05 * limit:
                notes.append(
                    f"No network near those of published accuracy meets the target: the answer lies {novelty:.1f} times"
                    " as far from them as they lie from one another; believe its accuracy less than its interval says."
                )
        notes += self._against_target(int(first), networks, figures, value, score, meets)
        ranked = {n.digest: (float(v), float(s)) for n, v, s in zip(networks, value, score, strict=True)}
        baselines = sorted(self._beside(best, self._known), key=lambda record: record.latency.mean_ms)
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
            target_ms=self._target_ms,
            reward=self._reward,
            seed=seed,
            limits=self._models.limits,
            evaluated=found.evaluated,
            exact=found.exact,
            best=answer,
            before_shrinking=_best_score(ranked, explored),
            after_shrinking=_best_score(ranked, shrunk),
            front=self._front(found, [best, *shrunk]),
            baselines=tuple(baselines),
            starts=tuple(self._beside(best, self._begin.named)),
            also={one.device: one.target_ms for one in self._models.also},
            notes=tuple(notes),
        )

    def _against_target(
        self,
        first: int,
        networks: Sequence[Architecture],
        figures: Figures,
        value: Floats,
        score: Floats,
        meets: NDArray[np.bool_],
    ) -> list[str]:
        """Where the answer is much faster than asked, or slower: a note that tells why."""
        answer_ms, target_ms = figures.bounded_ms[first], self._target_ms
        reward = self._reward.form
        if answer_ms > target_ms:
            text = (
                f"The answer lies {100 * (answer_ms / target_ms - 1):.1f} % above the target ({answer_ms:.3f} ms):"
                f" the {reward} reward pays for it"
            )
            others, where = np.flatnonzero(meets & (figures.bounded_ms <= target_ms)), "at or under the target"
        elif answer_ms < NEAR_TARGET * target_ms:
            text = (
                f"The answer is below {NEAR_TARGET:g} of the target because nothing slower that was found ranks higher"
            )
            if self._goal.limit_ms > target_ms:
                text = (
                    f"The answer lies {100 * (1 - answer_ms / target_ms):.1f} % below the target:"
                    f" the {reward} reward pays for being faster"
                )
            others, where = np.flatnonzero(meets & (figures.bounded_ms >= NEAR_TARGET * target_ms)), "of the others"
        else:
            return []
        if not len(others):
            return [f"{text}."]
        best = max(others, key=lambda i: value[i])
        return [
            (
                f"{text}: {where} the best is {networks[best].name} ({figures.latency_ms[best]:.3f} ms), whose"
                f" score is {100 * score[best]:.1f} against {100 * score[first]:.1f}."
            )
        ]

    def _better(self, value: float, baselines: Sequence[Network]) -> list[str]:
        """A note where a known network that meets the target, but is no point of the space, ranks above the answer."""
        networks = [known.architecture for known in baselines]
        figures = self._models.figures(networks)
        values = self._value(figures, self._score(networks, figures))
        under = np.flatnonzero(self._goal.feasible(figures.standing) & (values > value))
        if not len(under):
            return []
        best = baselines[max(under, key=lambda i: values[i])]
        note = f"The known network {best.name}, no point of {self._space.name}, ranks above the answer"
        return [f"{note} at {best.latency.mean_ms:.3g} ms: take it, or a space with its blocks."]

    def _cannot_meet(self, found: SearchResult) -> TargetError:
        assert found.fastest is not None  # no point was excluded
        fastest = self._space.decode(found.fastest.codes)
        unmet = unmet_elsewhere(self._space, self._models, fastest)
        if unmet is not None:
            return unmet
        limits = self._models.limits
        kept = " within the limits on parameters and MACs" if limits.caps else ""
        others = "".join(f" and {one.target_ms:g} ms on {one.device}" for one in self._models.also)
        sure = f" with a probability of {limits.confidence:g}" if limits.confidence else ""
        reach = self._goal.limit_ms / self._target_ms
        above = f" ({reach:g} times the target, as far as the {self._reward.form} reward pays)" if reach > 1 else ""
        return TargetError(
            f"a network of the space {self._space.name} must take at most {self._goal.limit_ms:g} ms{above} on"
            f" {self._models.latency.device.name}{others}{sure}{kept}, but the fastest one found, {fastest.name}, takes"
            f" {self._latencies(fastest)}; raise the target or take a space with smaller networks."
        )

    def _latencies(self, network: Architecture) -> str:
        """The latency of a network, and those on further devices."""
        elsewhere = [f"{interval_text(one.latency.estimate(network))} on {one.device}" for one in self._models.also]
        return " and ".join([interval_text(self._models.latency.estimate(network)), *elsewhere])

    def _front(self, found: SearchResult, more: Sequence[Architecture]) -> tuple[Network, ...]:
        networks = [self._space.decode(candidate.codes) for candidate in _spread(found.front, 4 * FRONT_SIZE)]
        networks = list({network.digest: network for network in [*networks, *more]}.values())
        figures = self._models.figures(networks)
        kept = [networks[i] for i in pareto_front(figures.bounded_ms, figures.score)]
        return tuple(self._records(_spread(kept, FRONT_SIZE)))

    def _beside(self, best: Architecture, networks: Sequence[Architecture]) -> list[Network]:
        """The records of networks that are put beside the answer."""
        if not networks:
            return []
        same = (~self._models.differences(best, networks).told_apart).tolist()
        return [replace(r, indistinguishable=s) for r, s in zip(self._records(networks), same, strict=True)]

    def _records(self, networks: Sequence[Architecture]) -> list[Network]:
        figures = self._models.figures(networks)
        accuracies = figures.accuracy.records()
        rewards = self._reward.reward(figures.accuracy.low, figures.bounded_ms, self._target_ms)
        return [
            Network(
                name=network.name,
                architecture=network,
                params=int(figures.params[i]),
                macs=int(figures.macs[i]),
                latency=self._models.latency.estimate(network),
                accuracy=accuracies[i],
                reward=float(rewards[i]),
                also={one.device: one.latency.estimate(network) for one in self._models.also},
                novelty=float(figures.accuracy.novelty[i]),
                published=self._published(network),
            )
            for i, network in enumerate(networks)
        ]


def _best_score(ranked: Mapping[str, tuple[float, float]], networks: Iterable[Architecture]) -> float | None:
    """The score of the best of `networks`; `ranked` has values and scores by digest."""
    return max((ranked[n.digest] for n in networks if n.digest in ranked), default=(0.0, None))[1]


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
