"""What the store of trials must do in every kind of database: inherit `TrialStoreConformance`, give it `storage`."""

from __future__ import annotations

import subprocess
import sys
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from nas.errors import InputError, NasError
from nas.runs import Tables
from nas.runs.models import SchemaRow
from nas.trials.evaluations import LEASE_SECONDS, EvaluationKey, Evaluations, Measured
from nas.trials.holder import Holder, began
from nas.trials.studies import Draft, Study, study_trials

KEY = EvaluationKey(digest="ab12", evaluator="m:f#1")
FOUND = Measured(accuracy=0.7, seconds=12.0, worker="host:1", checkpoint="/shared/c")
QUESTION = {"target_ms": 1.0, "seed": 0}


class Clock:
    """Seconds since 1970 that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def elsewhere(number: int = 1) -> Holder:
    """A process of another machine."""
    return replace(Holder.own(), machine=f"other{number}/-/-")


def draft(first: int, **fields: int) -> Draft:
    """A draft of the codes (first, 0)."""
    return Draft(
        codes=(first, 0), digest=f"d{first}", latency_ms=1.0 + first, subject=f"s{first}", why="drawn", **fields
    )  # fmt: skip


class TrialStoreConformance:
    """The tests. `storage` must be the URL of a database without tables."""

    @pytest.fixture
    @abstractmethod
    def storage(self, tmp_path: Path) -> str:
        """The URL to test."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock of `at`."""
        return Clock()

    @pytest.fixture
    def at(self, storage: str, clock: Clock) -> Callable[[Holder], Evaluations]:
        """The table as a process sees it."""
        return lambda holder: Evaluations(Tables(storage), holder=holder, clock=clock)

    @staticmethod
    def study(evaluations: Evaluations, name: str = "mine", **fields: object) -> Study:
        """A search in the table."""
        asked: dict[str, object] = {"evaluator": KEY.evaluator, "question": QUESTION, **fields}
        return Study(evaluations, name, **asked)  # type: ignore[arg-type]

    def test_what_was_paid_for_is_found_by_everybody(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        assert one.claim(KEY, subject="yaml", latency_ms=1.5).state == "granted"
        one.finish(KEY, FOUND)
        claim = two.claim(KEY, subject="yaml")
        stored = claim.stored
        assert claim.state == "done" and stored is not None and stored == two.find(KEY)
        assert (stored.accuracy, stored.seconds, stored.worker, stored.checkpoint) == (0.7, 12.0, "host:1", "/shared/c")
        assert (stored.subject, stored.latency_ms, stored.curve, stored.attempts) == ("yaml", 1.5, ((0, 0.7),), 1)

    def test_every_part_of_the_key_tells_evaluations_apart(self, at: Callable[[Holder], Evaluations]) -> None:
        table = at(elsewhere())
        table.claim(KEY, subject="")
        table.finish(KEY, FOUND)
        others = [
            replace(KEY, digest="cd34"), replace(KEY, evaluator="m:g#1"), replace(KEY, recipe="fast"),
            replace(KEY, epochs=3), replace(KEY, seed=1),
        ]  # fmt: skip
        assert [table.find(other) for other in others] == [None] * 5
        assert {table.claim(other, subject="").state for other in others} == {"granted"}

    def test_nobody_works_on_what_another_works_on(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        one.claim(KEY, subject="")
        assert two.claim(KEY, subject="").state == "busy"
        assert one.claim(KEY, subject="").state == "granted"  # whose answer was lost asks again
        found = one.find(KEY)
        assert found is not None and (found.state, found.attempts) == ("running", 1)

    def test_a_lease_that_ran_out_is_taken_over(self, at: Callable[[Holder], Evaluations], clock: Clock) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        one.claim(KEY, subject="")
        clock.now += LEASE_SECONDS - 1
        assert two.claim(KEY, subject="").state == "busy"
        one.renew()
        clock.now += LEASE_SECONDS - 1
        assert two.claim(KEY, subject="").state == "busy"
        clock.now += 1
        assert two.claim(KEY, subject="").state == "granted"
        one.renew()  # too late: it is another's
        clock.now += LEASE_SECONDS
        assert one.claim(KEY, subject="").state == "granted"
        found = one.find(KEY)
        assert found is not None and found.attempts == 3

    def test_a_lease_of_a_process_that_is_seen_to_be_gone_is_taken_over(
        self, at: Callable[[Holder], Evaluations]
    ) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        at(replace(Holder.own(), process=process.pid, began=began(process.pid))).claim(KEY, subject="")
        assert at(elsewhere()).claim(KEY, subject="").state == "busy"
        process.kill()
        process.communicate()
        assert at(elsewhere()).claim(KEY, subject="").state == "granted"

    def test_a_failure_may_be_tried_again(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        one.claim(KEY, subject="")
        one.fail(KEY, "out of memory", seconds=3.0, worker="host:1")
        found = two.find(KEY)
        assert found is not None and (found.state, found.error, found.seconds) == ("failed", "out of memory", 3.0)
        assert two.claim(KEY, subject="").state == "granted"
        two.finish(KEY, FOUND)
        found = two.find(KEY)
        assert found is not None and (found.state, found.error, found.attempts) == ("done", None, 2)

    def test_of_two_that_worked_on_one_the_first_counts(
        self, at: Callable[[Holder], Evaluations], clock: Clock
    ) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        one.claim(KEY, subject="")
        clock.now += LEASE_SECONDS
        two.claim(KEY, subject="")
        assert two.finish(KEY, FOUND).accuracy == 0.7
        assert one.finish(KEY, replace(FOUND, accuracy=0.6)).accuracy == 0.7
        one.fail(KEY, "late")
        found = one.find(KEY)
        assert found is not None and (found.state, found.accuracy) == ("done", 0.7)

    def test_what_is_given_back_is_free_at_once(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = at(elsewhere(1)), at(elsewhere(2))
        one.claim(KEY, subject="")
        one.release()
        assert two.claim(KEY, subject="").state == "granted"

    def test_trials_are_numbered_in_their_order_and_kept(self, at: Callable[[Holder], Evaluations]) -> None:
        study = self.study(at(elsewhere()))
        begun = study.begin([draft(3), draft(1)], budget=10)
        assert [(one.trial.number, one.trial.codes, one.claim.state) for one in begun] == [
            (0, (3, 0), "granted"), (1, (1, 0), "granted")
        ]  # fmt: skip
        study.finish(begun[1].trial, FOUND)
        study.fail(begun[0].trial, "ValueError: no", seconds=2.0, worker="host:2")
        first, second = self.study(at(elsewhere(2))).trials()
        assert (first.state, first.reason, first.seconds, first.worker) == ("failed", "ValueError: no", 2.0, "host:2")
        assert (second.state, second.accuracy, second.epochs, second.seconds) == ("done", 0.7, 0, 12.0)
        assert (second.digest, second.latency_ms, second.why, second.reused) == ("d1", 2.0, "drawn", False)

    def test_a_search_begins_no_more_than_its_budget_and_nothing_twice(
        self, at: Callable[[Holder], Evaluations]
    ) -> None:
        one, two = self.study(at(elsewhere(1))), self.study(at(elsewhere(2)))
        one.begin([draft(0)], budget=3)
        assert [begun.trial.codes for begun in two.begin([draft(0), draft(1)], budget=3)] == [(1, 0)]
        assert [begun.trial.number for begun in one.begin([draft(2), draft(3)], budget=3)] == [2]
        assert len(one.trials()) == 3
        # The same point again is another evaluation, with a seed of its own.
        (again,) = one.begin([draft(0, repeat=1)], budget=4)
        assert (again.trial.number, again.trial.repeat, again.claim.state) == (3, 1, "granted")

    def test_another_search_finds_what_one_paid_for(self, at: Callable[[Holder], Evaluations]) -> None:
        one = self.study(at(elsewhere(1)))
        (begun,) = one.begin([draft(0)], budget=3)
        one.finish(begun.trial, FOUND)
        (reused,) = self.study(at(elsewhere(2)), "another").begin([replace(draft(0), latency_ms=9.0)], budget=3)
        assert reused.claim.state == "done"
        assert (reused.trial.state, reused.trial.accuracy, reused.trial.reused) == ("done", 0.7, True)
        assert (reused.trial.number, reused.trial.latency_ms) == (0, 9.0)

    def test_a_trial_that_another_search_works_on_is_waited_for(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = self.study(at(elsewhere(1))), self.study(at(elsewhere(2)), "another")
        (first,) = one.begin([draft(0)], budget=3)
        (second,) = two.begin([draft(0)], budget=3)
        assert (second.claim.state, second.trial.state) == ("busy", "pending")
        one.finish(first.trial, FOUND)
        taken = two.take(second.trial, "s0")
        assert (taken.claim.state, taken.trial.state, taken.trial.reused) == ("done", "done", True)

    def test_a_trial_ends_once(self, at: Callable[[Holder], Evaluations]) -> None:
        study = self.study(at(elsewhere()))
        (begun,) = study.begin([draft(0)], budget=3)
        assert study.finish(begun.trial, FOUND).accuracy == 0.7
        assert study.finish(begun.trial, replace(FOUND, accuracy=0.1)).accuracy == 0.7
        assert study.fail(begun.trial, "late").state == "done"
        assert study.take(begun.trial, "s0").trial.state == "done"

    def test_a_trial_climbs_its_rungs(self, at: Callable[[Holder], Evaluations]) -> None:
        study = self.study(at(elsewhere()), rungs=(1, 3))
        (begun,) = study.begin([draft(0)], budget=3)
        trial = study.finish(begun.trial, replace(FOUND, accuracy=0.5, checkpoint="/shared/1"))
        assert (trial.state, trial.curve, begun.checkpoint) == ("stopped", ((1, 0.5),), None)
        taken = study.take(trial, "s0")
        assert (taken.trial.state, taken.claim.state, taken.checkpoint) == ("pending", "granted", "/shared/1")
        trial = study.finish(taken.trial, replace(FOUND, accuracy=0.6, checkpoint=None))
        assert (trial.state, trial.curve, trial.seconds) == ("done", ((1, 0.5), (3, 0.6)), 24.0)

    def test_what_failed_is_reopened_once_a_start(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = self.study(at(elsewhere(1))), self.study(at(elsewhere(2)))
        begun = one.begin([draft(0), draft(1), draft(2)], budget=3)
        one.finish(begun[0].trial, FOUND)
        one.fail(begun[1].trial, "OSError: no room", seconds=2.0)
        one.fail(begun[2].trial, "it must end within its time limit of 5 s, but did not", seconds=5.0)
        assert [trial.state for trial in one.trials()] == ["done", "failed", "failed"]
        two.reopen(5.0)
        two.reopen(None)  # it has done so: nothing more
        again = one.trials()  # who has seen it failed sees that as well
        assert [(trial.state, trial.reason is None) for trial in again] == [
            ("done", True), ("pending", True), ("failed", False)
        ]  # fmt: skip
        taken = two.take(again[1], "s1")
        assert taken.claim.state == "granted" and two.finish(taken.trial, FOUND).state == "done"
        self.study(at(elsewhere(3))).reopen(6.0)
        assert [trial.state for trial in one.trials()] == ["done", "done", "pending"]

    def test_what_another_has_brought_further_is_left_alone(self, at: Callable[[Holder], Evaluations]) -> None:
        one, two = self.study(at(elsewhere(1)), rungs=(1, 3, 9)), self.study(at(elsewhere(2)), rungs=(1, 3, 9))
        (begun,) = one.begin([draft(0)], budget=3)
        (read,) = two.trials()
        stopped = one.finish(begun.trial, replace(FOUND, accuracy=0.1))
        taken = two.take(read, "s0")  # read while it was pending, for a rung that it has since
        assert (taken.claim.state, taken.trial.state, taken.trial.epochs) == ("done", "stopped", 1)
        # Two that both let it go on: the first has it, and the next rung is for neither yet.
        assert one.take(stopped, "s0").claim.state == "granted"
        assert two.take(stopped, "s0").claim.state == "done"
        (trial,) = one.trials()
        assert (trial.state, trial.epochs) == ("pending", 1)

    def test_a_search_is_asked_the_same_again(self, at: Callable[[Holder], Evaluations]) -> None:
        self.study(at(elsewhere()))
        with pytest.raises(InputError, match=r"study mine must be .* its target_ms was 1.0 and is 2.0; name another"):
            self.study(at(elsewhere()), question={**QUESTION, "target_ms": 2.0})

    def test_tables_of_a_newer_version_are_refused_whoever_holds_them(
        self, at: Callable[[Holder], Evaluations]
    ) -> None:
        table = at(elsewhere())
        table.claim(KEY, subject="")
        with table.tables.writing() as session:
            session.execute(update(SchemaRow).values(version=99))
        with pytest.raises(NasError, match="made by a newer version of nas"):
            table.finish(KEY, FOUND)

    def test_trials_of_a_search_that_never_was_are_none(self, storage: str) -> None:
        assert study_trials(Tables(storage), "mine") == []
