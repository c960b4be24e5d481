"""The trials of one search, kept beside what they cost: all that is needed to go on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas.errors import InputError, NasError
from nas.runs import Tables
from nas.runs.models import EvaluationRow, StudyRow, TrialRow
from nas.trials.evaluations import Claim, EvaluationKey, Evaluations, Measured, StoredEvaluation
from nas.trials.records import OwnRung, State, Trial

NO_RUNGS = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A trial before it has a number; `subject` is what the table of evaluations says of its point."""

    codes: tuple[int, ...]
    digest: str
    latency_ms: float
    subject: str
    repeat: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A trial that was begun, or taken up: pending where it is to be worked on (`claim` granted) or waited for (busy);
    else what somebody had paid for. `checkpoint` is what it goes on from."""

    trial: Trial
    claim: Claim
    checkpoint: str | None = None


class Study:
    """The search called `name`, judged by `evaluator` with `recipe` at `rungs` (epochs, ascending).

    `question` is kept when the search is new; else it must be the same: `InputError` names what differs. Any number of
    processes may work on one search.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        name: str,
        *,
        evaluator: str,
        question: Mapping[str, Any],
        recipe: str = "",
        rungs: Sequence[int] = NO_RUNGS,
    ) -> None:
        self.evaluations, self.name, self.rungs = evaluations, name, tuple(rungs)
        self._evaluator, self._recipe = evaluator, recipe
        self._tables: Tables = evaluations.tables
        self._settled: list[Trial] = []
        self._has_reopened = False
        self._tables.write(lambda session: _open(session, name, question), create=True)

    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        start = len(self._settled)
        later = self._tables.read(lambda session: _read(session, self.name, start))
        for trial in later:
            # What failed is no more settled than what is pending: a later start of the search tries it again.
            if trial.state != "done" or trial.number != len(self._settled):
                break
            self._settled.append(trial)
        return [*self._settled, *later[len(self._settled) - start :]]

    def reopen(self, limit_s: float | None = None) -> None:
        """Let the trials that have failed so far be tried again, but for what took as long as a trial may take now
        (`limit_s`). Done once, as a search starts: what fails after that stays failed until the next start."""
        if self._has_reopened:
            return

        def work(session: Session) -> None:
            query = select(TrialRow).where(TrialRow.search == self.name, TrialRow.state == "failed")
            for row in session.scalars(query).all():
                stored = self.evaluations.find_in(session, self._key(row))
                took_s = stored.seconds if stored is not None and stored.state == "failed" else None
                if limit_s is None or took_s is None or took_s < limit_s:
                    row.state, row.reason = "pending", None

        self._tables.write(work)
        self._has_reopened = True

    def begin(self, drafts: Sequence[Draft], *, budget: int) -> list[Begun]:
        """Give drafts their numbers, as far as there are fewer than `budget` trials, and claim their evaluations.

        One that another process has just begun is left out.
        """
        ask = secrets.token_hex(8)

        def work(session: Session) -> list[Begun]:
            # After a commit whose answer was lost the rows are there.
            rows = list(session.scalars(select(TrialRow).where(TrialRow.search == self.name, TrialRow.ask == ask)))
            if not rows:
                last = session.scalar(select(func.max(TrialRow.number)).where(TrialRow.search == self.name))
                number = -1 if last is None else last
                for draft in drafts:
                    if number + 1 >= budget or _is_there(session, self.name, draft):
                        continue
                    number += 1
                    rows.append(_new_row(self.name, number, ask, draft))
                    session.add(rows[-1])
            subjects = {(draft.digest, draft.repeat): draft.subject for draft in drafts}
            return [self._claim(session, row, subjects[row.digest, row.repeat]) for row in rows]

        return self._tables.write(work)

    def next_key(self, trial: Trial) -> EvaluationKey:
        """The evaluation of a trial's next rung."""
        return EvaluationKey(
            digest=trial.digest,
            evaluator=self._evaluator,
            recipe=self._recipe,
            epochs=self.next_rung(trial.epochs, bool(trial.curve)),
            seed=trial.repeat,
        )

    def last_key(self, trial: Trial) -> EvaluationKey:
        """The evaluation of the highest rung that a trial has."""
        return replace(self.next_key(trial), epochs=trial.epochs)

    def take(self, trial: Trial, subject: str) -> Begun:
        """Claim the next evaluation of a trial that is pending, or stopped and now promoted; of one that is no more as
        `trial` says, nothing."""

        def work(session: Session) -> Begun:
            row = self._row(session, trial.number)
            # Another process may have taken it up since it was read, and have brought it further.
            if (row.state, _epochs(row)) != (trial.state, trial.epochs):
                return Begun(trial=_trial(row), claim=Claim(state="done"))
            row.state = "pending"
            return self._claim(session, row, subject)

        return self._tables.write(work)

    def finish(self, trial: Trial, found: Measured) -> Trial:
        """Record what the evaluation under way found; the trial as it is now."""

        def work(session: Session) -> Trial:
            row = self._row(session, trial.number)
            if row.state == "pending" and _epochs(row) == trial.epochs:
                stored = self.evaluations.finish_in(session, self._key(row), found)
                self._advance(row, stored, ended=time.time())
            return _trial(row)

        return self._tables.write(work)

    def fail(self, trial: Trial, reason: str, *, seconds: float = 0.0, worker: str = "") -> Trial:
        """Record that the evaluation under way failed, and why; the trial as it is now."""

        def work(session: Session) -> Trial:
            row = self._row(session, trial.number)
            if row.state == "pending" and _epochs(row) == trial.epochs:
                self.evaluations.fail_in(session, self._key(row), reason, seconds=seconds, worker=worker)
                row.state, row.reason, row.worker = "failed", reason, worker
                row.seconds += seconds
            return _trial(row)

        return self._tables.write(work)

    def _claim(self, session: Session, row: TrialRow, subject: str) -> Begun:
        """Claim the next rung of a pending trial; where somebody paid for it, the trial has it now."""
        below = self.evaluations.find_in(session, self._key(row, _epochs(row))) if row.curve else None
        checkpoint = below.checkpoint if below else None
        claim = self.evaluations.claim_in(session, self._key(row), subject, row.latency_ms)
        if claim.stored is not None and claim.stored.accuracy is not None:
            self._advance(row, claim.stored)
            row.reused = True
        return Begun(trial=_trial(row), claim=claim, checkpoint=checkpoint)

    def _advance(self, row: TrialRow, stored: StoredEvaluation, *, ended: float | None = None) -> None:
        """Give a trial its next rung, which `ended` just now where this search has paid for it."""
        epochs, seconds = self.next_rung(_epochs(row), bool(row.curve)), stored.seconds or 0.0
        row.curve = [*row.curve, [epochs, stored.accuracy, *([] if ended is None else [seconds, ended])]]
        row.state = "done" if epochs == self.rungs[-1] else "stopped"
        row.seconds, row.worker = row.seconds + seconds, stored.worker

    def next_rung(self, epochs: int, has_begun: bool) -> int:
        """The rung after `epochs`, the first one for a trial without any."""
        if not has_begun:
            return self.rungs[0]
        return next((rung for rung in self.rungs if rung > epochs), self.rungs[-1])

    def _key(self, row: TrialRow, epochs: int | None = None) -> EvaluationKey:
        """The evaluation of a rung, by default of a trial's next one."""
        return EvaluationKey(
            digest=row.digest,
            evaluator=self._evaluator,
            recipe=self._recipe,
            epochs=self.next_rung(_epochs(row), bool(row.curve)) if epochs is None else epochs,
            seed=row.repeat,
        )

    def _row(self, session: Session, number: int) -> TrialRow:
        row = session.get(TrialRow, (self.name, number))
        if row is None:
            raise NasError(f"trial {number} of {self.name} must be in its database to be recorded, but is gone.")
        return row


