"""The trials of a run, as the contract has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.runs import RunStore
from nas.trials.records import Trial
from nas.trials.studies import study_trials


def trials_of_run(record: Mapping[str, Any], store: RunStore) -> list[dict[str, Any]]:
    """The trials that the search of a run has made so far, whichever of its runs made them; none for a run of another
    kind."""
    study = record["inputs"].get("study")
    if not isinstance(study, str):
        return []
    return [trial_json(trial, record["inputs"]["space"]["name"]) for trial in study_trials(store.tables, study)]


def trial_json(trial: Trial, space: str) -> dict[str, Any]:
    """The record of a trial of a network of `space`."""
    return {
        "number": trial.number,
        "digest": trial.digest,
        "name": f"{space}-{trial.digest[:8]}",
        "state": trial.state,
        "accuracy": trial.accuracy,
        "epochs": trial.epochs,
        "latency_ms": trial.latency_ms,
        "seconds": trial.seconds,
        "worker": trial.worker,
        "reason": trial.reason,
        "repeat": trial.repeat,
        "why": trial.why,
        "reused": trial.reused,
        "curve": [[epochs, accuracy] for epochs, accuracy in trial.curve],
    }
