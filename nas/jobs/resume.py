"""Going on with a search that costs, whichever kind of search its run records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nas.errors import InputError
from nas.jobs.trials_run import TrialsOutcome, TrialsRequest, run_trials
from nas.progress import OnProgress, silent
from nas.runs import RunStore

if TYPE_CHECKING:
    from nas.jobs.data_run import DataOutcome


def resume_search(
    run: str, *, trials: int | None = None, storage: str | None = None, progress: OnProgress = silent
) -> TrialsOutcome | DataOutcome:
    """Go on with the search of a run, with more trials where `trials` says so. `InputError` where the run is no search
    whose accuracies cost."""
    inputs = RunStore(url=storage).get(run).inputs
    if "study" not in inputs or "request" not in inputs:
        raise InputError(
            f"a run to go on with must be a search with --evaluate or --data, but {run} is none; `nas runs list` shows"
            " all runs."
        )
    if "data" in inputs["request"]:
        from nas.jobs.data_run import resume_data_search  # with what builds tables, which others do without

        return resume_data_search(inputs, trials=trials, storage=storage, progress=progress)
    request = TrialsRequest.read(inputs["request"])
    if trials is not None:
        request = replace(request, trials=trials)
    return run_trials(request, study=inputs["study"], storage=storage, progress=progress)
