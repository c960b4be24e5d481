"""A search on a user's images: known networks and those of a space, trained in the same rungs and the same final."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nas.accuracy import PriorModel
from nas.data import DataSet, contents_digest
from nas.data.listing import SPLITS
from nas.errors import NasError, TargetError
from nas.evaluate import Limits
from nas.jobs.data_answer import PARTS, Comparison, Cost, DataAnswer, Part
from nas.jobs.data_before import WHY as TRAINED_BEFORE
from nas.jobs.data_before import Beginning, trained_before
from nas.jobs.data_course import Budget, Course
from nas.jobs.data_finals import TIMED, Candidate, Times, choose, level_note, slack_note
from nas.jobs.data_fit import slower_placements
from nas.jobs.data_full import Final, FullTrainings
from nas.jobs.data_proxies import Sheet
from nas.jobs.data_ranks import ranked
from nas.jobs.data_space import kind_of, rivals, space_for, tried_note
from nas.jobs.inherit import check_unseen, open_source
from nas.jobs.trained import Teaching
from nas.jobs.trials import Where, domain_of
from nas.latency import DeviceHome, LatencyModel
from nas.progress import OnProgress, Step, silent
from nas.space import Architecture
from nas.space.fitted import Form
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training import DEFAULT, FINE_TUNE, Recipe, load_recipe
from nas.trials.asker import Asker
from nas.trials.askers import asker_named
from nas.trials.evaluations import Evaluations
from nas.trials.fastest import fastest
from nas.trials.listed import Listed, ListedDomain
from nas.trials.loop import Loop, Settings
from nas.trials.question import Domain, Question
from nas.trials.records import Trial
from nas.trials.studies import Study, study_question, study_trials
from nas.trials.surrogate import Surrogate
from nas.trials.surrogate.networks import model_of
from nas.trials.surrogate.proxied import Proxied

RUNG_BRANCHES = 1
"""Re-parameterised layers have one branch in rungs, which costs half or less, and all in full trainings."""

WITH_BRANCHES = 1.5
"""So much longer an epoch of a final is expected to take then, of which some networks have branches and some none."""

NEAR = 1.6
"""Known families that are predicted to take up to so many times the target are timed all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuestion:
    """What is asked: networks of `space` for the images of `dataset`, under a goal; `trials` of these are tried and up
    to `baselines` known ones, trained by `recipe` as the `course` says, weights inherited from `init` where there is
    one.
    """

    space: SearchSpace
    dataset: DataSet = field(repr=False)
    goal: Goal
    course: Course
    recipe: Recipe
    trials: int = 30
    baselines: int = 24
    seed: int = 0
    asker: str = "surrogate"
    init: str | None = None
    limits: Limits | None = None


