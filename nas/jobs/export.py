"""Networks of the zoo: exporting the answer of a run or any architecture, and checking what was exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.errors import InputError, NasError
from nas.progress import OnProgress, Step, silent
from nas.resources import plain_name
from nas.runs import RunRecord, RunStore, is_run_id
from nas.space import load_architecture, parse_architecture
from nas.zoo import Entry, check_accuracy, export_architecture, find_entry, held_out_of_files, verify
from nas.zoo.entry import entries_and_faults


def export_to_zoo(
    reference: str,
    *,
    name: str | None = None,
    formats: Sequence[str] = ("onnx",),
    seed: int = 0,
    storage: str | None = None,
    progress: OnProgress = silent,
) -> Entry:
    """Export what `reference` names (a run, a known network, an architecture file or a folder with one).

    The answer of a run brings its latency and accuracy along and is recorded as an artefact of the run. `seed` is of
    the random weights, `name` the folder's in the zoo (by default the network's), `storage` the URL of the database
    with the run (by default the workspace's file). Raises `InputError` for a run that has no network to export.
    """
    if is_run_id(reference):
        return _export_answer(RunStore(url=storage), reference, name, formats, seed, progress)
    network = load_architecture(reference)
    folder = export_architecture(
        network, name=name or plain_name(network.name), formats=formats, seed=seed, progress=progress
    )
    return find_entry(folder)


def _export_answer(
    store: RunStore, run_id: str, name: str | None, formats: Sequence[str], seed: int, progress: OnProgress
) -> Entry:
    run = store.get(run_id)
    best = _answer(run)
    network = parse_architecture(best["architecture"], f"run {run.id}")
    folder = export_architecture(
        network,
        name=name or plain_name(network.name),
        latency=best.get("latency"),
        accuracy=best.get("accuracy"),
        device=(run.result or {}).get("device"),
        run=run.id,
        seed=seed,
        formats=formats,
        progress=progress,
    )
    store.add_artefact(run.id, "zoo", folder)
    return find_entry(folder)


def _answer(run: RunRecord) -> Mapping[str, Any]:
    best = (run.result or {}).get("best")
    if not isinstance(best, Mapping) or not isinstance(best.get("architecture"), Mapping):
        raise InputError(
            f"run {run.id} must have found a network to export, but is a {run.kind} that is {run.status};"
            " `nas runs list` shows others."
        )
    return best


def verify_entries(
    names: Sequence[str] = (), *, data: str | Path | None = None, progress: OnProgress = silent
) -> list[dict[str, Any]]:
    """Check the exported networks called `names` (by default all); a record each, with the facts of the checks.

    With `data` the files run on its held-out images, and must be right as often as the manifest says: `held_out` has
    the counts by format. A damaged network is a record with its `error`. Raises `InputError` for a name that is not
    there, and for a network that was not trained on `data`.
    """
    records: list[dict[str, Any]] = []
    found, faults = entries_and_faults()
    if not names:
        records += [{"name": name, "ok": False, "checks": {}, "error": str(error)} for name, error in faults.items()]
    wanted = list(names) or [entry.name for entry in found]
    for done, name in enumerate(wanted):
        progress(Step(doing="checking exported networks", done=done, of=len(wanted), note=name))
        try:
            record = {"name": name, "ok": True, "checks": verify(name), "error": None}
            if data is not None:
                record["held_out"] = _verified_on(name, Path(data))
            records.append(record)
        except NasError as error:
            if error.exit_code != 1:
                raise
            records.append({"name": name, "ok": False, "checks": {}, "error": str(error)})
    return records


def _verified_on(name: str, data: Path) -> dict[str, Any]:
    """How often each file of the network is right on the held-out images, which must be what its manifest says."""
    entry = find_entry(name)
    found = held_out_of_files(entry, data)
    for kind, held_out in found.items():
        check_accuracy(entry, held_out, kind)
    return {kind: {"correct": one.correct, "count": one.count, **one.as_json()} for kind, one in found.items()}
