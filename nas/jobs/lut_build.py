"""A device's own table: plan what to time, time it, fit the table and the operator costs to what was timed."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.files import is_alive, write_bytes
from nas.jobs.lut import load_latency
from nas.latency.device import DEVICE_FILE, Device, device_folder, load_device
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.latency.published.cost_model import Floats
from nas.latency.table.rows import TableRow, table_text
from nas.latency.timed.regression import MIN_NETWORKS, Regression, fit_networks
from nas.measure.build import BuildProgress, batches, build, check_budget, look
from nas.measure.drift import CALM, slowness, usual_ms
from nas.measure.plan import Item, further_items, generic_items, ordered, space_items, space_keys
from nas.measure.store import REFERENCE, VERIFIED, StoredTiming, TimingStore
from nas.resources import runs_folder, workspace
from nas.runners.find import find_runner
from nas.runners.runner import Runner
from nas.runtimes import Runtime, find_runtime
from nas.space.load import load_space
from nas.space.search_space import SearchSpace

FIT_SECONDS = 90.0
"""Kept of the budget for fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """What a user asks of `nas lut plan` and `nas lut build`; `budget_s` is for all batches, of earlier starts too."""

    device: str
    space: str = "mobile"
    budget_s: float = 1200.0
    seed: int = 0
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What a build would do: networks by role, the segments of the space and how many of them would be timed, seconds
    in all, and what is there already."""

    device: str
    space: str
    environment: dict[str, str]
    roles: dict[str, int]
    space_segments: int
    covered: int
    covered_thrice: int
    seconds: float
    timed_before: int
    spent_before_s: float

    def as_json(self) -> dict[str, Any]:
        """The plan as one record."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTable:
    """A finished build: the folder of its files, the fit, and how much of the space has rows."""

    folder: Path
    regression: Regression
    networks: int
    space: str
    space_segments: int
    covered: int

    def as_json(self) -> dict[str, Any]:
        """What was built, and how networks left out of the fit were predicted."""
        model = self.regression.operators
        return {
            "device": model.manifest["device"],
            "folder": str(self.folder),
            "networks": self.networks,
            "rows": len(self.regression.segments.keys),
            "space": self.space,
            "space_segments": self.space_segments,
            "covered": self.covered,
            "left_out": dict(model.manifest["scores"]),
            "half_width": self.half_width,
            "manifest": dict(model.manifest),
        }

    @property
    def half_width(self) -> float:
        """Half of the 90 % interval, of log latency, of a network all of whose segments have rows."""
        return self.regression.operators.floor


def store_path(device: str) -> Path:
    """Where the timings of `device` are kept."""
    return runs_folder() / "lut" / f"{device}.db"


def device_runner(device: str) -> Runner:
    """The runner of `device`; an `InputError` for one that cannot be measured here."""
    return find_runner(load_device(device), str(device_folder(device) / DEVICE_FILE))


def device_runtime(device: str) -> Runtime:
    """What the runtime of `device` makes of networks."""
    return find_runtime(load_device(device).runtime)


def measured_space(name: str) -> SearchSpace:
    """The space of networks called `name`."""
    space = load_space(name)
    if not isinstance(space, SearchSpace):
        raise InputError(f"a table needs a space of networks, but {space.name} is a space of codes.")
    return space


def plan_table(request: TableRequest) -> TablePlan:
    """What `build_table` would do, after a look of a second or two at the device; nothing is stored."""
    check_budget(request.budget_s)
    space, runner = measured_space(request.space), device_runner(request.device)
    environment = dict(runner.environment())
    done, spent, seen = set[str](), 0.0, dict[str, int]()
    if store_path(request.device).exists() and not request.restart:
        with TimingStore(store_path(request.device), environment) as store:
            done, spent = store.digests(), store.seconds()
            for timing in store.timings():
                _count(seen, {segment.key for segment in timing.segments})
    pace = look(runner, files_folder(request.device))
    roles: dict[str, int] = {}
    seconds, left = 0.0, _for_timing(request) - spent
    for batch in batches(_items(space, request), done):
        expected = pace.seconds(batch)
        if seconds + expected > left:
            break
        seconds += expected
        for item in batch:
            roles[item.role] = roles.get(item.role, 0) + 1
            _count(seen, {segment.key for segment in item.segments})
    keys = space_keys(space)
    return TablePlan(
        device=request.device,
        space=space.name,
        environment=environment,
        roles=roles,
        space_segments=len(keys),
        covered=sum(key in seen for key in keys),
        covered_thrice=sum(seen.get(key, 0) >= 3 for key in keys),
        seconds=seconds + request.budget_s - _for_timing(request),
        timed_before=len(done),
        spent_before_s=spent,
    )


