"""The main job: the most accurate network of a space for a latency on a device.

The space is compiled to arrays and searched by its strategy; the best networks above the target, and the known ones
there, are shrunk by NetAdapt; the answer is the feasible network with the best score.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyEstimate, AccuracyModel
from nas.errors import InputError, TargetError, UnknownOperatorError
from nas.evaluate import (
    ChannelAdaptation,
    Figures,
    Limits,
    Models,
    Simplicity,
    Simplifier,
    SpaceCoverage,
    SpaceProblem,
    search_uniform,
    simplicity,
    space_coverage,
)
from nas.evaluate.coverage import lacking_text
from nas.jobs.gain import Gain, gain_over_known
from nas.latency import Estimate, LatencyModel
from nas.latency.published.cost_model import Floats
from nas.progress import OnProgress, Step, counted, silent
from nas.space import Architecture, known_networks
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES
from nas.space.encode import encode
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import (
    Evolution,
    Exhaustive,
    Progress,
    Reward,
    SearchResult,
    SearchTask,
    Strategy,
    pareto_front,
    strategy_named,
)
from nas.strategies.archive import START_LIMIT
from nas.strategies.evolution import Niche

ENUMERABLE = 1_000_000
"""Spaces of up to this many codes are searched exhaustively."""

NEAR_TARGET = 0.9
"""Below this part of the target an answer says why it is no slower."""
ALIKE = 0.003
"""Answers whose scores differ by no more cannot be told apart, and the simplest of them is taken: published figures of
one network differ by as much."""
NO_LIMITS = Limits()
FRONT_SIZE = 32

_LOOK = Evolution(evaluations=60_000, offspring=2048, rounds=2)
"""How long is looked whether a target can be met at all, before a search begins again."""

_T = TypeVar("_T")


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

    `reward` is by the lower bound of accuracy; `novelty` the distance to networks of published accuracy;
    `indistinguishable` says of a known network that the accuracy model cannot tell it from the answer (the 90 %
    interval of their difference holds 0). What an answer is made of, and nothing else, is counted (`simplicity`).
    """

    name: str
    architecture: Architecture
    params: int
    macs: int
    latency: Estimate
    accuracy: AccuracyEstimate
    reward: float
    novelty: float
    simplicity: Simplicity | None = None
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
            "accuracy": self.accuracy.as_json(),
            "published": self.published.as_json() if self.published else None,
            "reward": self.reward,
            "novelty": self.novelty,
            "simplicity": self.simplicity.as_json() if self.simplicity else None,
            "indistinguishable": self.indistinguishable,
            "architecture": self.architecture.as_mapping(),
            "zoo": self.zoo,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a search found.

    `before_shrinking` and `after_shrinking` are the best scores (`Figures.score`) of the strategy alone and of
    NetAdapt's networks (None where there are none); `front` is the Pareto front of latency and score, `baselines` the
    known networks, both fastest first; `gain` is over the best of these that meets the target (None where none does);
    `simple` says that only networks of one kind of block and one activation were searched; `cost` what the score of the
    answer lies below the best one that was found, for being simpler (None: it has the best). `notes` say what a reader
    should know of the answer.
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
    gain: Gain | None = None
    simple: bool = False
    cost: float | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The search record of the contract, without `run` and `seconds`."""
        return {
            "space": self.space,
            "device": self.device,
            "target_ms": self.target_ms,
            "reward": self.reward.as_json(),
            "seed": self.seed,
            "confidence": self.limits.confidence,
            "max_novelty": self.limits.max_novelty,
            "max_interval": self.limits.max_interval,
            "max_params": self.limits.max_params,
            "max_macs": self.limits.max_macs,
            "simple": self.simple,
            "simpler": None if self.cost is None else {"cost": self.cost},
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
    target_ms: float,
    reward: Reward | str = "soft",
    w: float | None = None,
    seed: int = 0,
    strategy: Strategy | str | None = None,
    limits: Limits = NO_LIMITS,
    published: Callable[[Architecture], Published | None] = lambda network: None,
    starts: int = 3,
    covered_only: bool = False,
    simple: bool = False,
    alike: float = ALIKE,
    progress: OnProgress = silent,
) -> SearchAnswer:
    """The feasible network of `space`, shrunk freely in multiples of 8 channels, with the best score; or the simplest
    whose score lies no more than `alike` below (`nas.evaluate.simplicity`).

    With `simple` only networks of one kind of block and one activation are searched.

    `target_ms` is in milliseconds; `reward` a form ("soft", "hard", "absolute") with its exponent `w`, or a `Reward`;
    `starts` networks above the target are shrunk by NetAdapt (0: none). Same arguments, same answer. Raises
    `TargetError` where no network meets the target, naming the fastest one; where only networks beyond
    `Limits.max_interval` do, the answer is one of them and says so. On a device that has a table alone, known
    networks without a latency are left out; where the space has layers without one, `UnknownOperatorError` says what it
    costs, and with `covered_only` the search goes on without them.
    """
    if not (math.isfinite(target_ms) and target_ms > 0):
        raise InputError(f"the target must be positive and finite, but got target_ms={target_ms}.")
    goal = reward if isinstance(reward, Reward) else Reward.parse(reward, w)
    chosen = strategy_for(space, strategy) if strategy is None or isinstance(strategy, str) else strategy
    # With several threads sums round differently, and a search would depend on the machine's number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        known = [
            network.adapted(num_classes=space.num_classes, in_channels=space.in_channels)
            for network in known_networks()
        ]
        models = Models(latency, accuracy, limits, known=known)
        job = _Search(space, models, known, target_ms, goal, published, progress, covered_only=covered_only)
        job.simple, job.alike = simple, alike
        try:
            return job.run(chosen, seed, starts)
        except TargetError:
            if models.usual is None or limits.max_interval is None:
                raise
        # As for novelty: an answer of which less is known, and is said to be, is worth more than none.
        job.lift_interval_limit()
        if isinstance(chosen, Evolution):
            job.look(seed)
        return replace(job.run(chosen, seed, starts), limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranking:
    """Networks that may be the answer, at least one of them feasible (`meets`); known ones behind `num_own` others."""

    networks: list[Architecture]
    num_own: int
    figures: Figures
    score: Floats
    meets: NDArray[np.bool_]

    @property
    def best(self) -> int:
        """The feasible one with the best score; of equal ones one that is not known, then the faster one."""
        feasible: list[int] = np.flatnonzero(self.meets).tolist()
        return min(feasible, key=self._order)

    def simplest(self, alike: float) -> tuple[int, Simplicity]:
        """The simplest of those whose score lies at most `alike` below the best; of equally simple ones the best."""
        near = np.flatnonzero(self.meets & (self.score >= self.score[self.best] - alike)).tolist()
        counted = {i: simplicity(self.networks[i]) for i in near}
        first = min(near, key=lambda i: (counted[i], *self._order(i)))
        return first, counted[first]

    def _order(self, i: int) -> tuple[float, bool, float, str]:
        known = i >= self.num_own
        return -float(self.score[i]), known, float(self.figures.latency_ms[i]), self.networks[i].digest


class _Search:
    """One search: its models, and what it has come to know."""

    simple: bool = False
    alike: float = ALIKE

    def __init__(
        self,
        space: SearchSpace,
        models: Models,
        known: Sequence[Architecture],
        target_ms: float,
        reward: Reward,
        published: Callable[[Architecture], Published | None],
        progress: OnProgress,
        *,
        covered_only: bool,
    ) -> None:
        self._space, self._models, self._target_ms, self._reward = space, models, target_ms, reward
        self._published, self._progress = published, progress
        self._covered_only = covered_only
        self._known = models.covered(known)
        self._notes: list[str] = []
        self._problem: SpaceProblem | None = None
        self._lifted: float | None = None
        if len(self._known) < len(known):
            device = models.latency.device.name
            self._notes.append(
                f"{len(known) - len(self._known)} of {len(known)} known networks are left out of the comparison: the"
                f" table of {device} lacks rows for their layers, and {device} has no operator costs."
            )
        # Those that are points of the space, at some size, with their codes.
        self._inside: dict[str, Codes] = {}
        for network in known:
            with contextlib.suppress(InputError):
                self._inside[network.name] = encode(space, network.at_resolution(space.resolutions[0]))

    def run(self, strategy: Strategy, seed: int, starts: int) -> SearchAnswer:
        """Search, shrink, answer. Raises `TargetError` where nothing met the target."""
        found = self.explore(strategy, seed)
        return self.answer(found, self.shrink(found, starts), seed)

    def _simpler(self, found: SearchResult, score: float, seed: int) -> list[Architecture]:
        """Networks that are simpler than those that were found, with about this score at the least."""
        begin = np.array([c.codes for c in (*found.top, *found.apart, *found.starts)], dtype=np.int64)
        if self.alike <= 0 or self._problem is None or not found.top:
            return []
        self._progress(Step(doing="looking for simpler networks"))
        simplifier = Simplifier(
            problem=self._problem,
            fitness=Niche(cap_ms=self._target_ms).fitness,
            floor=score - self.alike,
            rng=np.random.default_rng(seed),
        )
        return [self._space.decode(codes) for codes in simplifier.simpler(begin)]

    def lift_interval_limit(self) -> None:
        """Let intervals be as wide as they come out from now on."""
        limits = self._models.limits
        self._lifted = limits.max_interval
        self._models = self._models.with_limits(replace(limits, max_interval=None))
        if self._problem is not None:
            self._problem = self._problem.under(self._models)

    def look(self, seed: int) -> None:
        """Raises `TargetError` where a short search finds nothing that meets the target."""
        found = self.explore(_LOOK, seed)
        if found.best is None:
            raise self._cannot_meet(found)

    def _compiled(self, *, exact: bool) -> SpaceProblem:
        """The compiled space; compiled once."""
        if self._problem is None:
            compiled = counted("compiling the space", self._progress)
            self._problem = SpaceProblem(self._space, self._models, exact=exact, progress=compiled)
            if self._models.latency.operators is None:
                self._check_coverage(space_coverage(self._problem.compiled))
        return self._problem

    def explore(self, strategy: Strategy, seed: int) -> SearchResult:
        """The strategy's result on the compiled space."""
        problem = self._compiled(exact=isinstance(strategy, Exhaustive))

        def report(state: Progress) -> None:
            note = _best(state.best_accuracy)
            self._progress(Step(doing="searching", done=state.evaluated, of=state.limit, note=note))

        task = SearchTask(
            target_ms=self._target_ms,
            reward=self._reward,
            rng=np.random.default_rng(seed),
            initial=self._initial(),
            progress=report,
        )
        return search_uniform(strategy, problem, task) if self.simple else strategy.search(problem, task)

    def _check_coverage(self, found: SpaceCoverage) -> None:
        """Raises `UnknownOperatorError` for layers without a row, or, where the search goes on without, notes them."""
        if not found.lacking:
            return
        text = lacking_text(found, self._space, self._models.latency)
        if found.is_empty or not self._covered_only:
            way = "" if found.is_empty else ", or search in what is covered (--covered-only)"
            raise UnknownOperatorError(f"{text}; measure or import the rows, or fit operator coefficients{way}.")
        self._notes.append(f"Searched only in what the table covers: {text}.")

    def _initial(self) -> Codes | None:
        """The codes of the known networks that are points of the space, at each of its resolutions."""
        if not self._inside:
            return None
        sides = len(self._space.resolutions)
        found = np.repeat(np.stack(list(self._inside.values())), sides, axis=0)
        found[:, self._space.columns["resolution"]] = np.tile(np.arange(sides), len(self._inside))
        return found

    def _points(self) -> list[Architecture]:
        """The known networks that are points of the space at some size."""
        inside = [network for network in self._known if network.name in self._inside]
        return [network for network in inside if simplicity(network).is_uniform] if self.simple else inside

    def shrink(self, found: SearchResult, count: int) -> list[Architecture]:
        """NetAdapt from the strategy's best above the target and the best known point there: what is feasible."""
        if count == 0:
            return []
        begin = [self._space.decode(candidate.codes) for candidate in found.starts[:count]]
        known = self._points()
        if known:
            figures = self._models.figures(known)
            ratio = figures.bounded_ms / self._target_ms
            above = np.flatnonzero((ratio > 1) & (ratio <= START_LIMIT))
            begin += [known[i] for i in above[np.argsort(-figures.score[above], kind="stable")[:1]]]
        adaptation = ChannelAdaptation(self._models, divisor=self._space.divisor)
        met: list[Architecture] = []
        best = (found.best.score, found.best.accuracy) if found.best else None
        for i, start in enumerate(begin):
            note = _best(best and best[1])

            def report(share: float, done: int = i, note: str = note) -> None:
                self._progress(Step(doing="shrinking", done=done + share, of=len(begin), note=note))

            report(0.0)
            result = adaptation.shrink(start, target_ms=self._target_ms, progress=report)
            met += [adaptation.network(shrunk.state, start) for shrunk in result.met[:8]]
            if result.best is not None and (best is None or result.best.score > best[0]):
                mean = self._models.figures([adaptation.network(result.best.state, start)]).believed.mean
                best = (result.best.score, float(mean[0]))
        if begin and not met and self._models.latency.operators is None:
            self._notes.append(
                "Shrinking found no network that meets the target: the table has rows for few widths but those of the"
                " space."
            )
        return met

    def answer(self, found: SearchResult, shrunk: Sequence[Architecture], seed: int) -> SearchAnswer:
        """The records; raises `TargetError` where nothing met the target."""
        self._progress(Step(doing="comparing with the known networks"))
        explored = [self._space.decode(candidate.codes) for candidate in (*found.top, *found.apart)]
        known = {network.digest: network for network in self._known}
        own = {n.digest: n for n in [*explored, *shrunk] if n.digest not in known}
        points = [n for n in self._points() if n.resolution in self._space.resolutions]
        ranking = self._rank(list(own.values()), points)
        if ranking is None:
            raise self._cannot_meet(found)
        simpler = self._simpler(found, ranking.score[ranking.best], seed)
        own |= {network.digest: network for network in simpler if network.digest not in known}
        ranking = self._rank(list(own.values()), points) or ranking
        networks, figures, score, meets = ranking.networks, ranking.figures, ranking.score, ranking.meets
        first, counted = ranking.simplest(self.alike)
        best, notes = networks[first], self._notes
        if first >= len(own):
            why = "the search found none better" if first == ranking.best else "it is the simplest of the best"
            notes.append(f"The answer is the known network {best.name}: {why} in {self._space.name}.")
        else:
            best = best.named(f"{self._space.name}-{self._target_ms:g}ms-{best.digest[:8]}")
            limit, novelty = self._models.limits.max_novelty, figures.accuracy.novelty[first]
            if limit is not None and novelty > 1.05 * limit:
                notes.append(
                    f"No network near those of published accuracy meets the target: the answer lies {novelty:.1f} times"
                    " as far from them as they lie from one another; believe its accuracy less than its interval says."
                )
        if self._lifted is not None and figures.interval_ratio[first] > self._lifted:
            notes.append(
                f"Nothing that meets the target has a latency that is known as well as --max-interval {self._lifted:g}"
                f" asks: the answer's interval is {figures.interval_ratio[first]:.1f} times as wide as is usual for"
                " known networks of its latency."
            )
        scores = dict(zip((network.digest for network in networks), score, strict=True))
        baselines = self._baselines(best, chosen=best.digest not in known)
        answer = replace(self._records([best])[0], simplicity=counted)
        if best.on_imagenet() is not best:
            notes.append(
                f"Accuracies are those of the same layers on ImageNet ({IMAGENET_CLASSES} classes, {IMAGENET_CHANNELS}"
                f" channels); on {best.num_classes} classes of other images they will differ."
            )
        notes += self._better(answer, baselines)
        notes += self._slower(int(first), networks, figures, score, meets)
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
            gain=gain_over_known(self._models, best, self._known, target_ms=self._target_ms),
            before_shrinking=max((float(scores[n.digest]) for n in explored if n.digest in scores), default=None),
            after_shrinking=max((float(scores[n.digest]) for n in shrunk if n.digest in scores), default=None),
            front=self._front(found, [best, *shrunk]),
            baselines=tuple(baselines),
            simple=self.simple,
            cost=None if first == ranking.best else float(score[ranking.best] - score[first]),
            notes=tuple(dict.fromkeys(notes)),
        )

    def _rank(self, own: Sequence[Architecture], points: Sequence[Architecture]) -> _Ranking | None:
        """Networks that a search found, and known ones that are points of the space; None where none is feasible."""
        if not own and not points:
            return None
        figures = self._models.figures([*own, *points])
        meets = figures.standing.feasible(self._target_ms)
        # Known networks are ranked by the bound alone: nothing about them is novel.
        score = np.concatenate((figures.score[: len(own)], figures.accuracy.low[len(own) :]))
        ranking = _Ranking(networks=[*own, *points], num_own=len(own), figures=figures, score=score, meets=meets)
        return ranking if meets.any() else None

    def _baselines(self, best: Architecture, *, chosen: bool) -> list[Network]:
        """The known networks that have a latency, fastest first."""
        if not self._known:
            return []
        same = (~self._models.gains(best, self._known, chosen=chosen).told_apart).tolist()
        records = [replace(r, indistinguishable=s) for r, s in zip(self._records(self._known), same, strict=True)]
        return sorted(records, key=lambda record: record.latency.mean_ms)

    def _slower(
        self, first: int, networks: Sequence[Architecture], figures: Figures, score: Floats, meets: NDArray[np.bool_]
    ) -> list[str]:
        """Where the answer is much faster than asked: a note that nothing slower is better."""
        if figures.bounded_ms[first] >= NEAR_TARGET * self._target_ms:
            return []
        slower = np.flatnonzero(meets & (figures.bounded_ms >= NEAR_TARGET * self._target_ms))
        text = f"The answer is below {NEAR_TARGET:g} of the target because nothing slower that was found ranks higher"
        if not len(slower):
            return [f"{text}."]
        best = max(slower, key=lambda i: score[i])
        if score[best] > score[first]:
            text = f"The answer is below {NEAR_TARGET:g} of the target because it is simpler than what ranks higher"
        return [
            (
                f"{text}: of the others the best is {networks[best].name} ({figures.latency_ms[best]:.3f} ms), whose"
                f" score is {100 * score[best]:.1f} against {100 * score[first]:.1f}."
            )
        ]

    def _better(self, answer: Network, baselines: Sequence[Network]) -> list[str]:
        """A note where a known network that meets the target, but is no point of the space, ranks above the answer."""
        if not baselines:
            return []
        figures = self._models.figures([known.architecture for known in baselines])
        feasible = figures.standing.feasible(self._target_ms).tolist()
        under = [known for known, good in zip(baselines, feasible, strict=True) if good]
        best = max(under, key=lambda known: known.accuracy.low, default=answer)
        if best.accuracy.low <= answer.accuracy.low:
            return []
        note = f"The known network {best.name}, no point of {self._space.name}, ranks above the answer"
        return [f"{note} at {best.latency.mean_ms:.3g} ms: take it, or a space with its blocks."]

    def _cannot_meet(self, found: SearchResult) -> TargetError:
        assert found.fastest is not None  # no point was excluded
        if not self._models.covered([self._space.decode(found.fastest.codes)]):
            return TargetError(
                f"a network of the space {self._space.name} must have a row in the table of"
                f" {self._models.latency.device.name} for each of its layers, but none was found; import more rows."
            )
        fastest = self._records([self._space.decode(found.fastest.codes)])[0]
        limits = self._models.limits
        kept = " within the limits on parameters and MACs" if limits.caps else ""
        sure = f" with a probability of {limits.confidence:g}" if limits.confidence else ""
        return TargetError(
            f"a network of the space {self._space.name} must take at most {self._target_ms:g} ms on"
            f" {self._models.latency.device.name}{sure}{kept}, but the fastest one found, {fastest.name}, takes"
            f" {fastest.latency.mean_ms:.3g} ms [{fastest.latency.low_ms:.3g}, {fastest.latency.high_ms:.3g}]"
            f" ({fastest.latency.source}); raise the target or take a space with smaller networks."
        )

    def _front(self, found: SearchResult, more: Sequence[Architecture]) -> tuple[Network, ...]:
        networks = [self._space.decode(candidate.codes) for candidate in _spread(found.front, 4 * FRONT_SIZE)]
        networks = list({network.digest: network for network in [*networks, *more]}.values())
        figures = self._models.figures(networks)
        kept = [networks[i] for i in pareto_front(figures.bounded_ms, figures.score)]
        return tuple(self._records(_spread(kept, FRONT_SIZE)))

    def _records(self, networks: Sequence[Architecture]) -> list[Network]:
        """The networks with their figures; what a search found is believed, known networks are taken as they are."""
        figures = self._models.figures(networks)
        known = {network.digest for network in self._known}
        accuracies = [
            as_it_is if network.digest in known else believed
            for network, as_it_is, believed in zip(
                networks, figures.accuracy.records(), figures.believed.records(), strict=True
            )
        ]
        low = np.array([accuracy.low for accuracy in accuracies])
        rewards = self._reward.reward(low, figures.bounded_ms, self._target_ms)
        return [
            Network(
                name=network.name,
                architecture=network,
                params=int(figures.params[i]),
                macs=int(figures.macs[i]),
                latency=self._models.latency.estimate(network),
                accuracy=accuracies[i],
                reward=float(rewards[i]),
                novelty=float(figures.accuracy.novelty[i]),
                published=self._published(network),
            )
            for i, network in enumerate(networks)
        ]


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