class DataSearch:
    """The search; whatever it has trained is in the store of `where`, so one that is begun again goes on.

    `home` is the device whose stopwatch is asked, if it is reached from here. The data set is read and the known
    networks are fitted to the target here; nothing is trained before the answer is asked for.
    """

    def __init__(
        self,
        question: DataQuestion,
        *,
        latency: LatencyModel,
        home: DeviceHome | None,
        accuracy: PriorModel | None,
        where: Where,
        budget_s: float | None = None,
        progress: OnProgress = silent,
    ) -> None:
        self._progress, self._where = progress, where
        dataset = question.dataset
        counts = np.bincount(dataset.splits(0), minlength=len(SPLITS)).tolist()
        self.images = dict(zip(SPLITS, counts, strict=True))
        self.classes = tuple(dataset.classes)
        self.question = question = replace(question, space=space_for(question.space, dataset))
        source = None if question.init is None else open_source(question.init)
        contents = contents_digest(dataset)
        if source is not None:
            check_unseen(source, contents)
        self.all_images_of = () if source is None else source.all_images_of
        self._teaching = Teaching(
            path=str(dataset.path.resolve()),
            contents=contents,
            recipe=question.recipe,
            scratch=None if source is None else load_recipe(DEFAULT),
            branches=RUNG_BRANCHES if source is None else None,
            init=question.init,
            init_digest=None if source is None else source.digest,
            weights_from=question.course.epochs,
        )
        self._times = Times(latency, home, progress)
        self._domain = domain_of(question.space, latency, accuracy=accuracy, limits=question.limits, progress=progress)
        self._asked = Question(
            domain=self._domain, goal=question.goal, budget=question.trials, seed=question.seed, noisy=True
        )
        self._sheet = Sheet(self._teaching)
        self._asker = asker_named(question.asker, self._asked)
        model = model_of(self._asked)
        if isinstance(self._asker, Surrogate) and model is not None:
            self._asker = Proxied(self._asked, self._asker, self._described, model)
        self._parent = source.module.architecture if source is not None else None
        self._latency, self._accuracy = latency, accuracy
        self.forms = self._rivals({})
        self._budget = Budget(
            budget_s, workers=where.workers, full=1.0 if self._teaching.branches is None else WITH_BRANCHES
        )
        self.study = f"data-{self._digest()}"

    def first(self) -> Architecture:
        """The network that is tried first. Raises `TargetError` where none of the space meets the target."""
        proposals = self._asker.ask([], 1)
        if not proposals or not self._meets(proposals[0].codes):
            raise self._unmet()
        network: Architecture = self._domain.point(proposals[0].codes)
        return network

    @property
    def where(self) -> Where:
        """Where networks are trained."""
        return self._where

    @property
    def teaching(self) -> Teaching:
        """How networks are trained in rungs."""
        return self._teaching

    def kept_text(self) -> str:
        """How many trainings in rungs are kept."""
        return f"{sum(len(trial.curve) for trial in self._before())} trainings in rungs are kept"

    def answer(self) -> DataAnswer:
        """Train in rungs, choose finalists, train these fully, and compare the best two on the test images.

        Raises `TargetError` where nothing meets the target, `NasError` where nothing could be trained.
        """
        began = time.perf_counter()
        self.first()
        self._budget.begin(self._before())
        slower = self._slower()
        if slower:
            self.forms = self._rivals(slower)
        known, listed = self._train_known(slower)
        searched = self._train_searched()
        final = self._final(known, listed, searched)
        full = FullTrainings(
            f"{self.study}-final-{_state_digest([*known, *searched])}", final, teaching=self._teaching,
            asked=self._asked, where=self._where, progress=_as("training finalists", self._progress),
        )  # fmt: skip
        finals, finished = full.run()
        if full.compared(finished)[0] is None:
            raise _nothing_trained(finals)
        self._progress(Step(doing="measuring on test images"))
        finished = full.tested(finished)
        ours, theirs = full.compared(finished)
        assert ours is not None
        comparison = None if theirs is None else Comparison.of(ours, theirs)
        question = self.question
        networks = {form.network.digest: form.network for form in self.forms}
        networks |= {trial.digest: self._domain.point(trial.codes) for trial in searched}
        said = self._proxies([networks[digest] for digest in dict.fromkeys(t.digest for t in (*known, *searched))])
        return DataAnswer(
            study=self.study,
            space=question.space.name,
            space_size=question.space.size,
            target_ms=question.goal.target_ms,
            reward=question.goal.reward,
            seed=question.seed,
            asker=question.asker,
            recipe=question.recipe.name,
            rungs=question.course.rungs,
            epochs=final.course.epochs,
            classes=self.classes,
            images=self.images,
            best=ours if theirs is None or ours.validation >= theirs.validation else theirs,
            searched=ours,
            known=theirs,
            finalists=tuple(finished),
            comparison=comparison,
            trials={"known": tuple(known), "searched": tuple(searched), "final": tuple(finals)},
            names={digest: network.name for digest, network in networks.items()},
            proxies=said,
            ranked=ranked([*known, *searched], finals, networks, question.course.rungs, self._accuracy, said),
            seconds=time.perf_counter() - began,
            notes=(*final.notes, *filter(None, [_before_note(searched), tried_note(self.forms), self._sheet.note()])),
            costs={"known": Cost.of(known), "searched": Cost.of(searched), "final": Cost.of(finals)},
        )

    def _rivals(self, slower: Mapping[str, float]) -> list[Form]:
        question = self.question
        return rivals(
            self._latency, question.goal.limit_ms, space=question.space, count=question.baselines, parent=self._parent,
            accuracy=self._accuracy, slower=slower, progress=self._progress,
        ) if question.baselines else []  # fmt: skip

    def _slower(self) -> Mapping[str, float]:
        """By what factors known placements take longer than predicted (`slower_placements`): measured once, where that
        costs little, and kept as what the search is asked. A form of a placement that is to be trained is timed, else
        the widest that is predicted to come near the target."""
        before = study_question(self._where.tables(), f"{self.study}-known")
        if before is not None:
            return {str(placement): float(factor) for placement, factor in before.get("slower", {}).items()}
        if not self.question.baselines or not self._times.are_cheap:
            return {}
        limit_ms, space = NEAR * self.question.goal.limit_ms, self.question.space
        near = rivals(self._latency, limit_ms, space=space, count=sys.maxsize, progress=self._progress)
        candidates = [self._domain.point(one.codes) for one in self._asker.ask([], TIMED) if self._meets(one.codes)]
        return slower_placements([*self.forms, *near], candidates, self._times, self._latency)

    def _train_known(self, slower: Mapping[str, float]) -> tuple[list[Trial], ListedDomain]:
        domain = ListedDomain([form.network for form in self.forms], [form.latency_ms for form in self.forms])
        if not self.forms:
            return [], domain
        asked = replace(self._asked, domain=domain, budget=len(self.forms), noisy=False)
        trials = self._run(
            f"{self.study}-known",
            asked,
            Listed(range(len(self.forms))),
            doing="training known networks",
            document={
                "networks": [form.network.digest for form in self.forms],
                **({"slower": slower} if slower else {}),
            },
            kind_of=lambda codes: kind_of(domain.point(codes)),
            known=True,
        )
        return trials, domain

    def _begins_with(self) -> list[tuple[int, ...]]:
        """Candidates that earlier searches have trained, by their codes: found once, and kept as what the search is
        asked."""
        before = study_question(self._where.tables(), self.study)
        if before is not None:
            return [tuple(map(int, codes)) for codes in before.get("before", [])]
        return trained_before(
            self._where.tables(), self._domain, self._meets, most=self.question.trials,
            evaluator=self._teaching.evaluator(self.question.course.rungs).key, recipe=self._teaching.recipe_key,
        )  # fmt: skip

    def _train_searched(self) -> list[Trial]:
        before = self._begins_with()
        trials = self._run(
            self.study,
            replace(self._asked, budget=self._asked.budget + len(before)),
            Beginning(self._asker, before),
            doing="training candidates",
            document={
                "space": self.question.space.name,
                **({"before": [list(codes) for codes in before]} if before else {}),
            },
            kind_of=lambda codes: kind_of(self._domain.point(codes)),
            known=False,
        )
        if not any(trial.curve for trial in trials):
            raise _nothing_trained(trials)
        return trials

    def _run(
        self,
        name: str,
        asked: Question,
        asker: Asker,
        *,
        doing: str,
        document: Mapping[str, Any],
        kind_of: Callable[[tuple[int, ...]], str],
        known: bool,
    ) -> list[Trial]:
        """The trials of one part, trained in rungs."""
        evaluator = self._teaching.evaluator(self.question.course.rungs)
        study = Study(
            Evaluations(self._where.tables()),
            name,
            evaluator=evaluator.key,
            recipe=self._teaching.recipe_key,
            question=document,
            rungs=evaluator.rungs,
        )
        executor = self._where.executor(evaluator)

        def is_time_up() -> bool:
            self._budget.workers = executor.slots
            return self._budget.is_up(self.question.course, study.trials(), known=known)

        settings = Settings(
            limit_s=self._where.time_limit,
            checkpoints=self._where.checkpoints.resolve(),
            is_time_up=is_time_up,
            kind_of=kind_of,
        )
        return Loop(
            asked,
            asker=asker,
            evaluator=evaluator,
            study=study,
            executor=executor,
            settings=settings,
            progress=_as(doing, self._progress),
        ).run()

    def _final(self, known: Sequence[Trial], listed: ListedDomain, searched: Sequence[Trial]) -> Final:
        """Who is trained fully, and how far: decided once, and kept as what the final is asked."""
        before = study_question(self._where.tables(), f"{self.study}-final-{_state_digest([*known, *searched])}")
        if before is not None:
            return Final.read(before)
        course, note = self._budget.course(self.question.course, [*known, *searched])
        finalists = choose(
            _candidates(searched, self._domain, "searched", kind_of),
            _candidates(known, listed, "known", lambda network: network.family),
            self._times,
            self.question.goal.limit_ms,
        )
        kept = [
            one for part in PARTS for one in [other for other in finalists if other.part == part][: course.finalists]
        ]
        slack = slack_note(kept, self.question.goal.limit_ms) if self._times.are_measured else None
        notes = [one for one in (note, level_note(self._times.level), slack) if one]
        if not self._times.are_measured:
            notes.append("The device is not reached from here, so latencies are predicted.")
        if not any(one.part == "known" for one in kept):
            notes.append(_no_rival(known))
        return Final(
            finalists=tuple(kept), course=course, notes=tuple(notes), measured=self._times.are_measured
        )  # fmt: skip

    def _described(self, codes: tuple[int, ...]) -> list[float] | None:
        """What the surrogate reads of an untrained network; None for one that is refused."""
        network: Architecture = self._domain.point(codes)
        self._progress(Step(doing="looking at untrained networks", note=network.name))
        return self._sheet.columns(network)

    def _proxies(self, networks: Sequence[Architecture]) -> Mapping[str, Mapping[str, float]]:
        """What networks say of themselves untrained, by digest."""
        found: dict[str, Mapping[str, float]] = {}
        for done, network in enumerate(networks):
            self._progress(Step(doing="looking at untrained networks", done=done, of=len(networks), note=network.name))
            found[network.digest] = self._sheet.values(network)
        return found

    def _before(self) -> list[Trial]:
        """The trials of both parts so far."""
        tables = self._where.tables()
        return [trial for name in (f"{self.study}-known", self.study) for trial in study_trials(tables, name)]

    def _meets(self, codes: tuple[int, ...]) -> bool:
        array = np.array([codes], dtype=np.int64)
        return bool(
            self._domain.latency_ms(array)[0] <= self.question.goal.limit_ms and self._domain.excess(array)[0] <= 0
        )

    def _unmet(self) -> TargetError:
        codes, latency_ms = fastest(self._asked)
        return TargetError(
            f"a network must meet the target of {self.question.goal.target_ms:g} ms, but the fastest of"
            f" {self.question.space.name}, {self._domain.point(codes).name}, takes {latency_ms:.4g} ms; raise the"
            " target."
        )

    def _digest(self) -> str:
        """What makes a search the same one when it is asked again, whatever its trials and budget."""
        question, space = self.question, self.question.space
        goal = question.goal
        drawn = space.sample_codes(16, np.random.default_rng(0))
        said = {
            "space": [space.name, [[gene, list(map(repr, choices))] for gene, choices in space.genes.items()]],
            "classes": space.num_classes,
            "latency": [f"{ms:.6g}" for ms in self._domain.latency_ms(drawn).tolist()],
            "excess": [f"{over:.6g}" for over in self._domain.excess(drawn).tolist()],
            "goal": [goal.target_ms, goal.reward.as_json()],
            "images": self._teaching.contents,
            "recipe": self._teaching.recipe_key,
            "course": [question.course.epochs, question.course.seeds],
            "known": [form.network.digest for form in self.forms],
            "asked": [question.seed, question.asker, self._times.are_measured],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def usual_recipe(init: str | None) -> str:
    """The recipe that networks are trained by where none was named."""
    return DEFAULT if init is None else FINE_TUNE


def _candidates(
    trials: Sequence[Trial], domain: Domain, part: Part, family: Callable[[Architecture], str]
) -> list[Candidate]:
    """The points of trials, best first: of the highest rung that they reached, by their mean accuracy there."""
    by_point: dict[tuple[int, ...], list[tuple[int, float]]] = {}
    for trial in trials:
        if trial.accuracy is not None and trial.state in ("done", "stopped"):
            by_point.setdefault(trial.codes, []).append((trial.epochs, trial.accuracy))

    def worth(codes: tuple[int, ...]) -> tuple[int, float]:
        highest = max(epochs for epochs, _ in by_point[codes])
        there = [accuracy for epochs, accuracy in by_point[codes] if epochs == highest]
        return highest, sum(there) / len(there)

    points = [domain.point(codes) for codes in sorted(by_point, key=worth, reverse=True)]
    return [Candidate(part=part, family=family(network), network=network) for network in points]


def _before_note(trials: Sequence[Trial]) -> str | None:
    """What is said of candidates that an earlier search had trained; nothing where there are none."""
    count = sum(trial.why == TRAINED_BEFORE for trial in trials)
    if not count:
        return None
    return f"Of the candidates {count} had been trained by earlier searches on these images; they cost nothing here."


def _state_digest(trials: Sequence[Trial]) -> str:
    """What trials have come to: a final belongs to that, and another one follows where there are more."""
    said = [[trial.digest, trial.repeat, list(map(list, trial.curve))] for trial in trials]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _nothing_trained(trials: Sequence[Trial]) -> NasError:
    first = _first_reason(trials) or "none was begun within the budget"
    return NasError(f"a search needs one training that succeeds, but none did; {first}. Mend that, and search again.")


def _first_reason(trials: Sequence[Trial]) -> str | None:
    """Why the first of those that failed did; None where none has."""
    return next((f"the first one: {trial.reason.rstrip('.')}" for trial in trials if trial.reason), None)


def _no_rival(known: Sequence[Trial]) -> str:
    """Why no known network is a finalist."""
    first = _first_reason(known)
    if first and not any(trial.curve for trial in known):
        return f"No known network could be trained, so there is none to compare with; {first}."
    return "No known network that was tried meets the target, so there is none to compare with."


def _as(doing: str, progress: OnProgress) -> OnProgress:
    return lambda step: progress(replace(step, doing=doing))
