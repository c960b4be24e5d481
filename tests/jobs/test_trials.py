"""`nas.search` with accuracies that cost, as a user calls it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError, NasError, TargetError
from nas.runs import Tables
from nas.space.reading import parse_search_space
from nas.testing import evaluators
from nas.trials.evaluations import EvaluationKey, Evaluations
from nas.trials.identity import identity_of
from nas.trials.studies import study_trials
from tests.jobs.small import tiny_document
from tests.trials.by_hand import SPACE, TARGET_MS, Drawn, Sum, accuracy_of, evaluate
from tests.trials.disk import no_waiting_for_the_disk  # noqa: F401


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database; the workspace is empty."""
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/trials.db"


def search(url: str | None, **options: Any) -> Any:
    asked = {"latency": Sum(), "evaluate": evaluate, "budget": 20, "target_ms": TARGET_MS, "noisy": False}
    return nas.search(SPACE, **{**asked, "asker": "random", "storage": url, **options})


def test_the_answer_is_the_best_that_was_tried(url: str) -> None:
    result = search(url, budget=30)
    tried = [SPACE.decode(trial.codes) for trial in result.trials]
    assert len(result.trials) == 30 and {trial.state for trial in result.trials} == {"done"}
    assert result.best.accuracy == max(map(accuracy_of, tried)) == accuracy_of(result.best)
    assert result.best.latency_ms == 0.5 + sum(result.best.genes.values()) <= TARGET_MS
    assert result.best.architecture is None and (result.failed, result.reused) == (0, 0)
    # The front: each of it is the best of all that are as fast, found by looking at every pair.
    for point in tried:
        beaten = any(
            other.genes != point.genes
            and sum(other.genes.values()) <= sum(point.genes.values())
            and accuracy_of(other) >= accuracy_of(point)
            and (sum(other.genes.values()), accuracy_of(other)) != (sum(point.genes.values()), accuracy_of(point))
            for other in tried
        )
        figures = (0.5 + sum(point.genes.values()), accuracy_of(point))
        assert beaten != (figures in [(one.latency_ms, one.accuracy) for one in result.front])


def test_a_whole_space_has_its_optimum_as_the_answer(url: str) -> None:
    """At most 1 ms: half of it is fixed, so no gene may be above 0, or with 1.5 one of them at 1, best the last."""
    result = search(url, target_ms=1.5, budget=100)
    assert len(result.trials) == 6 and list(result.best.genes.values()) == [0, 0, 0, 0, 1]


def test_a_soft_reward_pays_for_what_lies_above_the_target(url: str) -> None:
    result = search(url, target_ms=2.0, budget=200, reward="soft")
    # Up to 2.6 ms may be paid for: two units of genes, and the reward falls by less than accuracy grows.
    assert max(trial.latency_ms for trial in result.trials) == 2.5
    assert result.best.reward == max(accuracy_of(one.point) * (one.latency_ms / 2.0) ** -0.07 for one in result.front)


def test_the_default_asker_says_how_sure_it_is(url: str) -> None:
    result = search(url, asker="surrogate", budget=25)
    assert result.asker == "surrogate" and 0.0 <= result.how_sure <= 1.0
    assert search(url).how_sure is None  # drawing at random has no model


def test_the_same_call_again_goes_on(url: str) -> None:
    calls: list[Any] = []

    def counted(points: Sequence[Any]) -> list[float]:
        calls.extend(points)
        return [accuracy_of(point) for point in points]

    first = search(url, evaluate=counted)
    again = search(url, evaluate=counted)
    assert len(calls) == 20 and again.trials == first.trials and again.best == first.best
    more = search(url, evaluate=counted, budget=25)
    assert len(calls) == 25 and more.trials[:20] == first.trials and more.study == first.study


def test_what_one_search_paid_for_serves_another_target_and_another_device(url: str) -> None:
    class Slower(Sum):
        def latency_ms(self, points: Sequence[Any]) -> list[float]:
            return [2.0 * latency_ms for latency_ms in super().latency_ms(points)]

    calls: list[Any] = []

    def counted(points: Sequence[Any]) -> list[float]:
        calls.extend(points)
        return [accuracy_of(point) for point in points]

    first = search(url, evaluate=counted, study="one")
    device = search(url, evaluate=counted, latency=Slower(), target_ms=2 * TARGET_MS, study="another device")
    assert len(calls) == 20 and device.reused == 20
    assert [trial.latency_ms for trial in device.trials] == [2 * trial.latency_ms for trial in first.trials]
    target = search(url, evaluate=counted, target_ms=TARGET_MS + 1, seed=1, study="another target")
    assert len(calls) == 40 - target.reused


