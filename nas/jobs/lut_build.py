"""A device's own table: plan what to time, time it, fit the table and the operator costs to what was timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from nas.errors import InputError
from nas.jobs.lut_few import helping_devices, is_from_few
from nas.latency import DeviceHome, load_latency
from nas.latency.day import LEVELS_FILE
from nas.latency.load import NETWORKS_FILE
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.latency.operator_file import read_operators
from nas.latency.table.rows import read_table
from nas.latency.timed.regression import MIN_NETWORKS
from nas.latency.transfer.networks import device_of
from nas.measure.build import BuildProgress, batches, build, check_budget, look, reference_item
from nas.measure.few import FEW, LEAST, FewTable, few_items, fit_few, is_helped
from nas.measure.fit import TIMINGS_SHA256, BuiltTable, fit_table
from nas.measure.plan import Item, further_items, generic_items, ordered, small_sizes, space_items, space_keys
from nas.measure.stopwatch import open_stopwatch, remove_dead_files
from nas.measure.store import TimingStore, stored_environment
from nas.progress import OnProgress, Step, counted, silent
from nas.runners.find import find_runner
from nas.space.load import SPACE_FILE, load_space, space_paths
from nas.space.search_space import SearchSpace

FIT_SECONDS = 90.0
"""Kept of the budget for fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """What a user asks of `nas lut plan` and `nas lut build`: to time for `budget_s`, earlier starts included, or so
    many `networks`, the reference and those that were timed before among them, in whatever time that takes."""

    home: DeviceHome
    space: str = "mobile"
    budget_s: float = 1200.0
    networks: int | None = None
    seed: int = 0
    restart: bool = False

    @property
    def is_few(self) -> bool:
        """Whether so few networks are asked for that other devices help."""
        return self.networks is not None and self.networks <= FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What a build would do: networks by role, the segments of the space and how many of them would be timed, seconds
    in all, and what is there already. Where they are few: their names, and the devices that help (`others`)."""

    device: str
    space: str
    environment: dict[str, str]
    roles: dict[str, int]
    chosen: tuple[str, ...]
    others: tuple[str, ...]
    space_segments: int
    covered: int
    covered_thrice: int
    seconds: float
    timed_before: int
    spent_before_s: float

    def as_json(self) -> dict[str, Any]:
        """The plan as one record."""
        return asdict(self)


def measured_space(name: str) -> SearchSpace:
    """The space of networks called `name`."""
    space = load_space(name)
    if not isinstance(space, SearchSpace):
        raise InputError(f"a table needs a space of networks, but {space.name} is a space of codes.")
    return space


def plan_table(request: TableRequest, *, progress: OnProgress = silent) -> TablePlan:
    """What `build_table` would do, after a look of a second or two at the device; nothing is stored."""
    _check_size(request)
    home, space = request.home, measured_space(request.space)
    others = helping_devices(home) if request.is_few else []
    progress(Step(doing="looking at the device"))
    with open_stopwatch(home) as watch:
        environment = watch.environment()
        done, spent, seen = set[str](), 0.0, dict[str, int]()
        if home.timings.exists() and not request.restart:
            with TimingStore(home.timings, environment) as store:
                done, spent = store.digests(), store.seconds()
                for timing in store.timings():
                    _count(seen, {segment.key for segment in timing.segments})
        pace = look(watch)
    roles: dict[str, int] = {}
    chosen: list[str] = []
    seconds, left = 0.0, _for_timing(request) - spent
    asked = None if request.networks is None else max(request.networks - 1 - len(done), 0)
    reference = reference_item(home.runtime)
    for batch in batches(_asked_items(request, space, done), done):
        share = {"done": seconds, "of": left} if asked is None else {"done": len(chosen), "of": asked}
        progress(Step(doing="choosing networks", **share))
        expected = pace.seconds([reference, *batch])
        if seconds + expected > left:
            break
        seconds += expected
        for item in batch:
            roles[item.role] = roles.get(item.role, 0) + 1
            chosen.append(item.name)
            _count(seen, {segment.key for segment in item.segments})
    keys = space_keys(space, counted("counting the segments of the space", progress))
    return TablePlan(
        device=home.name,
        space=space.name,
        environment=environment,
        roles=roles,
        chosen=tuple(chosen) if request.is_few else (),
        others=tuple(map(device_of, others)),
        space_segments=len(keys),
        covered=sum(key in seen for key in keys),
        covered_thrice=sum(seen.get(key, 0) >= 3 for key in keys),
        seconds=seconds + (FIT_SECONDS if request.networks else request.budget_s - _for_timing(request)),
        timed_before=len(done),
        spent_before_s=spent,
    )


def check_build(request: TableRequest) -> None:
    """Raises `InputError` for what no build can do: too small a budget, too few networks, a space of codes, a device
    out of reach, a table that it would overwrite."""
    _check_size(request)
    measured_space(request.space)
    find_runner(request.home)
    check_table(request.home)
    if request.is_few:
        helping_devices(request.home)


def build_table(
    request: TableRequest, *, progress: Callable[[BuildProgress], None], fitting: OnProgress = silent
) -> BuiltTable | FewTable:
    """Time networks until the budget is spent or as many as were asked for are timed, then write device.yaml, table.csv
    and coefficients.json: of few networks with the help of other devices.

    A build that was stopped goes on. `progress` is told of the timing, `fitting` of what comes after it. Raises
    `InputError` for a device that is not measured here as its `device.yaml` says, and where the budget is too small for
    a fit.
    """
    check_build(request)
    home, space = request.home, measured_space(request.space)
    faults: dict[str, str] = {}

    def told(state: BuildProgress) -> None:
        faults.update(state.faults)
        progress(state)

    with open_stopwatch(home) as watch:
        environment = watch.environment()
        with TimingStore(home.timings, environment, restart=request.restart) as store:
            remove_dead_files(home)
            if request.restart:  # what was looked at since is of another table
                (home.own_folder / LEVELS_FILE).unlink(missing_ok=True)
            if store.seconds() < _for_timing(request):
                items, budget_s = _asked_items(request, space, store.digests()), _for_timing(request)
                build(watch, store, items, budget_s=budget_s, pace=look(watch), progress=told)
            timings = store.timings()
    if request.is_few and is_helped(timings):
        fitting(Step(doing="fitting what was timed"))
        return fit_few(home, space, timings, environment, helping_devices(home), faults=faults)
    if len(timings) < MIN_NETWORKS:
        raise InputError(
            f"--budget must leave time for at least {MIN_NETWORKS} networks, but {len(timings)} were timed in"
            f" {request.budget_s:g} s; give it more, and the build goes on."
        )
    fitting(Step(doing="fitting what was timed"))
    return fit_table(home, space, timings, environment, faults=faults)


def refit_table(home: DeviceHome) -> BuiltTable | FewTable:
    """Fit the table of a device again to the timings that are there, for the space that it was built for; with the help
    of other devices where they helped before. The device need not be there.

    Raises `InputError` where there are none, and where they are of other conditions than the device's file says.
    """
    if not home.timings.exists():
        raise InputError(
            f"{home.name} must have timings to be fitted, but {home.timings} is not there; `nas lut build` takes them."
        )
    environment = timed_environment(home)
    with TimingStore(home.timings, environment) as store:
        timings = store.timings()
    space = measured_space(table_space(home))
    if is_from_few(home) and is_helped(timings):
        return fit_few(home, space, timings, environment, helping_devices(home))
    return fit_table(home, space, timings, environment)


def measured_environment(home: DeviceHome) -> dict[str, str]:
    """Where and how the device is timed: what is found there, or what its file says of a device that is not reached.

    Raises `InputError` for a device that is reached, and cannot be measured as its file says, and for one that is not,
    whose file does not say the chip yet.
    """
    if not home.device.is_timed:
        home.device.require_chip()
        return home.device.environment
    with open_stopwatch(home) as watch:
        return watch.environment()


def timed_environment(home: DeviceHome) -> dict[str, str]:
    """Where and how the timings of the device were taken, under the conditions that its file says: what its timings
    must be of to be read without going there, where the file tells."""
    if not home.device.is_timed:
        return home.device.environment
    return {**(stored_environment(home.timings) or measured_environment(home)), **home.device.conditions}


def has_timings(home: DeviceHome) -> bool:
    """Whether the table of the device comes of its timings, or is to: it is measured here, unless all that there is are
    networks that somebody else timed; or it was with a bundle elsewhere."""
    if home.device.is_timed:
        return home.timings.exists() or not (home.folder / NETWORKS_FILE).exists()
    if not (home.timings.exists() and (home.own_folder / COEFFICIENTS_FILE).exists()):
        return False
    model = load_latency(home).operators
    return model is not None and TIMINGS_SHA256 in model.manifest


def table_space(home: DeviceHome) -> str:
    """The file of the space that the table of a device was built for: the copy beside it, or, where an older program
    left none, the one of its name.

    Raises `InputError` where the table was not built here, and where there is no such file.
    """
    path = home.folder / SPACE_FILE
    if path.exists():
        return str(path)
    model = load_latency(home).operators
    name = model.manifest.get("space") if model else None
    if not isinstance(name, str):
        raise InputError(
            f"{home.name} must have a table that was built here, but has none; build one:"
            f" `nas lut build --device {home.name}`."
        )
    if name not in space_paths():
        raise InputError(
            f"the table of {home.name} must have the file of its space {name!r} beside it, but {path} is not there;"
            " copy it there."
        )
    return str(space_paths()[name])


def check_table(home: DeviceHome) -> None:
    """Raises `InputError` where the workspace has a table of the device that a fit to timings would overwrite: one that
    was imported, in whole or in part."""
    folder = home.own_folder
    if (folder / TABLE_FILE).exists() and not _is_made_here(home):
        raise InputError(
            f"{folder / TABLE_FILE} was imported, and a build would overwrite it; move it away, or give the device that"
            " is measured another name (`nas device add FILE`)."
        )


def _is_made_here(home: DeviceHome) -> bool:
    """Whether all rows of the workspace's table of the device are of timings, or printed by a model."""
    if not (home.own_folder / COEFFICIENTS_FILE).exists():
        return False
    if "environment" in read_operators(home.own_folder / COEFFICIENTS_FILE).manifest:
        return True
    return all(row.source == "modelled" for row in read_table(home.own_folder / TABLE_FILE).values())


