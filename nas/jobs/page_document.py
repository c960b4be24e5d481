"""The documents that pages are made of: of a run, of a file that --json wrote, of a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.contents import read_json
from nas.errors import InputError
from nas.latency import DeviceHome
from nas.pages import of_device, of_result, of_run
from nas.resources import runs_folder
from nas.runs import RunStore, is_run_id

PAGE = "page.html"


def run_document(run: str, *, storage: str | None = None) -> dict[str, Any]:
    """The document of a run. `InputError` for an unknown run, and for one that has left no result."""
    return of_run(RunStore(url=storage).get(run).as_json())


def file_document(path: Path) -> dict[str, Any]:
    """The document in a file that a command wrote with --json. `InputError` for any other file."""
    found = read_json(path, "a document of nas (JSON)", remedy="write one with --json, or name a run")
    if not isinstance(found, Mapping):
        raise InputError(
            f"{path} must be a JSON object, as commands write with --json, but is a {type(found).__name__}."
        )
    return of_result(found)


def named_document(reference: str, *, storage: str | None = None) -> tuple[dict[str, Any], Path]:
    """The document that `reference` names, a run or a file, and where its page belongs: in the run's folder, or beside
    the file."""
    path = Path(reference)
    if not is_run_id(reference) and path.is_file():
        return file_document(path), path.with_suffix(".html")
    return run_document(reference, storage=storage), page_path(reference)


def device_document(home: DeviceHome) -> tuple[dict[str, Any], Path]:
    """The document of a device, and where its page belongs."""
    from nas.jobs.device_record import device_record  # with what reads timings

    return of_device(device_record(home)), runs_folder() / "pages" / f"{home.name}.html"


def page_path(run: str) -> Path:
    """Where the page of a run is written."""
    return runs_folder() / run / PAGE
