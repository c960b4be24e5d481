"""Trials as an Optuna study, for `optuna-dashboard` and whoever reads studies. Optuna is imported when used.

    optuna-dashboard sqlite:///mirror.db

The study is a copy: nothing here reads it but to know what it holds already, so it may be lost and is written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nas.errors import InputError
from nas.strategies import Goal
from nas.trials.records import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_NUMBER = "number"


def mirror(trials: Sequence[Trial], genes: Mapping[str, Sequence[Any]], goal: Goal, *, storage: str, study: str) -> int:
    """Write the trials that ended into the Optuna study called `study` in the database at the URL `storage`; returns
    how many were new to it.

    `genes` are those of the space (`space.genes`), in the order of the trials' codes. A trial is written once, with its
    parameters, accuracy, rungs and how far its latency is from the limit (a constraint), and in its attributes number,
    digest, latency and the rest; pending ones are left out until they end. A second call, or one after a call that was
    killed, adds what is missing. One process at a time may write to a study. `InputError` where a study of that name
    holds something else.
    """
    import optuna
    from optuna.storages import RDBStorage

    distributions = _distributions(genes)
    place = RDBStorage(storage)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        copy = optuna.create_study(study_name=study, storage=place, direction="maximize", load_if_exists=True)
        copied = {trial.user_attrs.get(_NUMBER) for trial in copy.get_trials(deepcopy=False)}
        ended = [trial for trial in trials if trial.state != "pending" and trial.number not in copied]
        for trial in sorted(ended, key=lambda one: one.number):
            copy.add_trial(_frozen(trial, distributions, goal))
    except ValueError as error:
        raise InputError(
            f"the Optuna study {study!r} must be a copy of one search, but it holds other trials ({error});"
            " give another name."
        ) from error
    finally:
        optuna.logging.set_verbosity(level)
        place.remove_session()
        place.engine.dispose()
    return len(ended)


def _frozen(trial: Trial, distributions: dict[str, BaseDistribution], goal: Goal) -> FrozenTrial:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    state = {"done": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}[trial.state]
    params = {}
    for (name, gene), place in zip(distributions.items(), trial.codes, strict=True):
        assert isinstance(gene, CategoricalDistribution)
        params[name] = gene.choices[place]
    more = {"repeat": trial.repeat, "digest": trial.digest, "latency_ms": trial.latency_ms, "worker": trial.worker}
    frozen = create_trial(
        state=state,
        value=trial.accuracy if state == TrialState.COMPLETE else None,
        params=params,
        distributions=distributions,
        user_attrs={_NUMBER: trial.number, **more, **({"reason": trial.reason} if trial.reason else {})},
        intermediate_values=dict(trial.curve) if trial.epochs else {},
        constraints={"latency": trial.latency_ms / goal.limit_ms - 1.0},
    )
    if frozen.datetime_complete is not None:
        frozen.datetime_start = frozen.datetime_complete - timedelta(seconds=trial.seconds)
    return frozen


def _distributions(genes: Mapping[str, Sequence[Any]]) -> dict[str, BaseDistribution]:
    """Choices that Optuna cannot store stand there as text."""
    from optuna.distributions import CategoricalDistribution

    def stored(choice: Any) -> Any:
        return choice if choice is None or isinstance(choice, bool | int | float | str) else str(choice)

    return {name: CategoricalDistribution([stored(choice) for choice in choices]) for name, choices in genes.items()}