def test_another_function_of_the_same_name_is_another_one(url: str) -> None:
    def made(accuracy: float) -> Any:
        return lambda points: [accuracy for _ in points]

    assert search(url, evaluate=made(0.5)).best.accuracy == 0.5
    assert search(url, evaluate=made(0.6)).best.accuracy == 0.6


def test_a_study_that_was_asked_something_else_is_refused(url: str) -> None:
    search(url, study="mine")
    with pytest.raises(InputError, match="study mine must be asked .* its target_ms was 8.5 and is 9.5"):
        search(url, study="mine", target_ms=9.5)


def test_storage_is_the_workspaces_file_or_what_the_environment_names(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search(None).study
    assert len(study_trials(Tables(f"sqlite:///{tmp_path}/runs/nas.db"), study)) == 20
    monkeypatch.setenv("NAS_STORAGE", f"sqlite:///{tmp_path}/elsewhere.db")
    search(None)
    assert len(study_trials(Tables(f"sqlite:///{tmp_path}/elsewhere.db"), study)) == 20


def test_the_table_says_what_was_evaluated(url: str) -> None:
    result = search(url, budget=1)
    table = Evaluations(Tables(url))
    (trial,) = result.trials
    stored = table.find(EvaluationKey(digest=trial.digest, evaluator=identity_of(evaluate)))
    assert stored is not None and stored.accuracy == trial.accuracy and stored.attempts == 1
    assert stored.subject == str({"genes": dict(result.best.genes)}).replace("'", '"')


@pytest.mark.parametrize(("function", "words"), evaluators.FAULTS.items())
def test_where_all_fail_the_first_reason_is_told(url: str, function: Any, words: str) -> None:
    with pytest.raises(NasError, match=f"all 3 failed; the first one: .*{words}") as caught:
        search(url, evaluate=function, budget=3)
    assert caught.value.exit_code == 1


def test_a_failure_costs_one_trial_and_is_counted(url: str) -> None:
    def now_and_then(points: Sequence[Any]) -> list[float]:
        if points[0].genes["layer0"] == 0:
            raise ValueError("too narrow")
        return [accuracy_of(point) for point in points]

    result = search(url, evaluate=now_and_then)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert result.failed == len(failed) == sum(trial.codes[0] == 0 for trial in result.trials) > 0
    assert all(trial.reason.startswith("ValueError: too narrow (test_trials.py:") for trial in failed)
    assert len(result.trials) == 20 and result.best.genes["layer0"] > 0


def test_a_trial_that_hangs_fails_at_its_time_limit(url: str) -> None:
    def hangs(points: Sequence[Any]) -> list[float]:
        if points[0].genes["layer0"] == 1:
            time.sleep(600)
        return [accuracy_of(point) for point in points]

    began = time.monotonic()
    result = search(url, evaluate=hangs, budget=6, time_limit=0.2)
    assert time.monotonic() - began < 60 and result.failed == sum(trial.codes[0] == 1 for trial in result.trials) > 0
    assert {t.reason for t in result.trials if t.state == "failed"} == {
        "it must end within its time limit of 0.2 s, but did not"
    }


def test_what_is_not_noisy_is_asked_once_and_what_is_is_confirmed(url: str) -> None:
    rng = np.random.default_rng(0)

    def noisy(points: Sequence[Any]) -> list[float]:
        return [accuracy_of(point) + float(rng.normal(0.0, 0.02)) for point in points]

    assert len({trial.codes for trial in search(url, evaluate=noisy, budget=30).trials}) == 30
    result = search(url, evaluate=noisy, budget=30, noisy=True, study="noisy")
    again = [trial for trial in result.trials if trial.repeat]
    assert len(again) == 6 == len([trial for trial in result.trials if trial.why == "confirming"])
    assert len(result.best.trials) > 1 and result.best.low < result.best.accuracy < result.best.high


@pytest.mark.parametrize("asker", ["random", "surrogate"])
def test_a_small_space_is_confirmed_by_what_is_left_of_the_budget(url: str, asker: str) -> None:
    """Six points meet the target; of 40 calls a fifth confirms."""
    rng = np.random.default_rng(0)

    def noisy(points: Sequence[Any]) -> list[float]:
        return [accuracy_of(point) + float(rng.normal(0.0, 0.002)) for point in points]

    result = search(url, evaluate=noisy, target_ms=1.5, budget=40, noisy=True, asker=asker)
    assert len({trial.codes for trial in result.trials}) == 6 and sum(trial.repeat > 0 for trial in result.trials) == 8
    assert len(result.best.trials) > 1


def test_where_all_failed_the_same_call_tries_again(url: str, tmp_path: Path) -> None:
    def when_it_is_there(points: Sequence[Any]) -> list[float]:
        return [float((tmp_path / "accuracy").read_text())]

    with pytest.raises(NasError, match="all 3 failed; .*FileNotFoundError.* search again: what failed is tried again"):
        search(url, evaluate=when_it_is_there, budget=3)
    (tmp_path / "accuracy").write_text("0.75")
    result = search(url, evaluate=when_it_is_there, budget=3)
    assert result.best.accuracy == 0.75 and result.failed == 0 and len(result.trials) == 3


def test_what_a_trial_has_on_a_cluster_needs_one(url: str) -> None:
    for options in ({"cpus": 2.0}, {"gpus": 1.0}):
        with pytest.raises(InputError, match="on a Ray cluster, but got .* without one; name one by ray"):
            search(url, **options)


def test_workers_run_what_a_text_names_or_a_module_holds(url: str) -> None:
    by_name = search(url, evaluate="tests.trials.by_hand:evaluate", workers=2, study="by name")
    by_value = search(url, evaluate=evaluate, workers=2, study="by value")
    known = {trial.codes for trial in by_name.trials}  # both are one evaluator
    assert [trial.reused for trial in by_value.trials] == [trial.codes in known for trial in by_value.trials]
    assert by_value.reused > 0
    for trial in by_name.trials:
        assert trial.accuracy == accuracy_of(SPACE.decode(trial.codes))
    assert len({trial.worker for trial in by_name.trials}) == 2


def test_what_workers_cannot_find_is_told_before_a_trial(url: str) -> None:
    for options in ({"workers": 2}, {"ray": "local"}):
        with pytest.raises(InputError, match=r'must be found there, .* give evaluate="module:function"'):
            search(url, evaluate=lambda points: [0.5], study="none", **options)


def test_networks_are_tried_as_architectures(url: str) -> None:
    class Millions:
        def latency_ms(self, networks: Sequence[nas.Architecture]) -> list[float]:
            return [network.macs / 1e6 for network in networks]

    space = parse_search_space(tiny_document(), "tiny")
    middle = float(np.median(Millions().latency_ms(space.sample(50, np.random.default_rng(0)))))
    result = nas.search(
        space, latency=Millions(), evaluate=evaluators.by_layers, budget=10, target_ms=middle, storage=url,
        asker="random", noisy=False,
    )  # fmt: skip
    best = result.best
    assert isinstance(best.architecture, nas.Architecture) and best.architecture.macs / 1e6 <= middle
    assert best.accuracy == max(len(space.decode(trial.codes).layers) for trial in result.trials) / 1000
    assert best.genes == best.architecture.genes and best.digest == best.architecture.digest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latency": 3.0}, r"latency must have latency_ms\(points\), but float has none"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"time_limit": 0.0}, "time_limit must be a positive number of seconds"),
        ({"asker": "rndom"}, "asker must be a known name.*random"),
        ({"evaluate": "score"}, 'evaluate must be "module:function"'),
        ({"evaluate": None}, 'evaluate must be a function or "module:function"'),
        ({"target_ms": -1.0}, "the target must be positive"),
        ({"reward": "harsh"}, "reward must be a known name.*hard"),
        ({"storage": "trials.db"}, "a storage must be a SQLAlchemy URL"),
    ],
)
def test_bad_questions_are_refused(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        search(url, **options)


def test_a_target_that_cannot_be_met_names_the_fastest(url: str) -> None:
    calls: list[Any] = []
    with pytest.raises(TargetError, match=r"target of 0.4 ms, .*layer0=0 layer1=0 .* takes 0.5 ms"):
        search(url, target_ms=0.4, evaluate=lambda points: calls.extend(points))
    assert calls == []


def test_a_space_of_codes_without_an_evaluator_says_what_it_needs() -> None:
    with pytest.raises(InputError, match="by-hand is a space of codes, .* give evaluate"):
        nas.search(SPACE, latency=Sum(), target_ms=1.0)  # type: ignore[call-overload]


def test_two_searches_of_one_study_share_its_budget(url: str) -> None:
    """Threads stand for drivers on two machines; each has its leases."""
    search(url, budget=1, study="shared", asker=Drawn)
    results: list[Any] = []

    def run() -> None:
        results.append(search(url, budget=15, study="shared", asker=Drawn))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and len({result.best.digest for result in results}) == 1
    trials = results[0].trials
    assert [trial.number for trial in trials] == list(range(15)) and len({trial.codes for trial in trials}) == 15


def test_a_notebook_shows_the_answer_and_every_trial(url: str) -> None:
    answer = search(url)
    shown = answer._repr_html_()
    assert f"reaches {100 * answer.best.accuracy:.1f} %" in shown and f"{answer.best.latency_ms:.3f} ms" in shown
    assert "<script" not in shown and "data:image/svg+xml;base64," in shown
