from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nas.errors import InputError
from nas.strategies import Goal
from nas.testing.askers import question_of, random_trials
from nas.testing.domains import AdditiveDomain
from nas.trials.mirror import mirror
from nas.trials.records import Trial

_GENES = {f"g{i}": tuple(range(4 if i else 3)) for i in range(6)}


@pytest.fixture
def trials() -> list[Trial]:
    """Done, done with rungs, stopped, failed, pending."""
    found = random_trials(question_of(AdditiveDomain(0)), 5)
    found[0] = replace(found[0], seconds=90.0, worker="here")
    found[1] = replace(found[1], curve=((1, 0.25), (3, 0.5)))
    found[2] = replace(found[2], state="stopped", curve=((1, 0.125),))
    found[3] = replace(found[3], state="failed", curve=(), reason="out of memory")
    found[4] = replace(found[4], state="pending", curve=())
    return found


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mirror.db'}"


_GOAL = Goal(target_ms=2.0)


def _read(storage: str) -> list[optuna.trial.FrozenTrial]:
    place = optuna.storages.RDBStorage(storage)
    found = optuna.load_study(study_name="mine", storage=place).trials
    place.remove_session()
    place.engine.dispose()
    return found


def test_what_ended_is_there_with_all_that_is_known(trials: list[Trial], storage: str) -> None:
    assert mirror(trials[::-1], _GENES, _GOAL, storage=storage, study="mine") == 4
    found = _read(storage)
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert [trial.state for trial in found] == states
    assert [tuple(trial.params.values()) for trial in found] == [trial.codes for trial in trials[:4]]
    assert [found[0].value, found[1].value] == [trials[0].accuracy, 0.5]
    assert [trial.intermediate_values for trial in found] == [{}, {1: 0.25, 3: 0.5}, {1: 0.125}, {}]
    assert [trial.user_attrs["digest"] for trial in found] == [trial.digest for trial in trials[:4]]
    assert [trial.user_attrs.get("reason") for trial in found] == [None, None, None, "out of memory"]
    assert [trial.constraints["latency"] for trial in found] == pytest.approx(
        [trial.latency_ms / 2.0 - 1.0 for trial in trials[:4]]
    )
    assert found[0].duration is not None
    assert found[0].duration.total_seconds() == pytest.approx(90.0)


def test_a_second_time_only_what_is_new_is_added(trials: list[Trial], storage: str) -> None:
    assert mirror(trials[:2], _GENES, _GOAL, storage=storage, study="mine") == 2
    ended = [*trials[:4], replace(trials[4], state="done", curve=((0, 0.5),))]
    for expected in (3, 0):
        assert mirror(ended, _GENES, _GOAL, storage=storage, study="mine") == expected
    assert [trial.user_attrs["number"] for trial in _read(storage)] == [0, 1, 2, 3, 4]


def test_after_a_loss_it_is_written_again(trials: list[Trial], storage: str) -> None:
    mirror(trials, _GENES, _GOAL, storage=storage, study="mine")
    before = [trial.params for trial in _read(storage)]
    Path(storage.removeprefix("sqlite:///")).unlink()
    assert mirror(trials, _GENES, _GOAL, storage=storage, study="mine") == 4
    assert [trial.params for trial in _read(storage)] == before


def test_a_killed_call_is_made_good(trials: list[Trial], storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add = optuna.Study.add_trial
    added: list[optuna.trial.FrozenTrial] = []

    def killed(self: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(trial)
        add(self, trial)

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "add_trial", killed)
        with pytest.raises(KeyboardInterrupt):
            mirror(trials, _GENES, _GOAL, storage=storage, study="mine")
    assert mirror(trials, _GENES, _GOAL, storage=storage, study="mine") == 2
    assert [trial.user_attrs["number"] for trial in _read(storage)] == [0, 1, 2, 3]


def test_a_study_of_another_space_is_refused(trials: list[Trial], storage: str) -> None:
    mirror(trials, _GENES, _GOAL, storage=storage, study="mine")
    more = [replace(trials[0], number=9)]
    genes = {name: (*choices, 99) for name, choices in _GENES.items()}
    with pytest.raises(InputError, match="'mine' must be a copy of one search"):
        mirror(more, genes, _GOAL, storage=storage, study="mine")


def test_choices_that_no_database_holds_are_texts(trials: list[Trial], storage: str) -> None:
    genes = {name: tuple((choice, "x") for choice in choices) for name, choices in _GENES.items()}
    mirror(trials[:1], genes, _GOAL, storage=storage, study="mine")
    assert list(_read(storage)[0].params.values()) == [f"({choice}, 'x')" for choice in trials[0].codes]
