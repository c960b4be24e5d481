from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from nas.runs import Tables
from nas.runs.models import EvaluationRow
from nas.strategies import Goal
from nas.testing import evaluators
from nas.testing.executors import Simulated
from nas.trials.domain import CodeDomain
from nas.trials.evaluations import EvaluationKey, Evaluations, Measured
from nas.trials.evaluators import Evaluator, read_evaluator
from nas.trials.executors.in_process import InProcess
from nas.trials.executors.protocol import Executor, Loss
from nas.trials.loop import Loop, Settings
from nas.trials.question import Question
from nas.trials.records import Proposal, Trial
from nas.trials.studies import NO_RUNGS, Study
from tests.trials.by_hand import SPACE, TARGET_MS, Drawn, Sum, accuracy_of, evaluate


def question(budget: int, **fields: Any) -> Question:
    return Question(
        domain=CodeDomain(SPACE, Sum()), goal=Goal(target_ms=TARGET_MS), budget=budget, **{"noisy": False, **fields}
    )  # fmt: skip


class Searches:
    """Searches in one database, each run by a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"sqlite:///{folder}/trials.db"

    def study(self, name: str, evaluator: Evaluator) -> Study:
        evaluations = Evaluations(Tables(self.url))
        rungs = evaluator.rungs or NO_RUNGS
        return Study(evaluations, name, evaluator=evaluator.key, question={}, rungs=rungs)

    def run(
        self,
        asked: Question,
        executor: Executor,
        *,
        function: Callable[..., Any] = evaluate,
        name: str = "mine",
        limit_s: float | None = None,
    ) -> list[Trial]:
        evaluator = read_evaluator(function)
        loop = Loop(
            asked,
            asker=Drawn(asked),
            evaluator=evaluator,
            study=self.study(name, evaluator),
            executor=executor,
            settings=Settings(limit_s=limit_s, checkpoints=self.folder / "checkpoints"),
        )
        return loop.run()


@pytest.fixture
def searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searches:
    monkeypatch.setattr("nas.trials.loop._POLL_SECONDS", 0.25)
    return Searches(tmp_path)


def check(trials: Sequence[Trial], budget: int) -> None:
    """Every trial is there once, ended, and says what its point is worth."""
    assert [trial.number for trial in trials] == list(range(budget))
    assert len({trial.codes for trial in trials}) == budget
    for trial in trials:
        assert trial.state == "done"
        assert trial.accuracy == accuracy_of(SPACE.decode(trial.codes))
        assert trial.latency_ms == 0.5 + sum(trial.codes) <= TARGET_MS


def test_a_budget_is_spent_one_point_at_a_time(searches: Searches) -> None:
    check(searches.run(question(12), Simulated(1)), 12)


@pytest.mark.parametrize("seed", range(4))
def test_trials_end_in_any_order_and_are_lost_at_times(searches: Searches, seed: int) -> None:
    """Stragglers of ten times the usual, one job in four lost with its process, one in eight with its machine."""
    rng = random.Random(seed)
    seconds = {number: rng.choice([0.5, 1.0, 1.5, 10.0]) for number in range(30)}
    lost: dict[int, Loss | None] = {n: rng.choice(["worker", "worker", "machine", *[None] * 5]) for n in range(30)}
    executor = Simulated(
        4,
        seconds=lambda job: seconds[job.number],
        loses=lambda job, before: None if before else lost[job.number],
    )
    check(searches.run(question(30), executor), 30)
    assert executor.most == 4
    busy = sum(seconds[number] * (1.5 if lost[number] else 1.0) for number in range(30))
    # Nobody is idle but at the end, when the last and longest job (15 s with its loss) may run alone.
    assert busy / 4 <= executor.now <= busy / 4 + 15.0


def test_a_trial_whose_worker_dies_twice_has_failed_and_others_go_on(searches: Searches) -> None:
    executor = Simulated(2, loses=lambda job, before: "worker" if job.number == 3 else None)
    trials = searches.run(question(6), executor)
    assert [trial.state for trial in trials] == ["done"] * 3 + ["failed"] + ["done"] * 2
    assert trials[3].reason == "its worker was lost, and once more when it ran again"


def test_a_machine_is_not_the_fault_of_its_trial(searches: Searches) -> None:
    executor = Simulated(2, loses=lambda job, before: "machine" if job.number == 3 and before < 5 else None)
    check(searches.run(question(6), executor), 6)


def test_a_trial_over_its_time_limit_fails(searches: Searches) -> None:
    executor = Simulated(2, seconds=lambda job: math.inf if job.number == 1 else 1.0)
    trials = searches.run(question(5), executor, limit_s=30.0)
    assert [trial.state for trial in trials] == ["done", "failed", "done", "done", "done"]
    assert trials[1].reason == "it must end within its time limit of 30 s, but did not" and executor.now == 30.0


def test_what_failed_is_tried_again_when_the_search_is_begun_again(searches: Searches) -> None:
    lost = Simulated(2, loses=lambda job, before: "worker" if job.number in (1, 3) else None)
    trials = searches.run(question(6), lost)
    assert [trial.number for trial in trials if trial.state == "failed"] == [1, 3]
    again = searches.run(question(6), Simulated(1))
    check(again, 6)
    assert [trial.codes for trial in again] == [trial.codes for trial in trials]


def test_what_took_as_long_as_it_may_is_tried_again_with_more_time(searches: Searches) -> None:
    tried = list[int]()

    def seconds(number: int) -> float:
        tried.append(number)
        return 45.0 if number == 1 else 1.0

    executor = Simulated(1, seconds=lambda job: seconds(job.number))
    states = [trial.state for trial in searches.run(question(4), executor, limit_s=30.0)]
    assert states == ["done", "failed", "done", "done"]
    tried.clear()
    trials = searches.run(question(4), executor, limit_s=30.0)
    assert (trials[1].state, tried) == ("failed", [])
    check(searches.run(question(4), executor, limit_s=60.0), 4)
    assert set(tried) == {1}


@pytest.mark.parametrize("how", ["within one search", "once time is up"])
def test_what_failed_stays_failed(searches: Searches, how: str) -> None:
    calls = list[Any]()

    def half(points: Sequence[Any]) -> list[float]:
        calls.append(points[0])
        if len(calls) == 2:
            raise OSError("no space left on device")
        return [0.5]

    evaluator, asked = read_evaluator(half), question(3)
    first = searches.study("half", evaluator)
    for study, is_up in ((first, False), (first, False) if how == "within one search" else (None, True)):
        loop = Loop(
            asked,
            asker=Drawn(asked),
            evaluator=evaluator,
            study=study or searches.study("half", evaluator),
            executor=InProcess(),
            settings=Settings(checkpoints=searches.folder, is_time_up=lambda is_up=is_up: is_up),  # type: ignore[misc]
        )
        assert [trial.state for trial in loop.run()] == ["done", "failed", "done"]
    assert len(calls) == 3


def test_the_same_search_again_asks_for_nothing_and_a_greater_budget_goes_on(searches: Searches) -> None:
    first = searches.run(question(5), Simulated(1))
    asked = list[int]()
    noting = Simulated(1, seconds=lambda job: asked.append(job.number) or 1.0)  # type: ignore[func-returns-value]
    assert searches.run(question(5), noting) == first and asked == []
    check(searches.run(question(8), noting), 8)
    assert set(asked) == {5, 6, 7}


def test_what_one_search_paid_for_another_finds(searches: Searches) -> None:
    paid = searches.run(question(20, seed=1), Simulated(1), name="one")
    asked = list[int]()
    executor = Simulated(1, seconds=lambda job: asked.append(job.number) or 1.0)  # type: ignore[func-returns-value]
    found = searches.run(question(20, seed=1), executor, name="two")
    assert asked == [] and all(trial.reused for trial in found) and not any(trial.reused for trial in paid)
    assert [trial.accuracy for trial in found] == [trial.accuracy for trial in paid]
    # A different search asks for other points as well, and pays for these alone.
    third = searches.run(question(20, seed=2), executor, name="three")
    known = {trial.codes for trial in paid}
    assert {trial.number for trial in third if trial.codes not in known} == set(asked)


def test_of_a_noisy_budget_one_in_five_confirms_the_best(searches: Searches) -> None:
    trials = searches.run(question(20, noisy=True), Simulated(1))
    assert [trial.repeat for trial in trials] == [0] * 16 + [1] * 4
    best = sorted(trials[:16], key=lambda trial: -(trial.accuracy or 0.0))[:4]
    assert {trial.codes for trial in trials[16:]} == {trial.codes for trial in best}
    assert {trial.why for trial in trials[16:]} == {"confirming"}


def test_a_space_that_is_spent_ends_the_search(searches: Searches) -> None:
    asked = Question(domain=CodeDomain(SPACE, Sum()), goal=Goal(target_ms=1.5), budget=50, noisy=False)
    assert len(searches.run(asked, Simulated(3))) == 6  # no gene, or one of five, at 1


def test_a_noisy_space_that_is_spent_is_confirmed_by_the_rest(searches: Searches) -> None:
    """A fifth of the budget, where there are so many points, in whatever order trials end."""
    asked = Question(domain=CodeDomain(SPACE, Sum()), goal=Goal(target_ms=1.5), budget=20, noisy=True)
    trials = searches.run(asked, Simulated(1))
    assert [trial.repeat for trial in trials] == [0] * 6 + [1] * 4
    best = sorted(trials[:6], key=lambda trial: -(trial.accuracy or 0.0))[:4]
    assert {trial.codes for trial in trials[6:]} == {trial.codes for trial in best}
    assert searches.run(asked, Simulated(1)) == trials
    several = searches.run(asked, Simulated(3, seconds=lambda job: 1.0 + job.number % 3), name="several")
    assert sum(trial.repeat for trial in several) == 4 and len(several) == 10


def test_of_a_space_that_is_spent_one_reaches_the_last_rung(searches: Searches) -> None:
    asked = Question(domain=CodeDomain(SPACE, Sum()), goal=Goal(target_ms=1.5), budget=50, noisy=False)
    trials = searches.run(asked, Simulated(2), function=climbs)
    assert len(trials) == 6
    assert [trial.codes for trial in trials if trial.state == "done"] == [max(trials, key=worth).codes]


def test_what_another_search_works_on_is_waited_for(searches: Searches) -> None:
    (first, *_) = searches.run(question(1), Simulated(1), name="to know what is asked first")
    evaluations = Evaluations(Tables(searches.url))
    key = EvaluationKey(digest=first.digest, evaluator=read_evaluator(slower).key)
    evaluations.claim(key, subject="")
    later = threading.Timer(1.0, lambda: evaluations.finish(key, Measured(accuracy=0.875)))
    later.start()
    trials = searches.run(question(3), Simulated(1), function=slower, name="waits")
    assert [(trial.accuracy, trial.reused) for trial in trials] == [(0.875, True), (0.25, False), (0.25, False)]


def slower(points: Sequence[Any]) -> list[float]:
    return [0.25 for _ in points]


def test_a_long_trial_keeps_its_lease(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.trials.loop.RENEW_SECONDS", 0.05)
    until: list[float] = []

    def watched(points: Sequence[Any]) -> list[float]:
        for _ in range(2):
            time.sleep(0.5)
            with Tables(searches.url).reading() as session:
                assert session is not None
                until.append(session.scalars(select(EvaluationRow.leased_until)).one() or 0.0)
        return [0.5]

    (trial,) = searches.run(question(1), InProcess(), function=watched)
    assert trial.state == "done" and until[1] >= until[0] + 0.4


class Twins(CodeDomain):
    """Points that differ in the first gene alone are one."""

    def digest(self, code: Sequence[int]) -> str:
        return super().digest([0, *code[1:]])


def test_codes_that_turn_out_to_be_one_point_are_paid_for_once(searches: Searches) -> None:
    asked = Question(domain=Twins(SPACE, Sum()), goal=Goal(target_ms=1.5), budget=50, noisy=False)
    paid = list[int]()
    executor = Simulated(1, seconds=lambda job: paid.append(job.number) or 1.0)  # type: ignore[func-returns-value]
    trials = searches.run(asked, executor)
    # Of six codes two are one point: no gene above 0, and the first one at 1.
    assert len(trials) == 6 and len(set(paid)) == 5 and sum(trial.reused for trial in trials) == 1


class Again(Drawn):
    """Proposes what is known, and what is too slow, before all else."""

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        useless = [Proposal(codes=trial.codes, why="again") for trial in trials] + [
            Proposal(codes=(3,) * 5, why="slow")
        ]
        return [*useless, *super().ask(trials, count)]


def test_what_is_known_or_too_slow_is_not_tried(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.trials.test_loop.Drawn", Again)
    check(searches.run(question(8), Simulated(1)), 8)


class Stopped(Simulated):
    """Is interrupted when it is waited for the fourth time."""

    waits = 0

    def wait(self, timeout_s: float | None = None) -> Any:
        self.waits += timeout_s != 0.0
        if self.waits == 4:
            self.waits += 1
            raise KeyboardInterrupt
        return super().wait(timeout_s)


def test_what_is_finished_when_it_is_interrupted_is_kept_and_the_rest_is_free_at_once(searches: Searches) -> None:
    with pytest.raises(KeyboardInterrupt):
        searches.run(question(10), Stopped(2, seconds=lambda job: 1.0 + 0.1 * job.number))
    trials = searches.study("mine", read_evaluator(evaluate)).trials()
    assert [trial.state for trial in trials] == ["done"] * 3 + ["pending"] * 2
    check(searches.run(question(10), Simulated(2)), 10)


def test_the_best_third_of_a_rung_goes_on(searches: Searches) -> None:
    """Rungs of 1, 3 and 9 epochs: of 9 trials three reach the second rung at the most at any time, one the third."""
    trials = searches.run(question(9), Simulated(1), function=climbs)
    reached = [sum(any(epochs == rung for epochs, _ in trial.curve) for trial in trials) for rung in (1, 3, 9)]
    assert reached[0] == 9 and 3 <= reached[1] <= 5 and 1 <= reached[2] <= 2
    assert {trial.state for trial in trials} == {"done", "stopped"}
    best = max(trials, key=lambda trial: accuracy_of(SPACE.decode(trial.codes)))
    assert best.state == "done" and best.epochs == 9


def test_rungs_of_too_few_trials_end_with_one_answer(searches: Searches) -> None:
    (first, second) = searches.run(question(2), Simulated(1), function=climbs)
    better, other = (first, second) if worth(first) > worth(second) else (second, first)
    assert (better.state, better.epochs, other.state, other.epochs) == ("done", 9, "stopped", 1)


def test_a_trial_goes_on_from_its_checkpoint(searches: Searches) -> None:
    trials = searches.run(question(3), Simulated(1), function=evaluators.goes_on)
    assert max(trials, key=lambda trial: trial.epochs).curve == ((1, 0.01), (3, 0.03), (9, 0.09))


def climbs(points: Sequence[Any], *, epochs: int) -> list[float]:
    return [accuracy_of(point) * epochs / 9 for point in points]


climbs.rungs = (1, 3, 9)  # type: ignore[attr-defined]


def worth(trial: Trial) -> float:
    return accuracy_of(SPACE.decode(trial.codes))


def test_nothing_is_begun_once_time_is_up(searches: Searches) -> None:
    """One result there must be; then the search ends with what it has."""
    evaluator = read_evaluator(evaluate)
    asked = question(10)
    loop = Loop(
        asked,
        asker=Drawn(asked),
        evaluator=evaluator,
        study=searches.study("short", evaluator),
        executor=InProcess(),
        settings=Settings(checkpoints=searches.folder, is_time_up=lambda: True),
    )
    assert [trial.state for trial in loop.run()] == ["done"]


def remembering(points: Sequence[Any], *, epochs: int, save: str, note: str) -> list[float]:
    """Leaves the place that it was given, and what it was told besides."""
    with Path(note).open("a", encoding="utf-8") as file:
        file.write(f"{save}\n")
    return [accuracy_of(point) for point in points]


def test_what_resumes_has_one_place_for_each_evaluation(searches: Searches, tmp_path: Path) -> None:
    note = tmp_path / "note"
    evaluator = Evaluator(
        function=remembering, name="remembering", key="remembering#1", reference=None, rungs=(1,),
        settings={"note": str(note)}, resumes=True,
    )  # fmt: skip
    asked = question(3)
    for name in ("one", "other"):
        study = Study(
            Evaluations(Tables(f"sqlite:///{tmp_path}/{name}.db")),
            name,
            evaluator=evaluator.key,
            question={},
            rungs=(1,),
        )
        settings = Settings(checkpoints=tmp_path / "checkpoints")
        Loop(
            asked, asker=Drawn(asked), evaluator=evaluator, study=study, executor=InProcess(), settings=settings
        ).run()  # fmt: skip
    places = note.read_text().splitlines()
    assert places[:3] == places[3:] and len(set(places)) == 3


def test_the_best_of_each_kind_has_a_second_rung(searches: Searches) -> None:
    def rungs(points: Sequence[Any], *, epochs: int) -> list[float]:
        return [accuracy_of(point) for point in points]

    evaluator = Evaluator(function=rungs, name="rungs", key="rungs#1", reference=None, rungs=(1, 3))
    asked = question(6)
    study = Study(Evaluations(Tables(searches.url)), "kinds", evaluator=evaluator.key, question={}, rungs=(1, 3))
    settings = Settings(checkpoints=searches.folder, kind_of=lambda codes: str(codes[0]))
    trials = Loop(
        asked, asker=Drawn(asked), evaluator=evaluator, study=study, executor=InProcess(), settings=settings
    ).run()  # fmt: skip
    best: dict[int, float] = {}
    for trial in trials:
        best[trial.codes[0]] = max(best.get(trial.codes[0], 0.0), trial.curve[0][1])
    promoted = [trial for trial in trials if trial.state == "done"]
    assert {trial.codes[0] for trial in promoted} == set(best) and len(best) > 1
    assert all(trial.curve[0][1] == best[trial.codes[0]] for trial in promoted if len(promoted) == len(best))