def build_table(request: TableRequest, *, progress: Callable[[BuildProgress], None]) -> BuiltTable:
    """Time networks until the budget is spent, then write device.yaml, table.csv and coefficients.json.

    A build that was stopped goes on. Raises `InputError` for a device that is not measured here, and where the budget
    is too small for a fit.
    """
    check_budget(request.budget_s)
    space, runner = measured_space(request.space), device_runner(request.device)
    _check_table(request.device)
    path = store_path(request.device)
    with TimingStore(path, runner.environment(), restart=request.restart) as store:
        folder = files_folder(request.device)
        _remove_dead_files(folder.parent)
        if store.seconds() < _for_timing(request):
            pace = look(runner, folder)
            build(
                runner,
                store,
                _items(space, request),
                folder,
                runtime=device_runtime(request.device),
                budget_s=_for_timing(request),
                pace=pace,
                progress=progress,
            )
        timings = store.timings()
    if len(timings) < MIN_NETWORKS:
        raise InputError(
            f"--budget must leave time for at least {MIN_NETWORKS} networks, but {len(timings)} were timed in"
            f" {request.budget_s:g} s; give it more, and the build goes on."
        )
    return fit_table(request.device, space, timings, dict(runner.environment()))


def refit_table(device: str) -> BuiltTable:
    """Fit the table of `device` again to the timings that are there, for the space that it was built for.

    Raises `InputError` where there are none.
    """
    runner, path = device_runner(device), store_path(device)
    if not path.exists():
        raise InputError(
            f"{device} must have timings to be fitted, but {path} is not there; `nas lut build` takes them."
        )
    with TimingStore(path, runner.environment()) as store:
        timings = store.timings()
    return fit_table(device, measured_space(table_space(device)), timings, dict(runner.environment()))


def table_space(device: str) -> str:
    """The space that the table of `device` was built for. Raises `InputError` where it was not built here."""
    model = load_latency(device).operators
    space = model.manifest.get("space") if model else None
    if not isinstance(space, str):
        raise InputError(
            f"{device} must have a table that was built here, but has none; build one:"
            f" `nas lut build --device {device}`."
        )
    return space


def _check_table(device: str) -> None:
    """Raises `InputError` where the workspace has a table of `device` that a build would overwrite."""
    folder = workspace() / "latency_tables" / device
    if (folder / TABLE_FILE).exists() and not (folder / COEFFICIENTS_FILE).exists():
        raise InputError(
            f"{folder / TABLE_FILE} was imported, and a build would overwrite it; move it away, or give the device that"
            " is measured another name (`nas device add FILE`)."
        )


