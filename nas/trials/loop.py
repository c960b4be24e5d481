"""The loop of a search whose accuracies cost: ask, claim, do, record, and again.

All that it decides by is in the store, so a process that is killed at any moment is followed by one that goes on: with
one worker it asks for the same points in the same order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import NasError
from nas.progress import OnProgress, Step, silent
from nas.strategies.problem import Evaluation, Standing
from nas.trials.asker import Asker
from nas.trials.evaluations import RENEW_SECONDS, Evaluations, Measured
from nas.trials.evaluators import Evaluator
from nas.trials.executors.protocol import Executor, Job, Loss, Outcome
from nas.trials.points import subject_of
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial
from nas.trials.rungs import best_of_its_kind, last_promoted, promoted
from nas.trials.studies import Begun, Draft, Study

_AGAIN: dict[Loss, int] = {"worker": 1, "machine": 5}
"""How often a job is done again: whose process died may be to blame for it, whose machine was lost is not."""

_POLL_SECONDS = 1.0
"""How often is looked for what others work on."""

MOST_CONFIRMED, CONFIRMED_SHARE = 10, 5
"""Of a noisy budget one call in five, ten at the most, confirms the best before the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How trials are run: seconds that one may take (None: any); the folder for checkpoints, which all workers share;
    whether the search's time is up, so that nothing more is begun once there is a first result; what kind of point a
    code is, where the best of each kind goes on to the second rung, whatever others are worth."""

    limit_s: float | None = None
    checkpoints: Path
    is_time_up: Callable[[], bool] = lambda: False
    kind_of: Callable[[tuple[int, ...]], str] | None = None


class Loop:
    """One search: its question, who chooses (`asker`), who judges, where that runs, and what is kept."""

    def __init__(
        self,
        question: Question,
        *,
        asker: Asker,
        evaluator: Evaluator,
        study: Study,
        executor: Executor,
        settings: Settings,
        progress: OnProgress = silent,
    ) -> None:
        self._question, self._asker, self._evaluator, self._study = question, asker, evaluator, study
        self._executor, self._settings, self._progress = executor, settings, progress
        self._under_way: dict[int, Trial] = {}
        self._waited_for: dict[int, Trial] = {}
        self._losses: Counter[tuple[int, Loss]] = Counter()
        self._looked = float("-inf")

    def run(self) -> list[Trial]:
        """All trials, once the budget is spent or no point is left: none of them pending.

        A failure of the evaluator is a trial's. Raises `NasError` where the store cannot be reached; then, and when it
        is interrupted, what is finished is kept, and no evaluation stays claimed.
        """
        with self._executor, _renewing(self._study.evaluations):
            if not self._is_time_up(self._study.trials()):
                self._study.reopen(self._settings.limit_s)
            try:
                while True:
                    self._fill()
                    if not self._under_way and self._is_over():
                        return self._study.trials()
                    self._record()
            except KeyboardInterrupt:
                for outcome in self._executor.wait(0.0):
                    self._settle(outcome)
                raise

    def _fill(self) -> None:
        """Begin as many jobs as there is room for."""
        self._take_up()
        while (free := self._executor.slots - len(self._under_way) - len(self._waited_for)) > 0:
            trials = self._study.trials()
            self._tell(trials)
            if self._is_time_up(trials):
                return
            if not (self._promote(trials) or self._ask(trials, free) or self._promote_last(trials)):
                return

    def _is_time_up(self, trials: Sequence[Trial]) -> bool:
        return self._settings.is_time_up() and any(trial.curve for trial in trials)

    def _take_up(self) -> None:
        """Take up pending trials of which nobody is at work: those of a process that was killed."""
        for trial in list(self._waited_for.values()):
            del self._waited_for[trial.number]
            self._begin(self._study.take(trial, self._subject(trial.codes)), own=True)
        if time.monotonic() < self._looked + RENEW_SECONDS:
            return
        for trial in self._study.trials():
            if len(self._under_way) + len(self._waited_for) >= self._executor.slots:
                return
            if trial.state == "pending" and trial.number not in self._under_way | self._waited_for:
                self._begin(self._study.take(trial, self._subject(trial.codes)), own=False)
        self._looked = time.monotonic()

    def _promote(self, trials: Sequence[Trial]) -> bool:
        """Let the best trial that waits at a rung go on; False where none does."""
        rungs = self._evaluator.rungs
        return len(rungs) > 1 and self._goes_on(promoted(trials, rungs, self._worth))

    def _promote_last(self, trials: Sequence[Trial]) -> bool:
        """Where no more trials are begun, let the best of each kind go on, and in the end one to the last rung; False
        where none does."""
        rungs, kind_of = self._evaluator.rungs, self._settings.kind_of
        if len(rungs) < 2:
            return False
        best = None if kind_of is None else best_of_its_kind(trials, rungs, self._worth, kind_of)
        return self._goes_on(best or last_promoted(trials, self._worth))

    def _goes_on(self, trial: Trial | None) -> bool:
        if trial is not None:
            self._begin(self._study.take(trial, self._subject(trial.codes)), own=True)
        return trial is not None

    def _ask(self, trials: Sequence[Trial], count: int) -> bool:
        """Begin up to `count` new trials; False where the budget or the space has no more."""
        left = self._question.budget - len(trials)
        if left <= 0:
            return False
        drafts = self._drafts(self._proposals(trials, min(count, left), left), trials)
        if not drafts and self._question.noisy:  # the space is spent before the budget: what is left of it confirms
            confirmed = sum(trial.repeat > 0 for trial in trials)
            drafts = self._drafts(self._again(trials, min(count, left, self._reserve - confirmed)), trials)
        begun = self._study.begin(drafts, budget=self._question.budget) if drafts else []
        for one in begun:
            self._begin(one, own=True)
        return bool(drafts)

    def _proposals(self, trials: Sequence[Trial], count: int, left: int) -> list[Proposal]:
        if left <= self._reserve:
            return self._again(trials, count) or self._asker.ask(trials, count)
        return self._asker.ask(trials, min(count, left - self._reserve))

    @property
    def _reserve(self) -> int:
        """How many trials confirm."""
        return min(MOST_CONFIRMED, self._question.budget // CONFIRMED_SHARE) if self._question.noisy else 0

    def _again(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points that are worth another trial: of the best those that were tried least, else one at a
        time the luckiest would take all."""
        if count <= 0 or not self._reserve:
            return []
        tried = Counter(trial.codes for trial in trials)
        return sorted(self._asker.confirm(trials, self._reserve), key=lambda one: tried[one.codes])[:count]

    def _drafts(self, proposals: Sequence[Proposal], trials: Sequence[Trial]) -> list[Draft]:
        """The proposals as trials to be, without those that could not be the answer (which are proposed where nothing
        else is left), and those that are known already where the question is not noisy."""
        if not proposals:
            return []
        domain = self._question.domain
        codes = np.array([proposal.codes for proposal in proposals], dtype=np.int64)
        standing = Standing(bounded_ms=domain.latency_ms(codes), excess=domain.excess(codes))
        able = self._question.goal.feasible(standing).tolist()
        repeats, drafts = Counter(trial.codes for trial in trials), []
        for proposal, latency_ms, may_answer in zip(proposals, standing.bounded_ms.tolist(), able, strict=True):
            repeat = repeats[proposal.codes]
            if not may_answer or (repeat and not self._question.noisy):
                continue
            repeats[proposal.codes] += 1
            drafts.append(
                Draft(
                    codes=proposal.codes,
                    digest=domain.digest(proposal.codes),
                    latency_ms=latency_ms,
                    subject=self._subject(proposal.codes),
                    repeat=repeat,
                    why=proposal.why,
                )
            )
        return drafts

    def _begin(self, begun: Begun, *, own: bool) -> None:
        """Do what was claimed; wait for what another search works on, if this one is the trial's `own`."""
        trial = begun.trial
        if begun.claim.state == "granted":
            self._under_way[trial.number] = trial
            self._executor.submit(self._job(trial, begun.checkpoint))
        elif begun.claim.state == "busy" and own:
            self._waited_for[trial.number] = trial

    def _job(self, trial: Trial, checkpoint: str | None) -> Job:
        epochs = self._study.next_rung(trial.epochs, bool(trial.curve))
        if self._evaluator.resumes:
            content = json.dumps(self._study.next_key(trial).columns)
            name = f"{trial.digest}-{trial.repeat}-{epochs}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
        else:  # another name each time: of one that was killed half of a checkpoint may be there
            name = f"{trial.digest}-{trial.repeat}-{epochs}-{secrets.token_hex(4)}"
        return Job(
            number=trial.number,
            evaluator=self._evaluator,
            point=self._question.domain.point(trial.codes),
            epochs=epochs,
            seed=trial.repeat,
            load=checkpoint,
            save=str(self._settings.checkpoints / name) if self._evaluator.rungs else None,
            limit_s=self._settings.limit_s,
        )

    def _record(self) -> None:
        """Wait for outcomes, and record them."""
        if not self._under_way:  # but others are at work on what this search waits for
            time.sleep(_POLL_SECONDS)
            return
        is_full = len(self._under_way) >= self._executor.slots
        for outcome in self._executor.wait(None if is_full else _POLL_SECONDS):
            self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        job, found = outcome.job, outcome.found
        trial = self._under_way.pop(job.number)
        if outcome.lost is not None:
            self._losses[job.number, outcome.lost] += 1
            if self._losses[job.number, outcome.lost] <= _AGAIN[outcome.lost]:
                self._under_way[job.number] = trial
                self._executor.submit(job)
            else:
                self._study.fail(trial, f"its {outcome.lost} was lost, and once more when it ran again")
        elif found is not None and found.accuracy is not None:
            measured = Measured(
                accuracy=found.accuracy, seconds=found.seconds, worker=found.worker, checkpoint=found.checkpoint
            )
            self._study.finish(trial, measured)
        elif found is not None:
            self._study.fail(trial, found.reason or "no reason", seconds=found.seconds, worker=found.worker)

    def _is_over(self) -> bool:
        """Whether nothing is pending any more, here or with another process that works on the same search."""
        if any(trial.state == "pending" for trial in self._study.trials()):
            self._looked = float("-inf")
            return False
        return True

    def _worth(self, trial: Trial, accuracy: float) -> float:
        goal = self._question.goal
        ms, score = np.array([trial.latency_ms]), np.array([accuracy])
        point = Evaluation(bounded_ms=ms, excess=np.zeros(1), accuracy=score, score=score)
        return float(goal.value(point)[0]) if goal.feasible(point)[0] else float("-inf")

    def _subject(self, codes: tuple[int, ...]) -> str:
        return subject_of(self._question.domain.point(codes))

    def _tell(self, trials: Sequence[Trial]) -> None:
        ended = sum(trial.state != "pending" for trial in trials)
        best = max((trial.accuracy for trial in trials if trial.accuracy is not None), default=None)
        note = "" if best is None else f"best {100 * best:.1f} %"
        self._progress(Step(doing="trying", done=ended, of=self._question.budget, note=note))


@contextlib.contextmanager
def _renewing(evaluations: Evaluations) -> Iterator[None]:
    """Renew the leases of this process inside the block; none is held behind it."""
    left = threading.Event()

    def renew() -> None:
        while not left.wait(RENEW_SECONDS):
            with contextlib.suppress(NasError):  # a server that is away for a while costs a renewal
                evaluations.renew()

    thread = threading.Thread(target=renew, name="leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join(_POLL_SECONDS)
        with contextlib.suppress(NasError):
            evaluations.release()
