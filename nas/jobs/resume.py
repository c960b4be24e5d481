"""Going on with a search that costs, whichever kind of search its run records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nas.errors import InputError
from nas.jobs.trials_run import TrialsOutcome, TrialsRequest, run_trials
from nas.progress import OnProgress, silent
from nas.runs import RunStore

if TYPE_CHECKING:
    from nas.jobs.data_run import DataOutcome

_CHANGEABLE = ("trials", "workers", "ray", "cpus", "gpus", "time_limit")


def changeable(run: str, *, storage: str | None = None) -> tuple[str, ...]:
    """The fields of its request in which the search of a run may go on otherwise: how far, how long and where, never
    what is asked. `InputError` where the run is no search whose accuracies cost."""
    return (*_CHANGEABLE, "budget") if "data" in _inputs(run, storage)["request"] else _CHANGEABLE


def resume_search(
    run: str, *, changes: Mapping[str, Any], storage: str | None = None, progress: OnProgress = silent
) -> TrialsOutcome | DataOutcome:
    """Go on with the search of a run, with `changes` of its request (`changeable`). `InputError` where the run is no
    search whose accuracies cost."""
    inputs = _inputs(run, storage)
    if "data" in inputs["request"]:
        from nas.jobs.data_run import DataRequest, run_data_search  # with what builds tables, which others do without

        asked = replace(DataRequest.read(inputs["request"]), **changes)
        return run_data_search(asked, before=inputs, storage=storage, progress=progress)
    request = replace(TrialsRequest.read(inputs["request"]), **changes)
    return run_trials(request, study=inputs["study"], storage=storage, progress=progress)


def _inputs(run: str, storage: str | None) -> Mapping[str, Any]:
    inputs = RunStore(url=storage).get(run).inputs
    if "study" not in inputs or "request" not in inputs:
        raise InputError(
            f"a run to go on with must be a search with --evaluate or --data, but {run} is none; `nas runs list` shows"
            " all runs."
        )
    return inputs
