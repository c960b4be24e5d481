"""Evaluations that cost, each kept once: a table with a key, a result, and a lease for who is at work on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import update
from sqlalchemy.orm import Session

from nas.errors import NasError
from nas.runs import Tables
from nas.runs.models import EvaluationRow
from nas.trials.holder import Holder

LEASE_SECONDS = 120.0
"""How long a lease holds that nobody renews: several renewals may be late, or clocks differ by a minute."""

RENEW_SECONDS = 15.0
"""How often leases are renewed."""

Clock = Callable[[], float]
"""Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationKey:
    """What was evaluated: there is one evaluation for each.

    `digest` is the identity of an architecture, or of a code's genes; `evaluator` the data or the function that judges
    it; `recipe` how it is trained ("" where the evaluator alone says so); `epochs` the rung, 0 without rungs; `seed`
    tells evaluations of one point apart.
    """

    digest: str
    evaluator: str
    recipe: str = ""
    epochs: int = 0
    seed: int = 0

    @property
    def columns(self) -> tuple[str, str, str, int, int]:
        """The key in the order of the table's."""
        return (self.digest, self.evaluator, self.recipe, self.epochs, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an evaluation found: the accuracy (a fraction), how long it took, where it ran, what it left to go on from
    (a path that all workers read, or None)."""

    accuracy: float
    seconds: float = 0.0
    worker: str = ""
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """One evaluation of the table. `state` is running, done or failed (with `error`); `attempts` counts how often it
    was begun; `subject` is the architecture as YAML, or the point's genes as JSON."""

    key: EvaluationKey
    subject: str
    state: Literal["running", "done", "failed"]
    attempts: int
    curve: tuple[tuple[int, float], ...]
    accuracy: float | None
    latency_ms: float | None
    seconds: float | None
    worker: str
    error: str | None
    checkpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What became of asking for an evaluation: *granted* (work on it), *done* (somebody paid for it: `stored`), or
    *busy* (somebody works on it)."""

    state: Literal["granted", "done", "busy"]
    stored: StoredEvaluation | None = None


class Evaluations:
    """The table `evaluations` of `tables`, for one `holder` of leases.

    Any number of processes may use it at once. Every method raises `NasError` where the database cannot be reached.
    """

    def __init__(
        self, tables: Tables, *, holder: Holder | None = None, clock: Clock = time.time, lease: float = LEASE_SECONDS
    ) -> None:
        self.tables, self.holder = tables, holder or Holder.own()
        self._clock, self._lease = clock, lease

    def claim(self, key: EvaluationKey, *, subject: str, latency_ms: float | None = None) -> Claim:
        """The right to work on `key`, unless somebody did or does. What failed may be tried again; a lease that ran
        out, or whose process is seen to be gone, is taken over."""
        return self.tables.write(lambda session: self.claim_in(session, key, subject, latency_ms), create=True)

    def finish(self, key: EvaluationKey, found: Measured) -> StoredEvaluation:
        """Record what was found, and return what is kept: of two that worked on one key the first counts."""
        return self.tables.write(lambda session: self.finish_in(session, key, found))

    def fail(self, key: EvaluationKey, error: str, *, seconds: float = 0.0, worker: str = "") -> None:
        """Record that it failed, and why; the next may try again."""
        self.tables.write(lambda session: self.fail_in(session, key, error, seconds=seconds, worker=worker))

    def release(self) -> None:
        """Give back all leases of this holder, as if their evaluations had never been begun."""
        self.tables.write(lambda session: self._lease_until(session, 0.0))

    def renew(self) -> None:
        """Let all leases of this holder last from now on."""
        self.tables.write(lambda session: self._lease_until(session, self._clock() + self._lease))

    def find(self, key: EvaluationKey) -> StoredEvaluation | None:
        """The evaluation, in whatever state, or None."""
        return self.tables.read(lambda session: self.find_in(session, key))

    def find_in(self, session: Session, key: EvaluationKey) -> StoredEvaluation | None:
        """`find` inside a transaction."""
        row = session.get(EvaluationRow, key.columns)
        return None if row is None else _stored(row)

    def claim_in(self, session: Session, key: EvaluationKey, subject: str, latency_ms: float | None) -> Claim:
        """`claim` inside a transaction that is alone in writing."""
        row, own = session.get(EvaluationRow, key.columns), str(self.holder)
        if row is None:
            row = EvaluationRow(
                **dict(zip(("digest", "evaluator", "recipe", "epochs", "seed"), key.columns, strict=True)),
                subject=subject, attempts=0, curve=[], worker="", latency_ms=latency_ms,
            )  # fmt: skip
            session.add(row)
        elif row.state == "done":
            return Claim(state="done", stored=_stored(row))
        elif row.state == "running" and row.holder != own and self._is_held(row):
            return Claim(state="busy")
        # What is claimed twice by one holder was a claim whose answer was lost.
        row.attempts += row.holder != own or row.state != "running"
        row.state, row.holder, row.leased_until, row.error = "running", own, self._clock() + self._lease, None
        return Claim(state="granted")

    def finish_in(self, session: Session, key: EvaluationKey, found: Measured) -> StoredEvaluation:
        """`finish` inside a transaction that is alone in writing."""
        row = self._row(session, key)
        if row.state != "done":
            row.state, row.accuracy, row.curve = "done", found.accuracy, [[key.epochs, found.accuracy]]
            row.checkpoint = found.checkpoint
            self._end(row, error=None, seconds=found.seconds, worker=found.worker)
        return _stored(row)

    def fail_in(self, session: Session, key: EvaluationKey, error: str, *, seconds: float, worker: str) -> None:
        """`fail` inside a transaction that is alone in writing."""
        row = self._row(session, key)
        if row.state != "done":
            row.state = "failed"
            self._end(row, error=error, seconds=seconds, worker=worker)

    def _end(self, row: EvaluationRow, *, error: str | None, seconds: float, worker: str) -> None:
        row.error, row.seconds, row.worker = error, seconds, worker
        row.holder = row.leased_until = None
        row.finished = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")

    def _lease_until(self, session: Session, until: float) -> None:
        mine = (EvaluationRow.holder == str(self.holder), EvaluationRow.state == "running")
        session.execute(update(EvaluationRow).where(*mine).values(leased_until=until))

    def _is_held(self, row: EvaluationRow) -> bool:
        if row.holder is None or row.leased_until is None or row.leased_until <= self._clock():
            return False
        return not Holder.parse(row.holder).is_gone()

    @staticmethod
    def _row(session: Session, key: EvaluationKey) -> EvaluationRow:
        row = session.get(EvaluationRow, key.columns)
        if row is None:
            raise NasError(f"the evaluation of {key.digest} must be in its database to be recorded, but is gone.")
        return row


def _stored(row: EvaluationRow) -> StoredEvaluation:
    key = EvaluationKey(
        digest=row.digest, evaluator=row.evaluator, recipe=row.recipe, epochs=row.epochs, seed=row.seed
    )  # fmt: skip
    state: Literal["running", "done", "failed"] = (
        "done" if row.state == "done" else "failed" if row.state == "failed" else "running"
    )
    return StoredEvaluation(
        key=key,
        subject=row.subject,
        state=state,
        attempts=row.attempts,
        curve=tuple((int(epochs), float(accuracy)) for epochs, accuracy in row.curve),
        accuracy=row.accuracy,
        latency_ms=row.latency_ms,
        seconds=row.seconds,
        worker=row.worker,
        error=row.error,
        checkpoint=row.checkpoint,
    )