def fit_table(device: str, space: SearchSpace, timings: list[StoredTiming], environment: dict[str, str]) -> BuiltTable:
    """Fit the table of `device` to `timings` and write its files to the workspace."""
    networks = sum(timing.role != REFERENCE for timing in timings)
    today = datetime.date.today().isoformat()
    reference = {timing.batch: timing.latency_ms for timing in timings if timing.role == REFERENCE}
    usual = usual_ms(list(reference.values()))
    by_batch = dict(zip(reference, slowness(list(reference.values()), usual), strict=True))
    slow = np.array([by_batch.get(timing.batch, 0.0) for timing in timings])
    own = np.array([timing.role not in (REFERENCE, "known", "probe") for timing in timings])
    manifest = {
        "device": device,
        "date": today,
        "environment": environment,
        "space": space.name,
        "networks": networks,
        "reference_ms": usual,
        "calm_batches": f"{sum(abs(value) <= CALM for value in by_batch.values())} of {len(by_batch)}",
        "roles": {role: sum(t.role == role for t in timings) for role in sorted({t.role for t in timings})},
        "split": "interval: networks left out one at a time",
        "features": "operator columns of nas.graph.operators",
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    with threadpool_limits(limits=1, user_api="blas"):
        found = fit_networks(
            [timing.segments for timing in timings],
            np.array([timing.latency_ms for timing in timings]),
            # What was verified comes from several processes, which share no moment of the machine.
            np.array([-i if timing.role == VERIFIED else timing.batch for i, timing in enumerate(timings, start=1)]),
            manifest,
            typical=own & (np.abs(slow) <= CALM),
            slowness=slow,
            sure=np.array([timing.role == VERIFIED for timing in timings]),
        )
    scores = {"rows": _scores(found.left_out), "operators": _scores(found.left_out_operators)}
    found = replace(found, operators=replace(found.operators, manifest={**found.operators.manifest, "scores": scores}))
    rows = table_rows(found, today)
    folder = workspace() / "latency_tables" / device
    write_bytes(folder / DEVICE_FILE, _device_text(load_device(device), environment, today))
    write_bytes(folder / COEFFICIENTS_FILE, found.operators.to_json().encode())
    write_bytes(folder / TABLE_FILE, table_text(rows).encode())
    keys = space_keys(space)
    return BuiltTable(
        folder=folder,
        regression=found,
        networks=networks,
        space=space.name,
        space_segments=len(keys),
        covered=len(keys & set(found.segments.keys)),
    )


def _scores(log_errors: Floats) -> dict[str, float]:
    errors = np.abs(np.expm1(log_errors))
    return {
        "median": float(np.median(errors)),
        "within_5_percent": float((errors <= 0.05).mean()),
        "within_10_percent": float((errors <= 0.1).mean()),
    }


def table_rows(found: Regression, date: str) -> list[TableRow]:
    """A row for each segment that was timed in a network, with its interval; sorted by key."""
    segments = found.segments
    spread = np.exp(1.645 * segments.log_sd)
    rows = [
        TableRow(
            segment=key,
            mean_ms=float(f"{segments.mean_ms[i]:.6g}"),
            low_ms=float(f"{segments.mean_ms[i] / spread[i]:.6g}"),
            high_ms=float(f"{segments.mean_ms[i] * spread[i]:.6g}"),
            count=int(segments.networks[i]),
            source="measured",
            date=date,
        )
        for i, key in enumerate(segments.keys)
    ]
    return sorted(rows, key=lambda row: row.segment)


def _device_text(device: Device, environment: dict[str, str], date: str) -> bytes:
    """The device file with what the measuring found: chip, runtime, date."""
    notes = "; ".join(f"{name} {value}" for name, value in environment.items() if name not in ("chip", "runtime"))
    record = replace(
        device,
        chip=environment.get("chip", device.chip),
        runtime=environment.get("runtime", device.runtime),
        date=date,
        notes=notes or device.notes,
    ).as_json()
    kept = {name: value for name, value in record.items() if value != ""}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120).encode()


def _items(space: SearchSpace, request: TableRequest) -> Iterator[Item]:
    runtime, seed = device_runtime(request.device), request.seed
    return ordered(generic_items(runtime, seed), space_items(space, runtime, seed), further_items(runtime))


def _for_timing(request: TableRequest) -> float:
    return max(request.budget_s - FIT_SECONDS, 0.6 * request.budget_s)


def _remove_dead_files(folder: Path) -> None:
    """Remove what processes that were killed left in `folder`, a subfolder a process."""
    for own in folder.glob("*"):
        if own.name.isdecimal() and not is_alive(int(own.name)):
            shutil.rmtree(own, ignore_errors=True)


def files_folder(device: str) -> Path:
    """Where this process's network files lie while they are timed."""
    return runs_folder() / "lut" / f"{device}.files" / str(os.getpid())


def _count(seen: dict[str, int], keys: set[str]) -> None:
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