def study_trials(tables: Tables, name: str) -> list[Trial]:
    """The trials of the search `name`, in the order of their numbers; none where there is no such search."""
    with tables.reading() as session:
        return [] if session is None else _read(session, name, 0)


def study_question(tables: Tables, name: str) -> Mapping[str, Any] | None:
    """What the search `name` was asked when it was new; None where there is no such search."""
    with tables.reading() as session:
        row = None if session is None else session.get(StudyRow, name)
        return None if row is None else dict(row.question)


def evaluated_points(tables: Tables, evaluator: str, recipe: str) -> list[tuple[tuple[int, ...], str]]:
    """Codes and digests of what any search has tried and `evaluator` has judged with `recipe` and the first seed: those
    judged at the highest rung first, of equals the most accurate. Codes are of the space of whichever search it was.
    """
    query = (
        select(TrialRow.codes, TrialRow.digest, EvaluationRow.epochs, EvaluationRow.accuracy)
        .join(EvaluationRow, EvaluationRow.digest == TrialRow.digest)
        .where(EvaluationRow.evaluator == evaluator, EvaluationRow.recipe == recipe)
        .where(EvaluationRow.seed == 0, EvaluationRow.state == "done")
    )
    with tables.reading() as session:
        rows = [] if session is None else session.execute(query).all()
    order = sorted(rows, key=lambda row: (-row.epochs, -row.accuracy, row.digest))
    return list(dict.fromkeys((tuple(row.codes), row.digest) for row in order))


def _open(session: Session, name: str, question: Mapping[str, Any]) -> None:
    row = session.get(StudyRow, name)
    if row is None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        session.add(StudyRow(name=name, created=now, question=dict(question)))
        return
    for key, value in question.items():
        if row.question.get(key) != value:
            raise InputError(
                f"the study {name} must be asked what it was asked before, but its {key} was"
                f" {row.question.get(key)!r} and is {value!r}; name another study, or leave its"
                " name out (study=, or --resume), and another search begins."
            )


def _read(session: Session, name: str, start: int) -> list[Trial]:
    query = select(TrialRow).where(TrialRow.search == name, TrialRow.number >= start).order_by(TrialRow.number)
    return [_trial(row) for row in session.scalars(query)]


def _is_there(session: Session, name: str, draft: Draft) -> bool:
    query = select(TrialRow.codes).where(
        TrialRow.search == name, TrialRow.digest == draft.digest, TrialRow.repeat == draft.repeat
    )
    return list(draft.codes) in session.scalars(query).all()


def _new_row(name: str, number: int, ask: str, draft: Draft) -> TrialRow:
    return TrialRow(
        search=name, number=number, ask=ask, codes=list(draft.codes), digest=draft.digest, repeat=draft.repeat,
        why=draft.why, state="pending", curve=[], latency_ms=draft.latency_ms, seconds=0.0, worker="", reason=None,
        reused=False,
    )  # fmt: skip


def _epochs(row: TrialRow) -> int:
    return int(row.curve[-1][0]) if row.curve else 0


def _trial(row: TrialRow) -> Trial:
    return Trial(
        number=row.number,
        codes=tuple(map(int, row.codes)),
        digest=row.digest,
        state=cast(State, row.state),
        repeat=row.repeat,
        curve=tuple((int(epochs), float(accuracy)) for epochs, accuracy, *_ in row.curve),
        latency_ms=row.latency_ms,
        seconds=row.seconds,
        worker=row.worker,
        reason=row.reason,
        why=row.why,
        reused=row.reused,
        own=tuple(OwnRung(int(epochs), *map(float, own)) for epochs, _, *own in row.curve if own),
    )