def table_items(home: DeviceHome, space: SearchSpace, seed: int) -> Iterator[Item]:
    """What is timed for a table, without end, in its order."""
    runtime = home.runtime
    generic = generic_items(runtime, seed, small_sizes(space))
    return ordered(generic, space_items(space, runtime, seed), further_items(runtime))


def chosen_items(home: DeviceHome, space: SearchSpace, count: int, seed: int) -> Iterator[Item]:
    """The networks of a table of `count`, the reference apart: where they are few those that tell most."""
    if count > FEW:
        return islice(table_items(home, space, seed), count - 1)
    return iter(few_items(space, home.runtime, helping_devices(home), count - 1, seed))


def _asked_items(request: TableRequest, space: SearchSpace, done: set[str]) -> Iterator[Item]:
    """What is timed for what was asked, in its order, without what is `done`."""
    if request.networks is None:
        return table_items(request.home, space, request.seed)
    asked = chosen_items(request.home, space, request.networks, request.seed)
    return islice((item for item in asked if item.digest not in done), max(request.networks - 1 - len(done), 0))


def _check_size(request: TableRequest) -> None:
    if request.networks is None:
        check_budget(request.budget_s)
    elif request.networks < LEAST:
        raise InputError(
            f"--networks must be at least {LEAST}, the reference among them, but got {request.networks}; 20 are a good"
            " beginning."
        )


def _for_timing(request: TableRequest) -> float:
    if request.networks is not None:
        return math.inf
    return max(request.budget_s - FIT_SECONDS, 0.6 * request.budget_s)


def _count(seen: dict[str, int], keys: set[str]) -> None:
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
