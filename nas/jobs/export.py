"""Export a network to the zoo: the answer of a run, or any architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import InputError
from nas.runs import RunRecord, RunStore, is_run_id
from nas.space import load_architecture, parse_architecture
from nas.zoo import Entry, export_architecture, find_entry


def export_to_zoo(
    reference: str,
    *,
    name: str | None = None,
    formats: Sequence[str] = ("onnx",),
    seed: int = 0,
    storage: str | None = None,
) -> Entry:
    """Export what `reference` names (a run, a known network, an architecture file or a folder with one).

    The answer of a run brings its latency and accuracy along and is recorded as an artefact of the run. `seed` is of
    the random weights, `name` the folder's in the zoo (by default the network's), `storage` the URL of the database
    with the run (by default the workspace's file). Raises `InputError` for a run that has no network to export.
    """
    if is_run_id(reference):
        return _export_answer(RunStore(url=storage), reference, name, formats, seed)
    network = load_architecture(reference)
    return find_entry(export_architecture(network, name=name or network.name, formats=formats, seed=seed))


def _export_answer(store: RunStore, run_id: str, name: str | None, formats: Sequence[str], seed: int) -> Entry:
    run = store.get(run_id)
    best = _answer(run)
    network = parse_architecture(best["architecture"], f"run {run.id}")
    folder = export_architecture(
        network,
        name=name or network.name,
        latency=best.get("latency"),
        accuracy=best.get("accuracy"),
        device=(run.result or {}).get("device"),
        run=run.id,
        seed=seed,
        formats=formats,
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
