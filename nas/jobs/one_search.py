"""One search: the strategy, NetAdapt, filling the target, and which of all that was found is the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import InputError, TargetError
from nas.evaluate import (
    Aim,
    ChannelAdaptation,
    Figures,
    Models,
    Simplifier,
    search_uniform,
    simplicity,
)
from nas.jobs.beginnings import Beginnings
from nas.jobs.coverage import check_coverage, left_out
from nas.jobs.front import FRONT_SIZE, front_of, spread
from nas.jobs.gain import gain_over_known
from nas.jobs.network import Network, NetworkRecords
from nas.jobs.ranking import Ranking
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.told import History, best_so_far, reported
from nas.jobs.unmet import unmet
from nas.jobs.why import about_answer, against_target
from nas.latency.published.cost_model import Floats
from nas.progress import Step
from nas.space import Architecture
from nas.space.encode import encode
from nas.space.search_space import SearchSpace
from nas.strategies import (
    Evolution,
    Goal,
    SearchResult,
    SearchTask,
    Strategy,
)
from nas.strategies.evolution import Niche
from nas.strategies.reward import REACH

if TYPE_CHECKING:
    from nas.jobs.searches import Searches

_LOOK = Evolution(evaluations=60_000, offspring=2048, rounds=2)
"""How long is looked whether a target can be met at all, before a search begins again."""

_FILLED = 2
"""How many answers have their widths changed until no change is better."""


class OneSearch:
    """One search: its models, and what it has come to know."""

    def __init__(self, whole: Searches, models: Models, begin: Beginnings, aim: Aim) -> None:
        self._whole, self.models, self._begin, self._aim = whole, models, begin, aim
        self._space, self._progress = whole.space, whole.progress
        self._goal = Goal(target_ms=aim.at_most, reward=whole.reward)
        self._known, self._named = models.covered(begin.known), models.covered(begin.named)
        self._notes = [
            *left_out(models, "known networks", len(self._known), len(begin.known)),
            *left_out(models, "networks to begin from", len(self._named), len(begin.named)),
        ]
        self._lifted: float | None = None
        self._history = History()

    def run(self) -> SearchAnswer:
        """Search, shrink, answer. Raises `TargetError` where nothing met the target."""
        found = self._explore(self._whole.strategy)
        shrunk = self._shrink(found)
        return self._answer(found, shrunk, self._fill(found, shrunk))

    def lift_interval_limit(self) -> None:
        """Let intervals be as wide as they come out from now on."""
        limits = self.models.limits
        self._lifted = limits.max_interval
        self.models = self.models.with_limits(replace(limits, max_interval=None))

    def look(self) -> None:
        """Raises `TargetError` where a short search finds nothing that meets the target."""
        found = self._explore(_LOOK)
        if found.best is None:
            raise self._cannot_meet(found)

    def _explore(self, strategy: Strategy) -> SearchResult:
        """The strategy's result on the compiled space."""
        problem = self._whole.problem(self.models)
        self._notes += check_coverage(problem.compiled, self.models, covered_only=self._whole.covered_only)
        task = SearchTask(
            target_ms=self._aim.at_most,
            reward=self._whole.reward,
            rng=np.random.default_rng(self._whole.seed),
            initial=self._begin.initial(self._space),
            progress=self._history.kept(reported("searching", self._progress)),
        )
        return search_uniform(strategy, problem, task) if self._whole.simple else strategy.search(problem, task)

    def _shrink(self, found: SearchResult) -> list[Architecture]:
        """NetAdapt from the strategy's best starts, the best known point there, and what a user named: the answers."""
        if self._whole.starts == 0:
            return []
        begin = [self._space.decode(candidate.codes) for candidate in found.starts[: self._whole.starts]]
        known = [network for network in self._known if network.digest in self._begin.inside and self._may_be(network)]
        if known:
            figures = self.models.figures(known)
            ratio, score = figures.standing.bounded_ms / found.aim_ms, self._score(known, figures)
            above = np.flatnonzero((ratio > 1) & (ratio <= REACH))
            begin += [known[i] for i in above[np.argsort(-score[above], kind="stable")[:1]]]
        if named := self._named:
            arrived = self.models.figures(named).standing.feasible(found.aim_ms).tolist()
            begin += [network for network, there in zip(named, arrived, strict=True) if not there]
        adaptation = ChannelAdaptation(self.models, divisor=self._space.divisor)
        met: list[Architecture] = []
        best = (found.best.reward, found.best.accuracy) if found.best else None
        for i, start in enumerate(begin):
            note = best_so_far(best and best[1])

            def report(share: float, done: int = i, note: str = note) -> None:
                self._progress(Step(doing="shrinking", done=done + share, of=len(begin), note=note))

            report(0.0)
            result = adaptation.shrink(start, target_ms=found.aim_ms, goal=self._goal, progress=report)
            met += [adaptation.network(shrunk.state, start) for shrunk in result.met[:8]]
            if result.best is not None:
                first = self.models.figures([adaptation.network(result.best.state, start)])
                value = float(self._value(first, first.score)[0])
                best = max(best or (-math.inf, 0.0), (value, float(first.believed.mean[0])))
        if begin and not met and self.models.latency.operators is None:
            self._notes.append(
                "Shrinking found no network that meets the target: the table has rows for few widths but those of the"
                " space."
            )
        return met

    def _fill(self, found: SearchResult, shrunk: Sequence[Architecture]) -> list[Architecture]:
        """What filling the target leads to from the best answers so far, where widths may be changed at all."""
        answers = [*(self._space.decode(candidate.codes) for candidate in found.top[:1]), *shrunk]
        if self._whole.starts == 0 or not answers:
            return []
        self._progress(Step(doing="filling the target"))
        figures = self.models.figures(answers)
        feasible = self._goal.feasible(figures.standing)
        order = np.argsort(-self._value(figures, figures.score), kind="stable").tolist()
        adaptation = ChannelAdaptation(self.models, divisor=self._space.divisor)
        return [adaptation.fill(answers[i], self._goal) for i in [i for i in order if feasible[i]][:_FILLED]]

    def _may_be(self, network: Architecture) -> bool:
        """Whether a known network is among those that are searched."""
        return not self._whole.simple or simplicity(network).is_uniform

    def _score(self, networks: Sequence[Architecture], figures: Figures) -> Floats:
        """What networks are ranked by, shape (n,): nothing is novel about those of which others printed a top-1."""
        printed = np.array([network.digest in self._begin.published for network in networks], dtype=np.bool_)
        return np.where(printed, figures.accuracy.low, figures.score)

    def _value(self, figures: Figures, score: Floats) -> Floats:
        """The reward of `score` (n,)."""
        return self._whole.reward.reward(score, figures.standing.bounded_ms, self._aim.at_most)

    def _answer(
        self, found: SearchResult, shrunk: Sequence[Architecture], filled: Sequence[Architecture]
    ) -> SearchAnswer:
        """The records; raises `TargetError` where nothing met the target."""
        self._progress(Step(doing="comparing with the known networks"))
        explored = [self._space.decode(candidate.codes) for candidate in (*found.top, *found.apart)]
        ranking = self._rank([*explored, *shrunk, *filled])
        if ranking is None:
            raise self._cannot_meet(found)
        simpler = self._simpler(found, float(ranking.value[ranking.best]))
        ranking = self._rank([*explored, *shrunk, *filled, *simpler]) or ranking
        first, counted = ranking.simplest(self._whole.alike, self._told_apart)
        best = ranking.networks[first]
        known = {network.digest for network in self._known}
        is_own, is_chosen = first < ranking.num_own, best.digest not in known
        self._notes += about_answer(
            ranking,
            first,
            space=self._space.name,
            limits=self.models.limits,
            lifted=self._lifted,
            is_known=not is_chosen,
        )
        if self._aim.target_ms is not None:
            self._notes += against_target(self._goal, ranking, first)
        if is_own:
            words = [self._space.name, best.digest[:8]]
            if self._aim.target_ms is not None:
                words.insert(1, f"{self._aim.target_ms:g}ms")
            best = best.named("-".join(words))
        records = NetworkRecords(
            models=self.models,
            known=self._known,
            aim=self._aim,
            reward=self._whole.reward,
            published=self._whole.published,
        )
        baselines = records.beside(best, self._known, chosen=is_chosen)
        self._notes += self._better(float(ranking.value[ranking.best]), baselines)
        sources = {"search": explored, "shrinking": shrunk, "filling": filled, "simplifying": simpler}
        found_by = next((name for name, those in sources.items() if best.digest in {n.digest for n in those}), "known")
        return SearchAnswer(
            space=self._space.name,
            space_size=self._space.size,
            device=self.models.latency.device.name,
            target_ms=self._aim.target_ms,
            reward=self._whole.reward,
            seed=self._whole.seed,
            limits=self.models.limits,
            evaluated=found.evaluated,
            exact=found.exact,
            best=replace(records.detailed([best])[0], simplicity=counted),
            gain=gain_over_known(self.models, best, self._known, at_most=self._aim.at_most),
            found_by=found_by if is_own else "known",
            is_point=_is_point(self._space, best),
            before_shrinking=ranking.best_of(explored),
            after_shrinking=ranking.best_of([*shrunk, *filled]),
            front=tuple(records(self._front(found, [best, *explored, *shrunk, *filled]))),
            baselines=tuple(sorted(baselines, key=lambda one: one.latency.mean_ms)),
            starts=tuple(records.beside(best, self._named, chosen=is_chosen)),
            also={one.device: one.target_ms for one in self.models.also},
            simple=self._whole.simple,
            history=self._history.steps,
            cost=None if first == ranking.best else float(ranking.value[ranking.best] - ranking.value[first]),
            notes=tuple(dict.fromkeys(self._notes)),
        )

    def _rank(self, found: Sequence[Architecture]) -> Ranking | None:
        """What was found, the known networks that are points of the space, and what a user named; None where none of
        them may be the answer."""
        inside, sides = self._begin.inside, self._space.resolutions
        given = [n for n in self._known if n.digest in inside and n.resolution in sides and self._may_be(n)]
        given = list({network.digest: network for network in (*given, *self._named)}.values())
        taken = {network.digest for network in (*given, *self._known)}
        own = list({network.digest: network for network in found if network.digest not in taken}.values())
        networks = [*own, *given]
        if not networks:
            return None
        figures = self.models.figures(networks)
        score = self._score(networks, figures)
        meets = self._goal.feasible(figures.standing)
        value = self._value(figures, score)
        ranking = Ranking(networks=networks, num_own=len(own), figures=figures, score=score, value=value, meets=meets)
        return ranking if meets.any() else None

    def _simpler(self, found: SearchResult, value: float) -> list[Architecture]:
        """Networks that are simpler than those that were found, and worth about as much at the least."""
        if self._whole.alike <= 0 or not found.top:
            return []
        begin = np.array([one.codes for one in (*found.top, *found.apart, *found.starts)], dtype=np.int64)
        self._progress(Step(doing="looking for simpler networks"))
        simplifier = Simplifier(
            problem=self._whole.problem(self.models),
            fitness=Niche(cap_ms=self._goal.limit_ms, goal=self._goal).fitness,
            floor=value - self._whole.alike,
            rng=np.random.default_rng(self._whole.seed),
        )
        return [self._space.decode(codes) for codes in simplifier.simpler(begin)]

    def _told_apart(self, network: Architecture) -> bool:
        """Whether a network is told apart from the best known one that meets the target."""
        gain = gain_over_known(self.models, network, self._known, at_most=self._aim.at_most)
        return gain is not None and gain.told_apart

    def _better(self, value: float, baselines: Sequence[Network]) -> list[str]:
        """A note where a known network that meets the target, but is no point of the space, ranks above all found."""
        if not baselines:
            return []
        networks = [known.architecture for known in baselines]
        figures = self.models.figures(networks)
        values = self._value(figures, self._score(networks, figures))
        under = np.flatnonzero(self._goal.feasible(figures.standing) & (values > value))
        if not len(under):
            return []
        best = baselines[max(under, key=lambda i: values[i])]
        note = f"The known network {best.name}, no point of {self._space.name}, ranks above the answer"
        return [f"{note} at {best.latency.mean_ms:.3g} ms: take it, or a space with its blocks."]

    def _cannot_meet(self, found: SearchResult) -> TargetError:
        self._progress(Step(doing="looking for what cannot be met"))
        assert found.fastest is not None  # no point was excluded
        problem, reach = self._whole.problem(self.models), self._whole.reward.reach
        seed = self._whole.seed
        return unmet(problem, self.models, self._aim, reach=reach, within=found.fastest.codes, seed=seed)

    def _front(self, found: SearchResult, more: Sequence[Architecture]) -> list[Architecture]:
        """The front over what was found near the target, what lies elsewhere, and the known networks."""
        elsewhere = [] if found.exact else self._whole.sweep(self.models)
        near = [np.array(one.codes) for one in spread(found.front, 4 * FRONT_SIZE)]
        own = [self._space.decode(codes) for codes in (*near, *elsewhere)]
        return front_of(self.models, [*more, *own], self._known)


def _is_point(space: SearchSpace, network: Architecture) -> bool:
    try:
        encode(space, network)
    except InputError:
        return False
    return True
